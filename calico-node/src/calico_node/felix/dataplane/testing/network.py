"""The network of the random worlds: who is where, what NAT is done, and packets from one to another."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Final, Literal

from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.policy import Failsafe, Failsafes, Packet

_TCP: Final = 6

HOST: Final = "node-1"
#: Interfaces of this host's workloads, each with its addresses.
LOCAL: Final = {
    f"cali{n}": (f"10.65.0.{n}/32", f"fd65::{n}/128", *(("10.65.9.9/32",) if n == 1 else ()))
    for n in range(1, 6)
}
#: Where everybody else is.
OUTSIDE: Final = "uplink"
#: Addresses of the host at its outer interface.
UPLINK: Final = ("192.0.2.1", "fd00:2::1")
#: Destination NAT that the host does to TCP, of what arrives and of what it sends itself: address and
#: port → those behind NAT.
PUBLISHED: Final = {
    (UPLINK[0], 8080): ("10.65.0.2", 80),
    (UPLINK[1], 8080): ("fd65::2", 80),
    (UPLINK[0], 443): ("198.51.100.5", 80),
    (UPLINK[1], 443): ("2001:db8::5", 80),
}
REDIRECTED: Final = {
    ("198.51.100.5", 443): ("172.16.0.1", 81),
    ("2001:db8::5", 443): ("fd99::1", 81),
}
#: Open whatever policy says; some to a part of the strangers only.
FAILSAFES: Final = Failsafes(
    inbound=(
        Failsafe(6, 81),
        Failsafe(17, 53, parse_cidr("172.16.0.0/12")),
        Failsafe(17, 53, parse_cidr("fd99::/16")),
        Failsafe(6, 20000),
    ),
    outbound=(
        Failsafe(6, 443, parse_cidr("fd65::/16")),
        Failsafe(17, 20000),
        Failsafe(6, 30001),
    ),
)
#: Addresses of workloads of other hosts; the first two have two owners.
REMOTE: Final = [(f"10.65.1.{n}/32", f"fd65::1:{n}/128") for n in (1, 1, 2, 3, 4)]
STRANGERS: Final = (
    "172.16.0.1",
    "172.16.7.9",
    "198.51.100.5",
    "fd99::1",
    "fd99:7::9",
    "2001:db8::5",
)
#: Low ports are those of servers; rules may look at high ones as source ports.
PORTS: Final = (53, 80, 81, 443, 8080)
SOURCE_PORTS: Final = (20000, 30001)
#: Types and codes that rules and packets have, by IP version.
ICMP_KINDS: Final = {
    4: ((8, 0), (8, 7), (13, 0), (3, 1), (0, 0), (11, 0)),
    6: ((128, 0), (128, 7), (1, 3), (129, 0), (135, 0), (143, 0)),
}
#: Without ports.
OTHER_PROTOCOLS: Final = (50, 89, 99, 136)


class PacketMaker:
    """Makes packets between the addresses of this network, as a generator draws them."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def packet(self) -> Packet:
        """Return a packet that comes from or goes to a workload of this host."""
        version: Literal[4, 6] = self._random.choice((4, 6))
        local = [parse_cidr(net) for nets in LOCAL.values() for net in nets]
        here = self._random.choice([net for net in local if net.version == version])
        there = self._random.choice(
            [n for n in local + _OTHERS if n.version == version and place(n) != place(here)]
        )
        ends = (here, there) if self._random.random() < 0.6 else (there, here)
        return self._packet(*ends)

    def host_packet(self) -> Packet:
        """Return a packet that comes from or goes to the host itself, at its outer interface's address."""
        here = self._random.choice([parse_address(text) for text in UPLINK])
        local = [parse_cidr(net) for nets in LOCAL.values() for net in nets]
        there = self._random.choice([n for n in local + _OTHERS * 3 if n.version == here.version])
        ends = (here, there) if self._random.random() < 0.4 else (there, here)
        kind = self._random.random()
        if kind < 0.3:
            return self._translatable(here)
        return self._at_failsafe_port(here) if kind < 0.6 else self._packet(*ends)

    def _at_failsafe_port(self, here: Cidr) -> Packet:
        """Return a packet to a failsafe port of the host or of a stranger, or an answer from there.

        The other port is one of a range of its own, so that it answers no other packet of this network.
        """
        there = self._random.choice([n for n in _STRANGERS if n.version == here.version])
        is_inbound, is_answer = self._random.random() < 0.5, self._random.random() < 0.5
        port = self._random.choice(FAILSAFES.inbound if is_inbound else FAILSAFES.outbound)
        server, client = (here, there) if is_inbound else (there, here)
        asked, asking = port.port, self._random.randrange(60000, 65536) & ~1 | is_answer
        source, destination = (server, client) if is_answer else (client, server)
        return Packet(
            source=source,
            destination=destination,
            protocol=port.protocol,
            source_port=asked if is_answer else asking,
            destination_port=asking if is_answer else asked,
        )

    def _translatable(self, here: Cidr) -> Packet:
        """Return a packet to, or from, the host itself, to which destination NAT is done."""
        strangers = [n for n in _STRANGERS if n.version == here.version]
        asked = self._random.choice(
            [to for to in (*PUBLISHED, *REDIRECTED) if parse_address(to[0]).version == here.version]
        )
        return Packet(
            source=here if asked in REDIRECTED else self._random.choice(strangers),
            destination=parse_address(asked[0]),
            protocol=_TCP,
            source_port=self._random.randrange(10000, 60000),
            destination_port=asked[1],
        )

    def _packet(self, source: Cidr, destination: Cidr) -> Packet:
        icmp = {4: 1, 6: 58}[source.version]
        protocol = self._random.choice(
            [6, 6, 6, 17, 17, icmp, icmp, 132, self._random.choice(OTHER_PROTOCOLS)]
        )
        fields: dict[str, Any] = {}
        if protocol == icmp:
            kind, code = self._random.choice(ICMP_KINDS[source.version])
            fields = {"icmp_type": kind, "icmp_code": code}
        elif protocol in (6, 17, 132):
            fresh = self._random.randrange(10000, 60000)
            source_port = (
                self._random.choice(SOURCE_PORTS) if self._random.random() < 0.3 else fresh
            )
            fields = {"source_port": source_port, "destination_port": self._random.choice(PORTS)}
        if protocol not in (6, 17, icmp) and _is_answer(source, destination, protocol):
            source, destination = destination, source
        return Packet(source=source, destination=destination, protocol=protocol, **fields)


def _is_answer(source: Cidr, destination: Cidr, protocol: int) -> bool:
    """Whether packets of a protocol go the other way between two addresses.

    Connection tracking knows no ports of these protocols: a packet the other way would be an answer.
    """
    is_up = source.value < destination.value
    return is_up == bool((source.value + destination.value + protocol) % 2)


def translated(packet: Packet) -> Packet | None:
    """Return a packet as it is behind destination NAT, None if there is none for it."""
    is_sent = packet.source.address in UPLINK
    asked = packet.destination.address, packet.destination_port or 0
    found = (REDIRECTED if is_sent else PUBLISHED).get(asked) if packet.protocol == _TCP else None
    if found is None:
        return None
    return replace(packet, destination=parse_address(found[0]), destination_port=found[1])


def place(address: Cidr) -> str:
    """Return the interface behind which an address is."""
    return _PLACES.get(address, OUTSIDE)


_STRANGERS: Final = [parse_address(address) for address in STRANGERS]
_OTHERS: Final = [*(parse_cidr(net) for nets in REMOTE for net in nets), *_STRANGERS]
_PLACES: Final = {parse_cidr(net): interface for interface, nets in LOCAL.items() for net in nets}
