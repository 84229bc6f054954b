"""Ethernet frames of the first packet of a connection, with right checksums; and reading them back. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from libcalico.net.addresses import Cidr
from libcalico.policy import Packet

ARP: Final = 0x0806
ETHERTYPE: Final = {4: 0x0800, 6: 0x86DD}
TCP: Final = 6
UDP: Final = 17
SCTP: Final = 132
ICMP: Final = {4: 1, 6: 58}
_SYN: Final = 0x02
_HEADER: Final = 14
_MAGIC: Final = b"cali"


@dataclass(frozen=True, slots=True)
class Probe:
    """A packet, and the number that tells it from all others.

    Args:
        packet: what policy looks at.
        number: unique among the packets in flight, below 2**32.
    """

    packet: Packet
    number: int = field(repr=False)

    @property
    def token(self) -> bytes:
        """The end of its payload, which nobody else's packets have."""
        return self.number.to_bytes(4, "little") + _MAGIC


def encode(probe: Probe, source_mac: bytes, destination_mac: bytes) -> bytes:
    """Return the frame of a probe."""
    ethertype = struct.pack("!H", ETHERTYPE[probe.packet.version])
    return destination_mac + source_mac + ethertype + datagram(probe)


def datagram(probe: Probe) -> bytes:
    """Return what is in the frame of a probe: an IP packet."""
    packet, body = probe.packet, _transport(probe)
    head = _ipv4(packet, len(body)) if packet.version == 4 else _ipv6(packet, len(body))
    return head + body


def number(frame: bytes) -> int | None:
    """Return the number of the probe that a frame holds; None for frames of others."""
    total = struct.unpack_from("!H", frame, _HEADER + 2)[0]
    if frame[12:14] == struct.pack("!H", ETHERTYPE[6]):
        total = 40 + struct.unpack_from("!H", frame, _HEADER + 4)[0]
    return number_of(frame[_HEADER : _HEADER + total])


def number_of(packet: bytes) -> int | None:
    """Return the number of the probe that a packet, or the end of one, holds."""
    token = packet[-8:]
    return int.from_bytes(token[:4], "little") if token.endswith(_MAGIC) else None


def arp_request(mac: bytes, sender: Cidr, target: Cidr) -> bytes:
    """Return the broadcast that asks who has ``target``."""
    ask = struct.pack("!HHBBH", 1, ETHERTYPE[4], 6, 4, 1)
    ends = mac + sender.packed() + bytes(6) + target.packed()
    return b"\xff" * 6 + mac + struct.pack("!H", ARP) + ask + ends


def _transport(probe: Probe) -> bytes:
    packet = probe.packet
    ports = struct.pack("!HH", packet.source_port or 0, packet.destination_port or 0)
    if packet.protocol == TCP:
        body = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, _SYN, 1024, 0, 0) + probe.token
        return _checked(packet, body, 16)
    if packet.protocol == UDP:
        return _checked(packet, ports + struct.pack("!HH", 16, 0) + probe.token, 6)
    if packet.protocol == ICMP[packet.version]:
        kind, code = packet.icmp_type or 0, packet.icmp_code or 0
        # Of echo requests the identifier and sequence number follow, which connection tracking looks at.
        body = struct.pack("!BBH", kind, code, 0) + probe.token[:4] + bytes(20) + probe.token
        return _checked(packet, body, 2)
    return ports + bytes(8) + probe.token


def _checked(packet: Packet, body: bytes, offset: int) -> bytes:
    ends = packet.source.packed() + packet.destination.packed()
    pseudo = ends + struct.pack("!II", len(body), packet.protocol)
    if packet.protocol == ICMP[4] and packet.version == 4:
        pseudo = b""
    return body[:offset] + struct.pack("!H", _sum(pseudo + body)) + body[offset + 2 :]


def _sum(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ipv4(packet: Packet, length: int) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, packet.protocol, 0)
    head += packet.source.packed() + packet.destination.packed()
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:]


def _ipv6(packet: Packet, length: int) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, length, packet.protocol, 64)
    return head + packet.source.packed() + packet.destination.packed()
