"""What host endpoints decide about a packet on its way into, out of, or through one host.

A packet meets untracked policy, then policy before destination NAT, then that of the interface where
it arrives, then that of the interface where it leaves; the first that denies ends it. One that an
early flavour allows is not looked at again where it arrives. Source: calico-control-plane reference,
section 4, and calico-dataplane reference, sections 2.4, 2.5, 2.9 and 2.10.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from libcalico.net.addresses import Cidr
from libcalico.policy.evaluate import evaluate_profiles, evaluate_tiers
from libcalico.policy.model import Direction, HostEndpoint, Packet, Step, Verdict, World
from libcalico.resources.hostendpoints import ALL_INTERFACES

_LOOPBACK = "lo"
_ICMPV6 = 58
#: Multicast listeners, and router and neighbour discovery: without these a host has no IPv6.
_NEIGHBOUR_TYPES = frozenset({*range(130, 137), 143})


@dataclass(frozen=True, slots=True)
class Failsafe:
    """A port that policy never closes; ``net`` None: whoever is at the other end."""

    protocol: int
    port: int
    net: Cidr | None = None


@dataclass(frozen=True, slots=True)
class Failsafes:
    """Ports of this host, and ports of others that it reaches."""

    inbound: tuple[Failsafe, ...] = ()
    outbound: tuple[Failsafe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How a packet goes through a host.

    Args:
        kind: to the host itself, from it, or forwarded by it.
        packet: as it came.
        translated: as it is after destination NAT; None: the same.
        arriving, leaving: what governs the interface where it comes in and goes out, None: nothing.
        from_workload, to_workload: whether that interface is one of a workload.
    """

    kind: Literal["in", "out", "through"]
    packet: Packet
    translated: Packet | None = None
    arriving: HostEndpoint | None = None
    leaving: HostEndpoint | None = None
    from_workload: bool = False
    to_workload: bool = False


def governing(
    world: World, node: str, interface: str, addresses: Collection[Cidr]
) -> HostEndpoint | None:
    """Return the host endpoint that governs an interface with these addresses, None if none does.

    One that names the interface, or that names none and expects one of its addresses, comes before one
    of all interfaces; of several the first by name. What a host sends to itself is never policed.
    """
    here = sorted((h for h in world.hosts if h.node == node), key=lambda h: h.id.name)
    if interface == _LOOPBACK:
        return None
    named = (h for h in here if _is_meant(h, interface, addresses))
    of_all = (h for h in here if h.interface == ALL_INTERFACES)
    return next(named, None) or next(of_all, None)


def _is_meant(host: HostEndpoint, interface: str, addresses: Collection[Cidr]) -> bool:
    if host.interface:
        return host.interface == interface
    return any(address in addresses for address in host.addresses)


def evaluate_passage(world: World, passage: Passage, failsafes: Failsafes) -> Verdict:
    """Return what host endpoints decide; workloads' own policy comes on top of it."""
    steps: list[Step] = []
    arriving, leaving = passage.arriving, passage.leaving
    inside = passage.translated or passage.packet
    allowed: bool | None = None
    if arriving is not None:
        allowed = _before_nat(world, arriving, passage.packet, failsafes, steps)
        if allowed is None:
            allowed = _arrives(world, arriving, passage, inside, failsafes, steps)
    if allowed is not False and leaving is not None:
        allowed = _leaves(world, leaving, passage, inside, failsafes, steps)
    return Verdict(allowed is not False, tuple(steps))


def is_untracked(world: World, passage: Passage, failsafes: Failsafes) -> bool:
    """Return whether untracked policy allows the packet: then no NAT is done to it."""
    direction: Direction = "egress" if passage.kind == "out" else "ingress"
    host = passage.leaving if passage.kind == "out" else passage.arriving
    if host is None:
        return False
    return _untracked(world, host, direction, passage.packet, failsafes, []) is True


def _before_nat(
    world: World, host: HostEndpoint, packet: Packet, failsafes: Failsafes, steps: list[Step]
) -> bool | None:
    untracked = _untracked(world, host, "ingress", packet, failsafes, steps)
    if untracked is not None or _is_failsafe(packet, "ingress", failsafes.inbound):
        return untracked
    return evaluate_tiers(world, host, "ingress", "preDNAT", packet, steps)


def _untracked(
    world: World,
    host: HostEndpoint,
    direction: Direction,
    packet: Packet,
    failsafes: Failsafes,
    steps: list[Step],
) -> bool | None:
    """Untracked policy sees answers, too; those of failsafe ports are left to what follows."""
    asked, answered = failsafes.inbound, failsafes.outbound
    if direction == "egress":
        asked, answered = answered, asked
    is_failsafe = _is_failsafe(packet, direction, asked) or _answers(packet, direction, answered)
    if host.interface == ALL_INTERFACES or is_failsafe:
        return None
    return evaluate_tiers(world, host, direction, "doNotTrack", packet, steps)


def _arrives(
    world: World,
    host: HostEndpoint,
    passage: Passage,
    packet: Packet,
    failsafes: Failsafes,
    steps: list[Step],
) -> bool | None:
    if passage.kind == "through":
        return evaluate_tiers(world, host, "ingress", "forward", packet, steps)
    if passage.from_workload or _is_failsafe(packet, "ingress", failsafes.inbound):
        return None
    return _of_host(world, host, "ingress", packet, steps)


def _leaves(
    world: World,
    host: HostEndpoint,
    passage: Passage,
    packet: Packet,
    failsafes: Failsafes,
    steps: list[Step],
) -> bool | None:
    if passage.kind == "through":
        return evaluate_tiers(world, host, "egress", "forward", packet, steps)
    untracked = _untracked(world, host, "egress", passage.packet, failsafes, steps)
    is_open = passage.to_workload or _is_failsafe(packet, "egress", failsafes.outbound)
    if untracked is not None or is_open:
        return untracked
    return _of_host(world, host, "egress", packet, steps)


def _of_host(
    world: World, host: HostEndpoint, direction: Direction, packet: Packet, steps: list[Step]
) -> bool:
    allowed = evaluate_tiers(world, host, direction, "normal", packet, steps)
    if allowed is None:
        allowed = evaluate_profiles(world, host, direction, packet, steps)
    return allowed


def _is_failsafe(packet: Packet, direction: Direction, ports: tuple[Failsafe, ...]) -> bool:
    if packet.protocol == _ICMPV6 and packet.icmp_type in _NEIGHBOUR_TYPES:
        return True
    return _is_at(packet, packet.destination_port, direction, ports)


def _answers(packet: Packet, direction: Direction, ports: tuple[Failsafe, ...]) -> bool:
    return _is_at(packet, packet.source_port, direction, ports)


def _is_at(
    packet: Packet, port: int | None, direction: Direction, ports: tuple[Failsafe, ...]
) -> bool:
    far = packet.source if direction == "ingress" else packet.destination
    return any(
        (open_.protocol, open_.port) == (packet.protocol, port)
        and (open_.net is None or open_.net.contains(far))
        for open_ in ports
    )
