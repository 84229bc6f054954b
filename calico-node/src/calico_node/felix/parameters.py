"""What becomes of each parameter of Felix's here: the one declaration. Pure.

A parameter is read by code, or it is in :data:`NOT_APPLICABLE`, with the reason; a test compares this with
the code. All are accepted and stored, so that a FelixConfiguration of Go Calico's means the same wherever
it means anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from libcalico.resources.felixparams import PARAMS

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "there is no eBPF dataplane": "BPFConntrackCleanupMode CgroupV2Path DebugBPFCgroupV2"
        " SidecarAccelerationEnabled",
        "there is no Windows dataplane": "WindowsManageFirewallRules",
        "there is no WireGuard tunnel": "PrometheusWireGuardMetricsEnabled",
        "XDP is an accelerator of the iptables dataplane": "XdpEnabled GenericXDPEnabled"
        " XdpRefreshInterval",
        "the dataplane is nftables, always": "NftablesMode IptablesBackend IptablesFilterAllowAction"
        " IptablesMangleAllowAction IptablesFilterDenyAction IptablesMarkMask"
        " IptablesRefreshInterval IptablesPostWriteCheckIntervalSecs IptablesLockProbeIntervalMillis"
        " UseInternalDataplaneDriver DataplaneDriver",
        "IP sets are part of the table: NftablesRefreshInterval": "IpsetsRefreshInterval",
        "sets grow as they need": "MaxIpsetSize",
        "what the kernel can do is found by doing it": "FeatureDetectOverride FeatureGates",
        "there is no Go runtime": "GoGCThreshold GoMemoryLimitMB GoMaxProcs"
        " PrometheusGoMetricsEnabled DebugSimulateDataRace",
        "Felix reads the datastore without a broker; etcd's grpc-proxy is the fan-out tier": "TyphaAddr"
        " TyphaK8sServiceName TyphaK8sNamespace TyphaCAFile TyphaCertFile TyphaKeyFile TyphaCN"
        " TyphaURISAN TyphaReadTimeout TyphaWriteTimeout",
        "nothing is reported to anybody": "UsageReportingEnabled UsageReportingInitialDelaySecs"
        " UsageReportingIntervalSecs",
        "it is a switch of Go Felix's own tests": "DebugSimulateCalcGraphHangAfter"
        " DebugSimulateDataplaneHangAfter DebugSimulateDataplaneApplyDelay DebugPanicAfter",
        "SIGUSR1 writes Felix's state; there are no profiles to serve": "DebugHost DebugPort"
        " DebugMemoryProfilePath DebugCPUProfilePath",
        "no line of the log is dropped for want of speed": "DebugDisableLogDropping",
        "the kernel answers before a request returns": "NetlinkTimeoutSecs",
        "routes are in the main table": "RouteTableRange RouteTableRanges",
        "kube-proxy in IPVS mode is not supported": "KubeNodePortRanges",
        "workloads do not migrate live": "LiveMigrationRouteConvergenceTime"
        " Ipv4ElevatedRoutePriority Ipv6ElevatedRoutePriority",
        "there is no Istio here": "IstioAmbientMode IstioDSCPMark PolicySyncPathPrefix",
        "there is no OpenStack metadata service here": "MetadataAddr MetadataPort",
        "an accept in nftables ends our own chain only, not others'": "NftablesMangleAllowAction",
        "there is no Goldmane to report flows to, so none are collected": "FlowLogsCollectorDebugTrace"
        " FlowLogsFlushInterval FlowLogsGoldmaneServer FlowLogsLocalReporter"
        " FlowLogsPolicyEvaluationMode",
        "no cloud's interface is configured": "AwsSrcDstCheck",
    }
)

#: Prefixes of names of which all parameters fall under one of the reasons.
_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {"Bpf": "there is no eBPF dataplane", "Wireguard": "there is no WireGuard tunnel"}
)


def _not_applicable() -> dict[str, str]:
    found = {name: reason for reason, names in _REASONS.items() for name in names.split()}
    for prefix, reason in _FAMILIES.items():
        found |= {name: reason for name in PARAMS if name.startswith(prefix)}
    return found


#: Parameter → why it has no meaning here.
NOT_APPLICABLE: Final[Mapping[str, str]] = MappingProxyType(_not_applicable())

#: How the datastore is reached, and as whom: read when Felix starts.
AT_START: Final[frozenset[str]] = frozenset(
    {
        "DatastoreType",
        "EtcdAddr",
        "EtcdCaFile",
        "EtcdCertFile",
        "EtcdEndpoints",
        "EtcdKeyFile",
        "EtcdScheme",
        "FelixHostname",
    }
)


def effect(name: str) -> str:
    """Return what becomes of a parameter, for the documentation."""
    if (reason := NOT_APPLICABLE.get(name)) is not None:
        return f"not applicable: {reason}"
    if name in AT_START:
        return "yes, when Felix starts"
    return "yes"
