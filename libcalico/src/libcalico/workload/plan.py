"""From an attachment to a WorkloadEndpoint, and to the requests that make its interface. Pure.

Source: ``calico-dataplane.md`` 6.3 (addresses and routes inside), 3.6 (settings of the host end),
``calico-control-plane.md`` 10.1 (what the endpoint says).
"""

from __future__ import annotations

from collections.abc import Sequence

from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.macs import WORKLOAD_HOST_MAC, mac_text
from libcalico.netlink import addresses, links, neighbours, routes, rules, sysctl
from libcalico.netlink.addresses import IFA_F_NODAD
from libcalico.netlink.links import Change, Veth
from libcalico.netlink.neighbours import Neighbour
from libcalico.netlink.routes import PROTOCOL_BOOT, SCOPE_LINK, SCOPE_UNIVERSE, Route
from libcalico.netlink.rules import Rule
from libcalico.resources.endpoints import WorkloadEndpoint, WorkloadEndpointSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.names import NAMESPACE_LABEL, ORCHESTRATOR_LABEL, name_of
from libcalico.workload.model import (
    DEFAULT_MTU,
    GATEWAY_V4,
    GATEWAY_V6,
    Attachment,
    Identity,
)
from libcalico.workload.precedence import EVERYTHING, FIRST_TABLE, RULE_PRIORITY

_GATEWAYS = {4: GATEWAY_V4, 6: GATEWAY_V6}
_LINK_LOCAL = Cidr(6, GATEWAY_V6.value, 64)


def spec_of(identity: Identity) -> WorkloadEndpointSpec:
    """Return the identifying part of an endpoint's spec."""
    return WorkloadEndpointSpec(
        orchestrator=identity.orchestrator,
        workload=identity.workload,
        node=identity.node,
        container_id=identity.container_id,
        pod=identity.pod,
        endpoint=identity.endpoint,
    )


def endpoint_name(identity: Identity) -> str:
    """Return the endpoint's name. Raises ValidationError if the identity is incomplete."""
    return name_of(spec_of(identity))


def endpoint(attachment: Attachment, mac: bytes, cidrs: Sequence[Cidr]) -> WorkloadEndpoint:
    """Return the endpoint to store."""
    identity = attachment.identity
    labels = dict(attachment.labels) | {
        NAMESPACE_LABEL: identity.namespace,
        ORCHESTRATOR_LABEL: identity.orchestrator,
    }
    spec = spec_of(identity).with_(
        ip_networks=[str(cidr) for cidr in cidrs],
        profiles=list(attachment.profiles),
        interface_name=attachment.host_interface,
        mac=mac_text(mac),
        ports=list(attachment.ports),
    )
    metadata = ObjectMeta(
        name=endpoint_name(identity),
        namespace=identity.namespace,
        labels=labels,
        annotations=dict(attachment.annotations),
    )
    return WorkloadEndpoint(metadata=metadata, spec=spec)


def again(stored: WorkloadEndpoint, wanted: WorkloadEndpoint) -> WorkloadEndpoint:
    """Return a stored endpoint changed to what is wanted now; what others added to it stays."""
    metadata = stored.metadata.with_(
        labels=wanted.metadata.labels,
        annotations=stored.metadata.annotations | wanted.metadata.annotations,
    )
    spec = stored.spec.with_(
        container_id=wanted.spec.container_id,
        ip_networks=wanted.spec.ip_networks,
        profiles=wanted.spec.profiles,
        interface_name=wanted.spec.interface_name,
        mac=wanted.spec.mac,
        ports=wanted.spec.ports,
    )
    return stored.with_(metadata=metadata, spec=spec)


def veth(attachment: Attachment, mac: bytes, netns_fd: int | None) -> Veth:
    """Return the pair to make; its peer is born in the workload's namespace, or, None, in the host's."""
    return Veth(
        name=attachment.host_interface,
        peer=attachment.interface,
        peer_netns=netns_fd,
        mac=WORKLOAD_HOST_MAC,
        peer_mac=mac,
        mtu=attachment.mtu or DEFAULT_MTU,
    )


def versions(cidrs: Sequence[Cidr]) -> list[int]:
    """Return the address families in use, in order."""
    return sorted({cidr.version for cidr in cidrs})


def inside_sysctls(attachment: Attachment, cidrs: Sequence[Cidr]) -> dict[str, int | str]:
    """Return the settings inside the namespace, to be written before the interface is up."""
    settings: dict[str, int | str] = {}
    if 6 in versions(cidrs):
        for scope in ("all", "default", "lo", attachment.interface):
            settings[sysctl.interface_key(6, scope, "disable_ipv6")] = "0"
        settings[sysctl.interface_key(6, attachment.interface, "accept_dad")] = "0"
    if attachment.forwarding is not None:
        value = "1" if attachment.forwarding else "0"
        settings["net/ipv4/ip_forward"] = value
        if 6 in versions(cidrs):
            settings["net/ipv6/conf/all/forwarding"] = value
    return settings


def with_addresses(stored: WorkloadEndpoint, cidrs: Sequence[Cidr]) -> WorkloadEndpoint:
    """Return a stored endpoint with further addresses; those that it has are not doubled."""
    networks = dict.fromkeys([*stored.spec.ip_networks, *(str(cidr) for cidr in cidrs)])
    return stored.with_(spec=stored.spec.with_(ip_networks=list(networks)))


def without_addresses(stored: WorkloadEndpoint, cidrs: Sequence[Cidr]) -> WorkloadEndpoint:
    """Return a stored endpoint without some of its addresses."""
    kept = [n for n in stored.spec.ip_networks if parse_cidr(n, strict=False) not in cidrs]
    return stored.with_(spec=stored.spec.with_(ip_networks=kept))


def inside(
    attachment: Attachment, link: int, cidrs: Sequence[Cidr], priority: int = 0
) -> list[bytes]:
    """Return the requests that configure the end inside the namespace, in order.

    Args:
        link: its index there.
        cidrs: the workload's addresses, /32 or /128.
        priority: metric of the routes. If it is not 0, what comes from these addresses leaves by this
            interface all the same: the host would take it for spoofed at another.
    """
    requests = [
        links.encode_change("lo", Change(is_up=True)),
        links.encode_change(link, Change(is_up=True)),
    ]
    for cidr in cidrs:
        flags = IFA_F_NODAD if cidr.version == 6 else 0
        requests.append(addresses.encode_replace(addresses.Address(cidr, link, flags=flags)))
    for version in versions(cidrs):
        gateway = _GATEWAYS[version]
        # The entry spares the first packet a question; the host answers those who ask all the same.
        entry = Neighbour(gateway, link, WORKLOAD_HOST_MAC)
        requests.append(neighbours.encode_replace(entry))
        requests += _encoded_routes(attachment, link, version, routes.TABLE_MAIN, priority)
    if priority:
        requests += _routes_by_source(attachment, link, cidrs)
    return requests


def _encoded_routes(
    attachment: Attachment, link: int, version: int, table: int, priority: int
) -> list[bytes]:
    gateway = _GATEWAYS[version]
    way = Route(gateway, link, None, None, table, PROTOCOL_BOOT, SCOPE_LINK, priority=priority)
    ways = [way] if version == 4 else []
    ways += [
        way._replace(dst=destination, gateway=gateway, scope=SCOPE_UNIVERSE)
        for destination in _destinations(attachment, version)
    ]
    return [routes.encode_replace(way) for way in ways]


def _routes_by_source(attachment: Attachment, link: int, cidrs: Sequence[Cidr]) -> list[bytes]:
    table = FIRST_TABLE + link
    ways = [
        request
        for version in versions(cidrs)
        for request in _encoded_routes(attachment, link, version, table, 0)
    ]
    return ways + [rules.encode_add(Rule(cidr, table, RULE_PRIORITY)) for cidr in cidrs]


def _destinations(attachment: Attachment, version: int) -> list[Cidr]:
    own = [route for route in attachment.routes if route.version == version]
    default = [EVERYTHING[version]] if attachment.default_route or not own else []
    return [*default, *(route for route in own if route not in default)]


def host_sysctls(interface: str, cidrs: Sequence[Cidr]) -> dict[str, int | str]:
    """Return the settings of the host end. Felix keeps the same ones."""
    settings: dict[str, int | str] = {}
    if 4 in versions(cidrs):
        settings |= {
            sysctl.interface_key(4, interface, "route_localnet"): "1",
            sysctl.interface_key(4, interface, "proxy_arp"): "1",
            sysctl.neighbour_key(4, interface, "proxy_delay"): "0",
            sysctl.interface_key(4, interface, "forwarding"): "1",
        }
    if 6 in versions(cidrs):
        settings |= {
            sysctl.interface_key(6, interface, "disable_ipv6"): "0",
            sysctl.interface_key(6, interface, "accept_ra"): "0",
            sysctl.interface_key(6, interface, "accept_dad"): "0",
            sysctl.interface_key(6, interface, "proxy_ndp"): "1",
            sysctl.interface_key(6, interface, "forwarding"): "1",
        }
    return settings


def host_gateway(link: int, cidrs: Sequence[Cidr]) -> list[bytes]:
    """Return the requests that give the host end the address which workloads send IPv6 to."""
    if 6 not in versions(cidrs):
        return []
    gateway = addresses.Address(_LINK_LOCAL, link, scope=addresses.SCOPE_LINK, flags=IFA_F_NODAD)
    return [addresses.encode_replace(gateway)]


def host_routes(link: int, cidrs: Sequence[Cidr]) -> list[Route]:
    """Return the routes that lead to the workload's addresses by its host end.

    They are those that Felix keeps by default, so that Felix finds what it would install.
    """
    return [
        Route(
            cidr,
            link,
            scope=SCOPE_LINK if cidr.version == 4 else 0,
            protocol=routes.PROTOCOL_BOOT,
            priority=routes.WORKLOAD_PRIORITY,
        )
        for cidr in cidrs
    ]
