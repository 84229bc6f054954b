"""Felix's parameters: the one table of their names, types, defaults and bounds.

:data:`PARAMS` is keyed by the name that configuration file, environment and v1 data model use;
:data:`BY_FIELD` by the field of a FelixConfiguration. What the types mean is in
:mod:`libcalico.resources.felixvalues`. Source: ``calico-control-plane.md`` 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from libcalico.resources.felixconfig import FelixConfigurationSpec, ProtoPort
from libcalico.resources.felixvalues import Param, ValueType
from libcalico.resources.shape import fields_of

__all__ = ["BY_FIELD", "PARAMS", "Param", "texts_of"]

_LEVELS = ("Trace", "Debug", "Info", "Warning", "Error", "Fatal")
_SWITCH = ("Disabled", "Enabled")
_HOST = r"[a-zA-Z0-9:._+-]{1,64}"
_IFACE = r"[a-zA-Z0-9:._+-]{1,15}"
_SERVICE_PORTS = (179, 2379, 2380, 5473, 6443, 6666, 6667)
_FAILSAFE_IN = (
    ProtoPort(protocol="tcp", port=22),
    ProtoPort(protocol="udp", port=68),
    *(ProtoPort(protocol="tcp", port=port) for port in _SERVICE_PORTS),
)
_FAILSAFE_OUT = (
    ProtoPort(protocol="udp", port=53),
    ProtoPort(protocol="udp", port=67),
    *(ProtoPort(protocol="tcp", port=port) for port in _SERVICE_PORTS),
)
CONNTRACK_TIMEOUTS = MappingProxyType(
    {
        "CreationGracePeriod": "10s",
        "TCPSynSent": "20s",
        "TCPEstablished": "1h",
        "TCPFinsSeen": "Auto",
        "TCPResetSeen": "40s",
        "UDPTimeout": "60s",
        "GenericTimeout": "10m",
        "ICMPTimeout": "5s",
    }
)


def _param(field: str, kind: ValueType, default: Any, *, name: str = "", **more: Any) -> Param:
    return Param(
        field=field,
        name=name or field[0].upper() + field[1:],
        type=kind,
        default=default,
        **more,
    )


def _bool(field: str, default: bool | None, **more: Any) -> Param:
    return _param(field, "bool", default, **more)


def _int(field: str, default: int | None, **more: Any) -> Param:
    return _param(field, "int", default, **more)


def _duration(field: str, default_s: float, **more: Any) -> Param:
    return _param(field, "duration", float(default_s), **more)


def _enum(field: str, default: str, choices: tuple[str, ...], **more: Any) -> Param:
    return _param(field, "enum", default, choices=choices, required=True, **more)


def _local(name: str, kind: ValueType, default: Any, **more: Any) -> Param:
    return Param(name=name, type=kind, default=default, **more)


_SHARED: tuple[Param, ...] = (
    # Process: Feature detection/overrides
    _param(
        "featureDetectOverride",
        "text",
        "",
        pattern=r"([a-zA-Z0-9-_]+=(true|false|),)*([a-zA-Z0-9-_]+=(true|false|))?",
    ),
    _param(
        "featureGates", "text", "", pattern=r"([a-zA-Z0-9-_]+=([^=]+),)*([a-zA-Z0-9-_]+=([^=]+))?"
    ),
    # Process: Go runtime
    _int("goGCThreshold", 40, low=-1),
    _int("goMemoryLimitMB", -1, low=-1),
    _int("goMaxProcs", -1, low=-1),
    # Process: Health port and timeouts
    _bool("healthEnabled", False),
    _param("healthHost", "text", "localhost", pattern=_HOST),
    _int("healthPort", 9099, low=0, high=65535),
    _param("healthTimeoutOverrides", "timeouts", None),
    # Process: Logging
    _param("logPrefix", "text", "calico-packet", pattern=r"([a-zA-Z0-9%: /_-])*"),
    _param("logActionRateLimit", "text", "", pattern=r"[1-9]\d{0,3}/(?:second|minute|hour|day)"),
    _int("logActionRateLimitBurst", 5, low=0, high=9999),
    _param("logFilePath", "text", "/var/log/calico/felix.log", fatal=True),
    _param("logSeverityFile", "enum", "Info", choices=_LEVELS, any_case=True),
    _param("logSeverityScreen", "enum", "Info", choices=_LEVELS, any_case=True),
    _param("logSeveritySys", "enum", "Info", choices=_LEVELS, any_case=True),
    _param("logDebugFilenameRegex", "regex", ""),
    # Process: Prometheus metrics
    _bool("prometheusMetricsEnabled", False),
    _param("prometheusMetricsHost", "text", "", pattern=_HOST),
    _int("prometheusMetricsPort", 9091, low=0, high=65535),
    _bool("prometheusGoMetricsEnabled", True),
    _bool("prometheusProcessMetricsEnabled", True),
    _bool("prometheusWireGuardMetricsEnabled", True),
    _param("prometheusMetricsCAFile", "text", ""),
    _param("prometheusMetricsCertFile", "text", ""),
    _param("prometheusMetricsKeyFile", "text", ""),
    _enum(
        "prometheusMetricsClientAuth",
        "RequireAndVerifyClientCert",
        (
            "NoClientCert",
            "RequireAndVerifyClientCert",
            "RequireAnyClientCert",
            "VerifyClientCertIfGiven",
        ),
        any_case=True,
    ),
    # Dataplane: Common
    _bool("useInternalDataplaneDriver", True),
    _param("dataplaneDriver", "text", "calico-iptables-plugin", fatal=True),
    _duration("dataplaneWatchdogTimeout", 90),
    _bool("ipv6Support", True),
    _duration("routeRefreshInterval", 90),
    _duration("interfaceRefreshInterval", 90),
    _duration("netlinkTimeout", 10, name="NetlinkTimeoutSecs"),
    _param(
        "interfacePrefix",
        "text",
        "cali",
        pattern=r"[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*",
        fatal=True,
        required=True,
    ),
    _param("interfaceExclude", "interfaces", ("kube-ipvs0",), pattern=_IFACE),
    _enum("chainInsertMode", "Insert", ("Append", "Insert"), any_case=True, fatal=True),
    _enum(
        "defaultEndpointToHostAction",
        "Drop",
        ("Accept", "Drop", "Return"),
        any_case=True,
        fatal=True,
    ),
    _bool("allowVXLANPacketsFromWorkloads", False),
    _bool("allowIPIPPacketsFromWorkloads", False),
    _param("endpointStatusPathPrefix", "text", "/var/run/calico"),
    _bool("disableConntrackInvalidCheck", False),
    _param("failsafeInboundHostPorts", "failsafe ports", _FAILSAFE_IN, fatal=True),
    _param("failsafeOutboundHostPorts", "failsafe ports", _FAILSAFE_OUT, fatal=True),
    _param("policySyncPathPrefix", "text", ""),
    _param("natPortRange", "port", None),
    _param("natOutgoingAddress", "ipv4", ""),
    _enum("natOutgoingExclusions", "IPPoolsOnly", ("IPPoolsAndHostIPs", "IPPoolsOnly")),
    _param("deviceRouteSourceAddress", "ipv4", ""),
    _param("deviceRouteSourceAddressIPv6", "ipv6", ""),
    _int("deviceRouteProtocol", 3, low=0, high=255),
    _bool("removeExternalRoutes", True),
    _enum("ipForwarding", "Enabled", _SWITCH),
    _param("externalNodesList", "cidrs", (), fatal=True, name="ExternalNodesCIDRList"),
    _bool("sidecarAccelerationEnabled", False),
    _enum("nftablesMode", "Auto", ("Auto", "Disabled", "Enabled")),
    _enum("routeSource", "CalicoIPAM", ("CalicoIPAM", "WorkloadIPs"), any_case=True),
    _param("routeTableRanges", "tables", (), fatal=True),
    _param("routeTableRange", "tables", (), fatal=True),
    _bool("routeSyncDisabled", False),
    _enum("programClusterRoutes", "Disabled", _SWITCH),
    _int("ipv4NormalRoutePriority", 1024, low=1, high=2147483646),
    _int("ipv4ElevatedRoutePriority", 512, low=1, high=2147483646),
    _int("ipv6NormalRoutePriority", 1024, low=1, high=2147483646),
    _int("ipv6ElevatedRoutePriority", 512, low=1, high=2147483646),
    _duration("liveMigrationRouteConvergenceTime", 30, fractions=True),
    _enum("serviceLoopPrevention", "Drop", ("Disabled", "Drop", "Reject"), any_case=True),
    _enum("workloadSourceSpoofing", "Disabled", ("Any", "Disabled"), any_case=True),
    _param("mtuIfacePattern", "regex", "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)"),
    _bool("requireMTUFile", False),
    _param("cgroupV2Path", "text", ""),
    _enum("floatingIPs", "Disabled", _SWITCH),
    _enum("istioAmbientMode", "Disabled", _SWITCH),
    _int("istioDSCPMark", 23, low=0, high=63),
    # Dataplane: iptables
    _duration("iptablesRefreshInterval", 180),
    _duration("iptablesPostWriteCheckInterval", 5, name="IptablesPostWriteCheckIntervalSecs"),
    _duration(
        "iptablesLockProbeInterval", 0.05, name="IptablesLockProbeIntervalMillis", milliseconds=True
    ),
    _duration("ipsetsRefreshInterval", 90),
    _int("maxIpsetSize", 1048576, low=0),
    _enum("iptablesBackend", "Auto", ("Auto", "Legacy", "NFT"), any_case=True),
    _enum("iptablesFilterAllowAction", "Accept", ("Accept", "Return"), any_case=True, fatal=True),
    _enum("iptablesMangleAllowAction", "Accept", ("Accept", "Return"), any_case=True, fatal=True),
    _enum("iptablesFilterDenyAction", "Drop", ("Drop", "Reject"), any_case=True, fatal=True),
    _int("iptablesMarkMask", 0xFFFF0000, low=1, high=0xFFFFFFFF, fatal=True, required=True),
    _param("kubeNodePortRanges", "ports", ((30000, 32767),)),
    _param("iptablesNATOutgoingInterfaceFilter", "text", "", pattern=_IFACE),
    # Dataplane: nftables
    _duration("nftablesRefreshInterval", 180),
    _enum("nftablesFilterAllowAction", "Accept", ("Accept", "Return"), any_case=True, fatal=True),
    _enum("nftablesMangleAllowAction", "Accept", ("Accept", "Return"), any_case=True, fatal=True),
    _enum("nftablesFilterDenyAction", "Drop", ("Drop", "Reject"), any_case=True, fatal=True),
    _int("nftablesMarkMask", 0xFFFF0000, low=1, high=0xFFFFFFFF, fatal=True, required=True),
    # Dataplane: eBPF
    _bool("bpfEnabled", False),
    _bool("bpfDisableUnprivileged", True),
    _enum("bpfJITHardening", "Auto", ("Auto", "Strict"), any_case=True),
    _enum("bpfLogLevel", "Off", ("Debug", "Info", "Off"), any_case=True),
    _enum("bpfConntrackLogLevel", "Off", ("Debug", "Off")),
    _enum(
        "bpfConntrackMode",
        "Auto",
        ("Auto", "BPFProgram", "Userspace"),
        name="BPFConntrackCleanupMode",
    ),
    _param("bpfConntrackTimeouts", "map", CONNTRACK_TIMEOUTS),
    _param("bpfLogFilters", "map", None),
    _enum("bpfCTLBLogFilter", "", ("all",), any_case=True),
    _param("bpfDataIfacePattern", "regex", "^((en|wl|ww|sl|ib)[Popsx].*|(eth|wlan|wwan|bond).*)"),
    _param("bpfL3IfacePattern", "regex", ""),
    _bool("bpfConnectTimeLoadBalancingEnabled", None),
    _enum("bpfConnectTimeLoadBalancing", "TCP", ("Disabled", "Enabled", "TCP")),
    _enum("bpfHostNetworkedNATWithoutCTLB", "Enabled", _SWITCH),
    _enum("bpfExternalServiceMode", "Tunnel", ("DSR", "Tunnel"), any_case=True),
    _param("bpfDSROptoutCIDRs", "cidrs", ()),
    _int("bpfExtToServiceConnmark", 0, low=0, high=0xFFFFFFFF),
    _bool("bpfKubeProxyIptablesCleanupEnabled", True),
    _duration("bpfKubeProxyMinSyncPeriod", 1),
    _int("bpfKubeProxyHealthzPort", 10256, low=0, high=65535),
    _param("bpfPSNATPorts", "port", (20000, 29999)),
    _int("bpfMapSizeNATFrontend", 65536, low=0),
    _int("bpfMapSizeNATBackend", 262144, low=0),
    _int("bpfMapSizeNATAffinity", 65536, low=0),
    _int("bpfMapSizeRoute", 262144, low=0),
    _int("bpfMapSizeConntrack", 512000, low=0),
    _int("bpfMapSizePerCpuConntrack", 0, low=0),
    _int("bpfMapSizeConntrackCleanupQueue", 100000, low=0),
    _enum(
        "bpfMapSizeConntrackScaling", "DoubleIfFull", ("Disabled", "DoubleIfFull"), any_case=True
    ),
    _int("bpfMapSizeIPSets", 1048576, low=0),
    _int("bpfMapSizeIfState", 1000, low=0),
    _bool("bpfHostConntrackBypass", False),
    _enum("bpfEnforceRPF", "Loose", ("Disabled", "Loose", "Strict"), any_case=True),
    _bool("bpfPolicyDebugEnabled", True),
    _param("bpfForceTrackPacketsFromIfaces", "texts", ("docker+",), pattern=_IFACE),
    _param("bpfDisableGROForIfaces", "regex", ""),
    _param("bpfExcludeCIDRsFromNAT", "cidrs", ()),
    _enum("bpfRedirectToPeer", "Enabled", _SWITCH),
    _enum("bpfAttachType", "TCX", ("TC", "TCX")),
    _int("bpfExportBufferSizeMB", 1, low=0),
    _int("bpfMaglevMaxEndpointsPerService", 100, low=1, high=3000),
    _int("bpfMaglevMaxServices", 100, low=1, high=3000),
    _enum("bpfProfiling", "Disabled", _SWITCH),
    # Dataplane: Windows
    _enum("windowsManageFirewallRules", "Disabled", _SWITCH),
    # Dataplane: OpenStack support
    _param("metadataAddr", "text", "127.0.0.1", pattern=r"[a-zA-Z0-9_.-]+", fatal=True),
    _int("metadataPort", 8775, low=0, high=65535, fatal=True),
    _param(
        "openstackRegion", "text", "", pattern=r"[a-z0-9]([-a-z0-9]{0,44}[a-z0-9])?", fatal=True
    ),
    _duration("reportingInterval", 30, name="ReportingIntervalSecs"),
    _duration("reportingTTL", 90, name="ReportingTTLSecs"),
    _bool("endpointReportingEnabled", False),
    _duration("endpointReportingDelay", 1, name="EndpointReportingDelaySecs"),
    # Dataplane: XDP acceleration for iptables dataplane
    _duration("xdpRefreshInterval", 90),
    _bool("xdpEnabled", True),
    _bool("genericXDPEnabled", False),
    # Overlay: VXLAN overlay
    _bool("vxlanEnabled", None),
    _int("vxlanMTU", 0, low=0),
    _int("vxlanMTUV6", 0, low=0),
    _int("vxlanPort", 4789, low=1, high=65535),
    _int("vxlanVNI", 4096, low=1, high=0xFFFFFF),
    # Overlay: IP-in-IP
    _bool("ipipEnabled", None, name="IpInIpEnabled"),
    _int("ipipMTU", 0, low=0, name="IpInIpMtu"),
    # Overlay: Wireguard
    _bool("wireguardEnabled", False),
    _bool("wireguardEnabledV6", False),
    _bool("wireguardThreadingEnabled", False),
    _int("wireguardListeningPort", 51820, low=1, high=65535),
    _int("wireguardListeningPortV6", 51821, low=1, high=65535),
    _int("wireguardRoutingRulePriority", 99, low=1, high=32765),
    _param("wireguardInterfaceName", "text", "wireguard.cali", pattern=_IFACE),
    _param("wireguardInterfaceNameV6", "text", "wg-v6.cali", pattern=_IFACE),
    _int("wireguardMTU", 0, low=0),
    _int("wireguardMTUV6", 0, low=0),
    _bool("wireguardHostEncryptionEnabled", False),
    _duration("wireguardKeepAlive", 0, name="WireguardPersistentKeepAlive"),
    # Flow logs: file reports
    _duration("flowLogsFlushInterval", 300),
    _param("flowLogsGoldmaneServer", "text", ""),
    _enum("flowLogsLocalReporter", "Disabled", _SWITCH),
    _bool("flowLogsCollectorDebugTrace", False),
    _enum("flowLogsPolicyEvaluationMode", "Continuous", ("Continuous", "None")),
    # AWS integration
    _enum("awsSrcDstCheck", "DoNothing", ("Disable", "DoNothing", "Enable")),
    # Debug/test-only (generally unsupported)
    _param("debugMemoryProfilePath", "text", ""),
    _bool("debugDisableLogDropping", False),
    _duration("debugSimulateCalcGraphHangAfter", 0),
    _duration("debugSimulateDataplaneHangAfter", 0),
    _duration("debugSimulateDataplaneApplyDelay", 0),
    _param("debugHost", "text", "localhost", pattern=_HOST),
    _int("debugPort", None, low=0, high=65535),
    # Usage reporting
    _bool("usageReportingEnabled", True),
    _duration("usageReportingInitialDelay", 300, name="UsageReportingInitialDelaySecs"),
    _duration("usageReportingInterval", 86400, name="UsageReportingIntervalSecs"),
)

#: Parameters that only file and environment of a host set.
_LOCAL: tuple[Param, ...] = (
    _local("DatastoreType", "enum", "etcdv3", choices=("etcdv3", "kubernetes"), fatal=True),
    _local("EtcdAddr", "text", "127.0.0.1:2379"),
    _local("EtcdScheme", "enum", "http", choices=("http", "https"), fatal=True),
    _local("EtcdEndpoints", "texts", ()),
    _local("EtcdCaFile", "text", ""),
    _local("EtcdCertFile", "text", ""),
    _local("EtcdKeyFile", "text", ""),
    _local("FelixHostname", "text", "", pattern=r"[a-zA-Z0-9_.-]+", required=True),
    _local("TyphaAddr", "text", ""),
    _local("TyphaK8sServiceName", "text", ""),
    _local("TyphaK8sNamespace", "text", "kube-system", required=True),
    _local("TyphaCAFile", "text", ""),
    _local("TyphaCertFile", "text", ""),
    _local("TyphaKeyFile", "text", ""),
    _local("TyphaCN", "text", ""),
    _local("TyphaURISAN", "text", ""),
    _local("TyphaReadTimeout", "duration", 30.0),
    _local("TyphaWriteTimeout", "duration", 10.0),
    _local("DebugCPUProfilePath", "text", ""),
    _local("DebugPanicAfter", "duration", 0.0),
    _local("DebugSimulateDataRace", "bool", default=False),
    _local("DebugBPFCgroupV2", "text", ""),
)

#: Name in file, environment and v1 data model → parameter.
PARAMS: Mapping[str, Param] = MappingProxyType({p.name: p for p in (*_SHARED, *_LOCAL)})
#: Field of a FelixConfiguration's spec (outside name) → parameter.
BY_FIELD: Mapping[str, Param] = MappingProxyType({p.field: p for p in _SHARED})


def texts_of(spec: FelixConfigurationSpec) -> dict[str, str]:
    """Return parameter name → v1 text for every field that the spec sets.

    Raises:
        ValidationError: a duration in the spec is no duration.
    """
    texts = {}
    for field in fields_of(FelixConfigurationSpec):
        param, value = BY_FIELD.get(field.name), getattr(spec, field.attribute)
        if param is not None and value != field.unset:
            texts[param.name] = param.to_text(value)
    return texts
