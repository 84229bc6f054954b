"""Rules of BGPConfiguration and BGPPeer. Source: ``calico-control-plane.md`` 2.4 and 2.5."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libcalico.resources import fieldchecks as check
from libcalico.resources.bgp import (
    BGPConfiguration,
    BGPConfigurationSpec,
    BGPPassword,
    BGPPeer,
    BGPPeerSpec,
)

_MAX_SELECTOR = 4096
_MAX_LOCAL_SELECTOR = 1024
_MAX_PEER_IP = 64
#: The largest priority that a route can have: BIRD's local preference counts down from one more.
MAX_PRIORITY = 2147483646
_COMMUNITY = re.compile(r"([0-9]{1,10}):([0-9]{1,10})(?::([0-9]{1,10}))?")
_PEER_V4_PORT = re.compile(r"([0-9.]+):([0-9]{1,5})")
_PEER_V6_PORT = re.compile(r"\[([0-9a-fA-F:.]+)\]:([0-9]{1,5})")


def check_bgp_configuration(config: BGPConfiguration) -> Iterator[str]:
    """Check a BGPConfiguration."""
    spec = config.spec
    if config.name == "default":
        if spec.node_mesh_password and spec.node_to_node_mesh_enabled is False:
            yield "spec.nodeMeshPassword: cannot be set when spec.nodeToNodeMeshEnabled is false"
        if spec.node_mesh_max_restart_time and spec.node_to_node_mesh_enabled is False:
            yield "spec.nodeMeshMaxRestartTime: cannot be set when spec.nodeToNodeMeshEnabled is false"
    else:
        yield from _check_node_configuration(config)
    if spec.log_severity_screen:
        yield from check.log_level("spec.logSeverityScreen", spec.log_severity_screen)
    if spec.as_number is not None:
        yield from check.as_number("spec.asNumber", spec.as_number)
    if spec.listen_port:
        yield from check.whole_number("spec.listenPort", spec.listen_port, 1, 65535)
    if spec.node_mesh_max_restart_time is not None:
        yield from check.duration("spec.nodeMeshMaxRestartTime", spec.node_mesh_max_restart_time)
    yield from _check_password("spec.nodeMeshPassword", spec.node_mesh_password)
    yield from _check_services(spec)
    yield from _check_communities(spec)
    yield from _check_host_side(spec)


def _check_node_configuration(config: BGPConfiguration) -> Iterator[str]:
    if not config.name.startswith("node."):
        yield f"metadata.name: {config.name!r} is not allowed; use default or node.<name>"
    spec = config.spec
    fields = {
        "nodeToNodeMeshEnabled": spec.node_to_node_mesh_enabled,
        "asNumber": spec.as_number,
        "serviceLoadBalancerIPs": spec.service_load_balancer_ips or None,
        "serviceExternalIPs": spec.service_external_ips or None,
        "serviceClusterIPs": spec.service_cluster_ips or None,
        "nodeMeshPassword": spec.node_mesh_password,
        "nodeMeshMaxRestartTime": spec.node_mesh_max_restart_time,
    }
    for field, value in fields.items():
        if value is not None:
            yield f"spec.{field}: Cannot set {field} on a non default BGP Configuration."


def _check_services(spec: BGPConfigurationSpec) -> Iterator[str]:
    services = {
        "serviceLoadBalancerIPs": spec.service_load_balancer_ips,
        "serviceExternalIPs": spec.service_external_ips,
        "serviceClusterIPs": spec.service_cluster_ips,
    }
    for field, members in services.items():
        for index, member in enumerate(members):
            yield from check.network(f"spec.{field}[{index}].cidr", member.cidr)


def _check_communities(spec: BGPConfigurationSpec) -> Iterator[str]:
    names = [community.name for community in spec.communities]
    yield from check.unique("spec.communities", names)
    if spec.communities and not spec.prefix_advertisements:
        yield "spec.communities: used by nothing; write spec.prefixAdvertisements, too"
    for index, community in enumerate(spec.communities):
        path = f"spec.communities[{index}]"
        if not community.name:
            yield f"{path}.name: missing"
        else:
            yield from check.subdomain(f"{path}.name", community.name)
        yield from check_community(f"{path}.value", community.value)
    for index, prefix in enumerate(spec.prefix_advertisements):
        path = f"spec.prefixAdvertisements[{index}]"
        yield from check.network(f"{path}.cidr", prefix.cidr)
        if not prefix.communities:
            yield f"{path}.communities: missing; write names from spec.communities, or values"
        for number, text in enumerate(prefix.communities):
            if text not in names:
                yield from check_community(f"{path}.communities[{number}]", text)


def check_community(path: str, text: str) -> Iterator[str]:
    """Require a community value, or (for the message) the name of one."""
    match = _COMMUNITY.fullmatch(text)
    if match:
        parts = [int(part) for part in match.groups() if part is not None]
        largest = 0xFFFF if len(parts) == 2 else 0xFFFFFFFF
        if max(parts) <= largest:
            return
    yield (
        f"{path}: {text!r} is no community; write a:b with 16-bit numbers, "
        "a:b:c with 32-bit numbers, or a name from spec.communities"
    )


def _check_host_side(spec: BGPConfigurationSpec) -> Iterator[str]:
    for index, text in enumerate(spec.ignored_interfaces):
        path = f"spec.ignoredInterfaces[{index}]"
        yield from check.matches(path, text, check.BGP_IGNORED_INTERFACE, "interface pattern")
        if text == "*":
            yield f"{path}: '*' would ignore every interface"
    for version, text in (
        (4, spec.local_workload_peering_ipv4),
        (6, spec.local_workload_peering_ipv6),
    ):
        if text:
            yield from check.address(f"spec.localWorkloadPeeringIPV{version}", text, version)
    for version, priority in (
        (4, spec.ipv4_normal_route_priority),
        (6, spec.ipv6_normal_route_priority),
    ):
        if priority is not None:
            path = f"spec.ipv{version}NormalRoutePriority"
            yield from check.whole_number(path, priority, 1, MAX_PRIORITY)


def check_bgp_peer(peer: BGPPeer) -> Iterator[str]:
    """Check a BGPPeer."""
    spec = peer.spec
    yield from _check_which_nodes(spec)
    yield from _check_which_peer(spec)
    for field, number in (("asNumber", spec.as_number), ("localASNumber", spec.local_as_number)):
        if number is not None:
            yield from check.as_number(f"spec.{field}", number)
    if spec.keep_original_next_hop and spec.next_hop_mode is not None:
        yield "spec.nextHopMode: cannot be set together with spec.keepOriginalNextHop"
    for field, text in (
        ("maxRestartTime", spec.max_restart_time),
        ("keepaliveTime", spec.keepalive_time),
    ):
        if text is not None:
            yield from check.duration(f"spec.{field}", text)
    if spec.num_allowed_local_as_numbers is not None:
        path = "spec.numAllowedLocalASNumbers"
        yield from check.whole_number(path, spec.num_allowed_local_as_numbers, 0, 2**31 - 1)
    if spec.ttl_security is not None:
        yield from check.whole_number("spec.ttlSecurity", spec.ttl_security, 0, 255)
    yield from _check_password("spec.password", spec.password)
    for index, name in enumerate(spec.filters):
        yield from check.subdomain(f"spec.filters[{index}]", name)


def _check_which_nodes(spec: BGPPeerSpec) -> Iterator[str]:
    if spec.node and spec.node_selector:
        yield "spec.nodeSelector: cannot be set together with spec.node"
    if spec.node:
        yield from check.subdomain("spec.node", spec.node)
    selectors = (
        ("nodeSelector", spec.node_selector, _MAX_SELECTOR),
        ("peerSelector", spec.peer_selector, _MAX_SELECTOR),
        ("localWorkloadSelector", spec.local_workload_selector, _MAX_LOCAL_SELECTOR),
    )
    for field, text, max_length in selectors:
        yield from check.selector(f"spec.{field}", text, max_length=max_length)


def _check_which_peer(spec: BGPPeerSpec) -> Iterator[str]:
    """``peerIP``, ``peerSelector`` and ``localWorkloadSelector`` exclude each other."""
    for rival, text in (
        ("peerSelector", spec.peer_selector),
        ("localWorkloadSelector", spec.local_workload_selector),
    ):
        if spec.peer_ip and text:
            yield f"spec.peerIP: cannot be set together with spec.{rival}"
    if spec.peer_selector and spec.local_workload_selector:
        yield "spec.localWorkloadSelector: cannot be set together with spec.peerSelector"
    if spec.peer_selector and spec.as_number:
        yield "spec.asNumber: must be empty with spec.peerSelector; nodes have their own"
    if spec.local_workload_selector and not spec.as_number:
        yield "spec.asNumber: missing; needed with spec.localWorkloadSelector"
    if spec.peer_ip:
        yield from _check_peer_ip(spec.peer_ip)
    if spec.reachable_by:
        yield from _check_reachable_by(spec)


def peer_address(text: str) -> tuple[str, int] | None:
    """Return address and port (0: not given) of a ``peerIP``, or None if it is none."""
    match = _PEER_V6_PORT.fullmatch(text) or _PEER_V4_PORT.fullmatch(text)
    address, port = (match[1], int(match[2])) if match else (text, 0)
    found = check.parse_address(address)
    if found is None or (match and not 1 <= port <= 65535):
        return None
    return str(found), port


def _check_peer_ip(text: str) -> Iterator[str]:
    if len(text) > _MAX_PEER_IP:
        yield f"spec.peerIP: longer than {_MAX_PEER_IP} characters"
    if peer_address(text) is None:
        yield (
            f"spec.peerIP: {text!r} is no peer; write 10.0.0.1, 10.0.0.1:179, fd00::1 or [fd00::1]:179"
        )


def _check_reachable_by(spec: BGPPeerSpec) -> Iterator[str]:
    gateway, peer = check.parse_address(spec.reachable_by), peer_address(spec.peer_ip)
    if gateway is None:
        yield f"spec.reachableBy: {spec.reachable_by!r} is no IP address"
    elif peer is None:
        yield "spec.reachableBy: needs spec.peerIP"
    elif (":" in peer[0]) != (gateway.version == 6):
        yield f"spec.reachableBy: {spec.reachable_by} is not of the family of spec.peerIP"


def _check_password(path: str, password: BGPPassword | None) -> Iterator[str]:
    if password is None:
        return
    reference = password.secret_key_ref
    if reference is None or not reference.key:
        yield f"{path}.secretKeyRef.key: missing"
