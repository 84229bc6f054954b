"""Decide what BIRD on this node is to do: own node, nodes, peers, configuration, pools, blocks → BirdConfig.

A resource that cannot be used is left out and named among the problems; the others are not held up.

Source: Calico's BGPConfiguration, BGPPeer and IPPool references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from calico_node.bgp import cluster as facts
from calico_node.bgp import sessions
from calico_node.bgp.cluster import Cluster, address_of
from calico_node.bgp.model import (
    BirdConfig,
    Block,
    Community,
    CommunityRule,
    Family,
    KernelRule,
    Network,
    Planned,
    PoolRule,
    Problem,
    StaticRoute,
    Version,
)
from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPPeer, PrefixAdvertisement
from libcalico.resources.ippools import IPPool

_INTERFACE_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,15}")
_HALF_WORD, _WORD = 2**16, 2**32


def plan(cluster: Cluster) -> Planned:
    """Return the whole configuration, and what was left out of it and why.

    Raises:
        ValidationError: the node cannot speak BGP at all: its own AS number or router id is wrong.
    """
    facts.own_as(cluster)
    problems: list[Problem] = []
    families = tuple(_family(cluster, version, problems) for version in (4, 6))
    config = BirdConfig(
        node=cluster.node_name,
        router_id=facts.router_id(cluster),
        listen_port=facts.listen_port(cluster),
        bind_to_address=cluster.setting("bind_mode") == "NodeIP",
        debug=facts.debug_level(cluster),
        ignored_interfaces=tuple(_ignored_interfaces(cluster, problems)),
        families=families,
    )
    return Planned(config, tuple(sorted(set(problems))))


def _family(cluster: Cluster, version: Version, problems: list[Problem]) -> Family:
    planned, session_problems = sessions.plan(cluster, version)
    problems += session_problems
    return Family(
        version=version,
        address=address_of(cluster.own, version),
        priority=facts.priority(cluster, version),
        blocks=tuple(sorted(_blocks(cluster, version, problems))),
        static_routes=tuple(sorted(set(_static_routes(cluster, version, problems)))),
        pools=tuple(sorted(_pools(cluster, version, problems), key=lambda rule: rule.cidr)),
        communities=tuple(_communities(cluster, version, problems)),
        sessions=planned,
    )


def _blocks(cluster: Cluster, version: Version, problems: list[Problem]) -> Iterator[Block]:
    """Yield the host's blocks. A pending claim is none yet; one that is given up is not announced."""
    for text, state in cluster.affinities.items():
        cidr = _network(text, "block affinity", problems)
        if cidr is not None and cidr.version == version and state != "pending":
            yield Block(cidr, announced=state in ("", "confirmed"))


def _network(text: str, subject: str, problems: list[Problem]) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        problems.append(Problem(subject, f"{text!r} is no CIDR"))
        return None


def _static_routes(
    cluster: Cluster, version: Version, problems: list[Problem]
) -> Iterator[StaticRoute]:
    for name, peer in cluster.peers.items():
        if not peer.spec.reachable_by:
            continue
        try:
            route = _static_route(peer)
            concerns_us = sessions.applies_to(peer, cluster.node_name, cluster.own)
        except ValidationError as error:
            problems.append(Problem(f"BGPPeer({name})", str(error)))
            continue
        if route.gateway.version == version and concerns_us:
            yield route


def _static_route(peer: BGPPeer) -> StaticRoute:
    address, _ = sessions.parse_peer_ip(peer.spec.peer_ip)
    try:
        gateway = ip_address(peer.spec.reachable_by)
    except ValueError:
        gateway = None
    if gateway is None or gateway.version != address.version:
        raise ValidationError(
            f"spec.reachableBy: {peer.spec.reachable_by!r} is no gateway; give an address of the"
            f" same IP version as {address}"
        )
    return StaticRoute(ip_network(address), gateway)


def _pools(cluster: Cluster, version: Version, problems: list[Problem]) -> Iterator[PoolRule]:
    felix_does_all = cluster.setting("program_cluster_routes") == "Disabled"
    for name, pool in sorted(cluster.pools.items()):
        cidr = _network(pool.spec.cidr, f"IPPool({name})", problems)
        if cidr is not None and cidr.version == version:
            rule = _kernel_rule(pool, felix_does_all=felix_does_all)
            yield PoolRule(cidr, exported=not pool.spec.disable_bgp_export, kernel=rule)


def _kernel_rule(pool: IPPool, *, felix_does_all: bool) -> KernelRule:
    if {pool.spec.vxlan_mode, pool.spec.ipip_mode} & {"Always", "CrossSubnet"}:
        return KernelRule.FELIX_TUNNEL
    return KernelRule.FELIX_ALL if felix_does_all else KernelRule.ACCEPT


def _ignored_interfaces(cluster: Cluster, problems: list[Problem]) -> Iterator[str]:
    for pattern in cluster.setting("ignored_interfaces"):
        if _INTERFACE_PATTERN.fullmatch(pattern) and pattern != "*":
            yield pattern
        else:
            problems.append(
                Problem("BGPConfiguration", f"ignoredInterfaces: {pattern!r} is no pattern")
            )


# --- communities -----------------------------------------------------------------------------------


def _communities(
    cluster: Cluster, version: Version, problems: list[Problem]
) -> Iterator[CommunityRule]:
    values = {c.name: c.value for c in cluster.setting("communities")}
    for advertisement in cluster.setting("prefix_advertisements"):
        cidr = _network(advertisement.cidr, "BGPConfiguration", problems)
        if cidr is None or cidr.version != version:
            continue
        found = tuple(_resolve(advertisement, values, problems))
        if found:
            yield CommunityRule(cidr, found)


def _resolve(
    advertisement: PrefixAdvertisement, values: dict[str, str], problems: list[Problem]
) -> Iterator[Community]:
    for text in dict.fromkeys(values.get(name, name) for name in advertisement.communities):
        try:
            yield parse_community(text)
        except ValidationError as error:
            problems.append(Problem(f"BGPConfiguration({advertisement.cidr})", str(error)))


def parse_community(text: str) -> Community:
    """Return the numbers of ``a:b`` (16 bits each) or ``a:b:c`` (32 bits each).

    Raises:
        ValidationError: it is neither.
    """
    parts = text.split(":")
    limit = _HALF_WORD if len(parts) == 2 else _WORD
    if len(parts) in (2, 3) and all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        numbers = tuple(int(part) for part in parts)
        if all(number < limit for number in numbers):
            return numbers
    raise ValidationError(f"{text!r} is no community; write a:b, a:b:c, or a name from communities")
