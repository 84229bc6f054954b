"""Felix's parameters → what rules, routes and the daemon's edges are made with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from calico_node.felix.config import Config
from calico_node.felix.dataplane.router import RouteSettings
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr, parse_address

#: Parameters that are read once, when Felix starts: they name sockets and files.
AT_START_ONLY: Final = frozenset(
    {
        "HealthEnabled",
        "HealthHost",
        "HealthPort",
        "PrometheusMetricsEnabled",
        "PrometheusMetricsHost",
        "PrometheusMetricsPort",
        "EndpointStatusPathPrefix",
        "LogFilePath",
    }
)


def rule_settings(config: Config) -> RuleSettings:
    """Return what rules depend on."""
    prefixes = _prefixes(config)
    return RuleSettings(
        interface_prefixes=prefixes,
        mark_mask=config["NftablesMarkMask"],
        endpoint_to_host=config["DefaultEndpointToHostAction"],
        deny=config["NftablesFilterDenyAction"],
        drop_invalid=not config["DisableConntrackInvalidCheck"],
        allow_vxlan_from_workloads=config["AllowVXLANPacketsFromWorkloads"],
        allow_ipip_from_workloads=config["AllowIPIPPacketsFromWorkloads"],
        vxlan_port=config["VxlanPort"],
        ipv6=config["Ipv6Support"],
        log_prefix=config["LogPrefix"],
        exclude_hosts_from_nat=config["NatOutgoingExclusions"] == "IPPoolsAndHostIPs",
        nat_outgoing_interface=config["IptablesNATOutgoingInterfaceFilter"],
    )


def route_settings(config: Config) -> RouteSettings:
    """Return what routes depend on."""
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
    )


def _prefixes(config: Config) -> tuple[str, ...]:
    return tuple(config["InterfacePrefix"].split(","))


def _sources(values: Mapping[str, Any]) -> dict[int, Cidr]:
    named = {4: values["DeviceRouteSourceAddress"], 6: values["DeviceRouteSourceAddressIPv6"]}
    return {version: parse_address(text) for version, text in named.items() if text}
