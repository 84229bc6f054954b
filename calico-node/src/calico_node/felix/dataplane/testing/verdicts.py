"""What must become of packets of a random world on their way through the host. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from calico_node.felix.dataplane.testing import network
from calico_node.felix.nft.keys import Atom
from calico_node.felix.nft.model import AddressType, CtState, Field, NfProto
from calico_node.felix.program.settings import FailsafePort, RuleSettings
from libcalico.net.addresses import Cidr, parse_address
from libcalico.policy import (
    Endpoint,
    Packet,
    Passage,
    Step,
    Verdict,
    World,
    evaluate_endpoint,
    evaluate_passage,
    governing,
    is_untracked,
)
from libcalico.policy.hosts import Failsafe
from libcalico.policy.model import Direction

#: The host's own addresses.
ADDRESSES: Final = [parse_address(text) for text in network.UPLINK]


def _ports(failsafes: Iterable[Failsafe]) -> tuple[FailsafePort, ...]:
    return tuple(FailsafePort(port.protocol, port.port, port.net) for port in failsafes)


#: What a host is set to. What policy says about packets that connection tracking calls invalid, and about
#: tunnels, is to be seen, too.
RULES: Final = RuleSettings(
    drop_invalid=False,
    allow_ipip_from_workloads=True,
    allow_vxlan_from_workloads=True,
    endpoint_to_host="Return",
    failsafe_inbound=_ports(network.FAILSAFES.inbound),
    failsafe_outbound=_ports(network.FAILSAFES.outbound),
)
_ICMP: Final = {4: 1, 6: 58}
#: What a workload may always ask its host, or tell it.
_DISCOVERY: Final = frozenset({130, 131, 132, 133, 135, 136, 143})
#: How a packet goes → the hooks that it passes.
HOOKS: Final = {
    "in": ("prerouting", "input"),
    "out": ("output", "postrouting"),
    "through": ("prerouting", "forward", "postrouting"),
}


def decide(world: World, packet: Packet, translated: Packet | None = None) -> Verdict:
    """Return the evaluator's verdict of this host, which decides about its own workloads and itself only.

    Args:
        translated: the packet behind destination NAT; None: none is done.
    """
    by_workloads = _decide_about_workloads(world, translated or packet)
    if not by_workloads.allowed:
        return by_workloads
    way = passage(world, packet, translated)
    by_host = evaluate_passage(world, way, network.FAILSAFES)
    return Verdict(by_host.allowed, by_workloads.steps + by_host.steps)


def behind_nat(world: World, packet: Packet) -> Packet:
    """Return a packet as the NAT of these worlds leaves it; without tracking there is none."""
    if is_untracked(world, passage(world, packet), network.FAILSAFES):
        return packet
    return network.translated(packet) or packet


def passage(world: World, packet: Packet, translated: Packet | None = None) -> Passage:
    """Return how a packet goes through this host, and what governs its interfaces."""
    kind: Literal["in", "out", "through"] = "through"
    destination = (translated or packet).destination
    if packet.source in ADDRESSES or destination in ADDRESSES:
        kind = "in" if destination in ADDRESSES else "out"
    arrives, leaves = network.place(packet.source), way_out(world, destination)
    return Passage(
        kind=kind,
        packet=packet,
        translated=translated,
        arriving=None if kind == "out" else governing(world, network.HOST, arrives, _at(arrives)),
        leaving=None if kind == "in" else governing(world, network.HOST, leaves, _at(leaves)),
        from_workload=arrives != network.OUTSIDE,
        to_workload=leaves != network.OUTSIDE,
    )


def way_out(world: World, destination: Cidr) -> str:
    """Return the interface that routes lead to; what is for nobody here leaves by the default route."""
    is_local = local_endpoint(world, destination) is not None
    return network.place(destination) if is_local else network.OUTSIDE


def local_endpoint(world: World, address: Cidr) -> Endpoint | None:
    """Return the endpoint of this host that has an address; of several the one that comes first by name."""
    interface = network.place(address)
    found = [e for e in world.endpoints_at(address) if interface in e.id.name]
    return min(found, key=lambda e: (e.id.namespace, e.id.name), default=None)


def _at(interface: str) -> list[Cidr]:
    return ADDRESSES if interface == network.OUTSIDE else []


def _decide_about_workloads(world: World, packet: Packet) -> Verdict:
    if packet.source in ADDRESSES:
        return Verdict(allowed=True)  # the host reaches its workloads, whatever their policy
    steps: tuple[Step, ...] = ()
    ends: tuple[tuple[Direction, Cidr], ...] = (
        ("egress", packet.source),
        ("ingress", packet.destination),
    )
    for direction, address in ends:
        endpoint = local_endpoint(world, address)
        if endpoint is not None and _is_discovery(packet):
            return Verdict(allowed=True)  # a workload may always ask its host for neighbours
        if endpoint is not None:
            verdict = evaluate_endpoint(world, endpoint, direction, packet)
            steps += verdict.steps
            if not verdict.allowed:
                return verdict
        elif direction == "egress" and network.place(address) != network.OUTSIDE:
            return Verdict(allowed=False)  # an interface that nobody has registered
    return Verdict(allowed=True, steps=steps)


def _is_discovery(packet: Packet) -> bool:
    return (
        packet.destination in ADDRESSES
        and packet.protocol == _ICMP[6]
        and packet.icmp_type in _DISCOVERY
    )


def headers(world: World, packet: Packet) -> dict[Field, Atom]:
    """Return the packet, the first of a connection, as rules see it where that world's routes lead it."""
    way = passage(world, packet)
    is_v4 = packet.version == 4
    found: dict[Field, Atom] = {
        Field.NFPROTO: NfProto.IPV4 if is_v4 else NfProto.IPV6,
        Field.L4PROTO: packet.protocol,
        Field.MARK: 0,
        Field.CT_STATE: CtState.NEW,
        Field.CT_STATUS: 0,
        Field.FIB_SADDR_TYPE: AddressType.LOCAL if way.kind == "out" else AddressType.UNICAST,
        Field.FIB_DADDR_TYPE: AddressType.LOCAL if way.kind == "in" else AddressType.UNICAST,
        (Field.IP_SADDR if is_v4 else Field.IP6_SADDR): packet.source.packed(),
        (Field.IP_DADDR if is_v4 else Field.IP6_DADDR): packet.destination.packed(),
        **_transport(packet),
    }
    if way.kind != "out":
        found[Field.IIFNAME] = network.place(packet.source)
    if way.kind != "in":
        found[Field.OIFNAME] = way_out(world, packet.destination)
    return found


def _transport(packet: Packet) -> dict[Field, Atom]:
    """Return the ports; other protocols have something else there, which rules read all the same."""
    if packet.protocol != _ICMP[packet.version]:
        return {
            Field.SPORT: packet.source_port or 0,
            Field.DPORT: packet.destination_port or 0,
        }
    kind, code = packet.icmp_type or 0, packet.icmp_code or 0
    is_v4 = packet.version == 4
    return {
        (Field.ICMP_TYPE if is_v4 else Field.ICMPV6_TYPE): kind,
        (Field.ICMP_CODE if is_v4 else Field.ICMPV6_CODE): code,
        Field.SPORT: kind << 8 | code,
        Field.DPORT: 0,
    }
