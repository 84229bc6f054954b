"""Felix's parameters → what rules, routes and the daemon's edges are made with. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from calico_node.felix.config import Config
from calico_node.felix.dataplane.audits import Audit
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.loggers import LogSettings
from calico_node.felix.nft.keys import Range
from calico_node.felix.program import logs
from calico_node.felix.program.settings import MarkMaskError, Marks, RuleSettings, failsafe_ports
from calico_node.felix.routes.overlay import OverlaySettings
from calico_node.felix.routes.settings import RouteSettings
from calico_node.health.model import Setting, Tls
from libcalico.errors import ConfigError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr

#: The component of Felix's health that speaks for its loop.
DATAPLANE: Final = "Dataplane"
#: Interfaces of OpenStack's machines begin so; then its ways hold.
_OPENSTACK_PREFIX: Final = "tap"
#: Whether clients that ask for metrics over TLS need a certificate. One that nobody verifies proves nothing.
_CLIENTS: Final[dict[str, Literal["none", "optional", "required"]]] = {
    "NoClientCert": "none",
    "VerifyClientCertIfGiven": "optional",
    "RequireAnyClientCert": "required",
    "RequireAndVerifyClientCert": "required",
}
#: Matches no text.
_NOTHING: Final = r"(?!)"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where Felix answers; ``tls``: what it speaks TLS with there, None: it does not."""

    host: str
    port: int
    tls: Tls | None = None


def health_listener(config: Config) -> Listener | None:
    """Return where Felix tells of its health, None for nowhere."""
    if not config["HealthEnabled"]:
        return None
    return Listener(config["HealthHost"], config["HealthPort"])


def metrics_listener(config: Config) -> Listener | None:
    """Return where Felix shows its metrics, None for nowhere."""
    if not config["PrometheusMetricsEnabled"]:
        return None
    host, port = config["PrometheusMetricsHost"], config["PrometheusMetricsPort"]
    return Listener(host, port, _metrics_tls(config))


def _metrics_tls(config: Config) -> Tls | None:
    """Return what metrics are served with over TLS; one file alone asks for it, and is an error later."""
    certificate, key, authority = (
        Setting(name, config[name])
        for name in (
            "PrometheusMetricsCertFile",
            "PrometheusMetricsKeyFile",
            "PrometheusMetricsCAFile",
        )
    )
    if not (certificate.path or key.path or authority.path):
        return None
    return Tls(certificate, key, authority, _CLIENTS[config["PrometheusMetricsClientAuth"]])


def log_settings(config: Config) -> LogSettings:
    """Return where and what Felix logs."""
    return LogSettings(
        screen=config["LogSeverityScreen"] or "none",
        file=config["LogFilePath"] or "",
        file_level=config["LogSeverityFile"] or "",
        syslog_level=config["LogSeveritySys"] or "",
        debug_files=config["LogDebugFilenameRegex"],
    )


def health_timeouts(config: Config) -> dict[str, float]:
    """Return component → seconds of silence after which it counts as hanging; 0: never.

    The dataplane also answers to the name that Go Felix's main loop has.
    """
    overrides = dict(config["HealthTimeoutOverrides"] or {})
    if (main_loop := overrides.pop("InternalDataplaneMainLoop", None)) is not None:
        overrides.setdefault(DATAPLANE, main_loop)
    return {DATAPLANE: config["DataplaneWatchdogTimeout"], **overrides}


def audit_intervals(config: Config) -> dict[Audit, float]:
    """Return what is compared with the kernel though nothing told of a change → seconds between; 0: never."""
    return {
        "nftables": config["NftablesRefreshInterval"],
        "routes": config["RouteRefreshInterval"],
        "interfaces": config["InterfaceRefreshInterval"],
    }


def host_settings(
    config: Config, hostname: str
) -> tuple[RuleSettings, RouteSettings, FirewallSettings]:
    """Return what the dataplane of a node depends on. Raises as :func:`rule_settings`."""
    return (
        rule_settings(config),
        route_settings(config, hostname),
        firewall_settings(config),
    )


def rule_settings(config: Config) -> RuleSettings:
    """Return what rules depend on.

    Raises:
        ConfigError: the mark mask leaves too few bits.
    """
    prefixes = _prefixes(config)
    try:
        Marks.of_mask(config["NftablesMarkMask"])
    except MarkMaskError as error:
        origin = config.origins.get("NftablesMarkMask", "default")
        raise ConfigError(f"{origin}: NftablesMarkMask: {error}") from error
    return RuleSettings(
        interface_prefixes=prefixes,
        mark_mask=config["NftablesMarkMask"],
        endpoint_to_host=config["DefaultEndpointToHostAction"],
        deny=config["NftablesFilterDenyAction"],
        drop_invalid=not config["DisableConntrackInvalidCheck"],
        allow_vxlan_from_workloads=config["AllowVXLANPacketsFromWorkloads"],
        allow_ipip_from_workloads=config["AllowIPIPPacketsFromWorkloads"],
        allow_spoofing=config["WorkloadSourceSpoofing"] == "Any",
        vxlan_port=config["VxlanPort"],
        ipv6=config["Ipv6Support"],
        log_prefix=config["LogPrefix"],
        log_limit=logs.limit(config["LogActionRateLimit"], config["LogActionRateLimitBurst"]),
        exclude_hosts_from_nat=config["NatOutgoingExclusions"] == "IPPoolsAndHostIPs",
        failsafe_inbound=failsafe_ports(config["FailsafeInboundHostPorts"]),
        failsafe_outbound=failsafe_ports(config["FailsafeOutboundHostPorts"]),
        nat_outgoing_interface=config["IptablesNATOutgoingInterfaceFilter"],
        nat_ports=Range(*ports) if (ports := config["NatPortRange"]) else None,
        nat_outgoing_address=parse_address(address)
        if (address := config["NatOutgoingAddress"])
        else None,
        floating_ips=_has_floating_ips(config),
        service_loops=config["ServiceLoopPrevention"],
        external_nodes=tuple(map(parse_cidr, config["ExternalNodesCIDRList"])),
        serves_addresses=_OPENSTACK_PREFIX in prefixes,
        vxlan=config["VxlanEnabled"],
        ipip=config["IpInIpEnabled"],
    )


def route_settings(config: Config, hostname: str = "") -> RouteSettings:
    """Return what routes of a node depend on."""
    return RouteSettings(
        interface_prefixes=_prefixes(config),
        protocol=config["DeviceRouteProtocol"],
        priorities={
            4: config["Ipv4NormalRoutePriority"],
            6: config["Ipv6NormalRoutePriority"],
        },
        sources=_sources(config.values),
        ipv6=config["Ipv6Support"],
        ip_forwarding=config["IpForwarding"] == "Enabled",
        is_disabled=config["RouteSyncDisabled"],
        overlay=overlay_settings(config, hostname),
        floating_ips=_has_floating_ips(config),
        removes_strays=config["RemoveExternalRoutes"],
    )


def firewall_settings(config: Config) -> FirewallSettings:
    """Return what our rules in the host's own firewall depend on."""
    return FirewallSettings(
        interface_prefixes=_prefixes(config),
        accepts=config["NftablesFilterAllowAction"] == "Accept",
        appends=config["ChainInsertMode"] == "Append",
        versions=(4, 6) if config["Ipv6Support"] else (4,),
    )


def overlay_settings(config: Config, hostname: str) -> OverlaySettings:
    """Return what a node's tunnels depend on."""
    return OverlaySettings(
        hostname=hostname,
        vni=config["VxlanVNI"],
        port=config["VxlanPort"],
        mtus={4: config["VxlanMTU"], 6: config["VxlanMTUV6"]},
        mtu_interfaces=config["MtuIfacePattern"],
        versions=(4, 6) if config["Ipv6Support"] else (4,),
        ipip_mtu=config["IpInIpMtu"],
        vxlan=config["VxlanEnabled"],
        ipip=config["IpInIpEnabled"],
        has_unencapsulated=config["ProgramClusterRoutes"] == "Enabled",
    )


def needs_blocks(config: Config, *, has_overlay: bool) -> bool:
    """Return whether it matters at which nodes the cluster's blocks are.

    Args:
        has_overlay: whether a pool is encapsulated.
    """
    has_routes = has_overlay or config["ProgramClusterRoutes"] == "Enabled"
    return has_routes and config["RouteSource"] == "CalicoIPAM" and not config["RouteSyncDisabled"]


def excluded_interfaces(config: Config) -> re.Pattern[str]:
    """Return what the names of the interfaces match of which no host endpoint is told an address."""
    named = (
        text[1:-1] if _is_expression(text) else rf"\A{re.escape(text)}\Z"
        for text in config["InterfaceExclude"]
    )
    return re.compile("|".join(f"(?:{one})" for one in named) or _NOTHING)


def _is_expression(text: str) -> bool:
    return text[:1] == "/" == text[-1:] and len(text) > 1


def _prefixes(config: Config) -> tuple[str, ...]:
    return tuple(config["InterfacePrefix"].split(","))


def _has_floating_ips(config: Config) -> bool:
    return config["FloatingIPs"] == "Enabled" or _OPENSTACK_PREFIX in _prefixes(config)


def _sources(values: Mapping[str, Any]) -> dict[int, Cidr]:
    named = {4: values["DeviceRouteSourceAddress"], 6: values["DeviceRouteSourceAddressIPv6"]}
    return {version: parse_address(text) for version, text in named.items() if text}
