"""Whether one rule matches one packet: all conditions that are present must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import protocol_number
from libcalico.policy.model import Endpoint, HostEndpoint, Packet, World
from libcalico.resources import rewrite
from libcalico.resources.policy import EntityRule, ICMPFields, Port, Protocol, Rule
from libcalico.selector import parse

_ICMP = {4: 1, 6: 58}


def matches(rule: Rule, namespace: str, packet: Packet, world: World) -> bool:
    """Return whether the rule of a policy in ``namespace`` (empty: global, profile) matches."""
    return (
        rule.http is None  # nobody here looks into requests: what allows some must not allow all
        and rule.ip_version in (None, packet.version)
        and _protocol(rule, packet)
        and _icmp(rule.icmp, rule.not_icmp, packet)
        and _side(rule.source, rule, namespace, packet.source, packet.source_port, packet, world)
        and _side(
            rule.destination,
            rule,
            namespace,
            packet.destination,
            packet.destination_port,
            packet,
            world,
        )
    )


def _protocol(rule: Rule, packet: Packet) -> bool:
    if rule.protocol is not None and protocol_number(rule.protocol) != packet.protocol:
        return False
    return rule.not_protocol is None or protocol_number(rule.not_protocol) != packet.protocol


def _icmp(icmp: ICMPFields | None, not_icmp: ICMPFields | None, packet: Packet) -> bool:
    """A rule that looks at ICMP fields, even to exclude some, only matches ICMP packets.

    Without a type there is nothing to look at, as if the field were not there.
    """
    wanted, unwanted = _criteria(icmp), _criteria(not_icmp)
    if wanted is None and unwanted is None:
        return True
    if packet.protocol != _ICMP[packet.version]:
        return False
    return (wanted is None or _is_icmp(wanted, packet)) and not (
        unwanted is not None and _is_icmp(unwanted, packet)
    )


def _criteria(fields: ICMPFields | None) -> ICMPFields | None:
    return None if fields is None or fields.type is None else fields


def _is_icmp(fields: ICMPFields, packet: Packet) -> bool:
    return fields.type == packet.icmp_type and fields.code in (None, packet.icmp_code)


def _side(
    side: EntityRule,
    rule: Rule,
    namespace: str,
    address: Cidr,
    port: int | None,
    packet: Packet,
    world: World,
) -> bool:
    positive, negative = rewrite.entity_selectors(side, namespace)
    if side.services is not None:
        return False  # services are known to the Kubernetes datastore only
    return (
        _nets(side, address)
        and _selected(positive, negative, address, world)
        and _ports(side, positive, negative, rule.protocol, address, port, packet, world)
    )


def _nets(side: EntityRule, address: Cidr) -> bool:
    if side.nets and not _in_any(side.nets, address):
        return False
    return not (side.not_nets and _in_any(side.not_nets, address))


def _in_any(nets: Sequence[str], address: Cidr) -> bool:
    return any(parse_cidr(net, strict=False).contains(address) for net in nets)


def _selected(positive: str, negative: str, address: Cidr, world: World) -> bool:
    """With both, one and the same owner of the address must match the one and not the other."""
    if positive:
        return any(_owner_matches(labels, positive, negative) for labels in _owners(address, world))
    if negative:
        return not any(_owner_matches(labels, negative, "") for labels in _owners(address, world))
    return True


def _owners(address: Cidr, world: World) -> list[Mapping[str, str]]:
    """Return the labels of every endpoint that has the address and every set that contains it."""
    return [e.labels for e in world.owners_of(address)] + [
        s.labels for s in world.net_sets if any(net.contains(address) for net in s.nets)
    ]


def _owner_matches(labels: Mapping[str, str], positive: str, negative: str) -> bool:
    if not parse(positive).evaluate(labels):
        return False
    return not negative or not parse(negative).evaluate(labels)


def _ports(  # noqa: PLR0917, PLR0913 - see _side
    side: EntityRule,
    positive: str,
    negative: str,
    protocol: Protocol | None,
    address: Cidr,
    port: int | None,
    packet: Packet,
    world: World,
) -> bool:
    def is_one_of(ports: Sequence[Port], candidates: Sequence[Endpoint | HostEndpoint]) -> bool:
        return port is not None and any(
            _is_port(wanted, port, protocol, packet, candidates) for wanted in ports
        )

    at_address = world.owners_of(address)
    restricted = [
        e for e in at_address if not positive or _owner_matches(e.labels, positive, negative)
    ]
    if side.ports and not is_one_of(side.ports, restricted):
        return False
    if not side.not_ports:
        return True
    has_numbers = any(not _is_name(wanted) for wanted in side.not_ports)
    if port is None and has_numbers:
        return False  # a packet without ports cannot be compared with one
    return not is_one_of(side.not_ports, at_address)


def _is_name(wanted: Port) -> bool:
    return isinstance(wanted, str) and ":" not in wanted


def _is_port(
    wanted: Port,
    port: int,
    protocol: Protocol | None,
    packet: Packet,
    candidates: Sequence[Endpoint | HostEndpoint],
) -> bool:
    if isinstance(wanted, int):
        return port == wanted
    if not _is_name(wanted):
        first, last = wanted.split(":")
        return int(first) <= port <= int(last)
    return any(
        named.name == wanted
        and named.port == port
        and protocol_number(named.protocol) == packet.protocol
        and protocol in (None, *_same(protocol, packet))
        for endpoint in candidates
        for named in endpoint.ports
    )


def _same(protocol: Protocol | None, packet: Packet) -> tuple[Protocol, ...]:
    """Return ``protocol`` itself if it is the packet's, so that the caller can ask "in"."""
    if protocol is not None and protocol_number(protocol) == packet.protocol:
        return (protocol,)
    return ()
