"""Neighbour entries: who has an address on a link, proxied addresses, and VXLAN forwarding entries.

Source: rtnetlink(7), bridge(8); include/uapi/linux/neighbour.h.
"""

from __future__ import annotations

import errno
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from libcalico.net.addresses import Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NUD_REACHABLE, NUD_STALE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x04, 0x40, 0x80
NTF_SELF, NTF_PROXY = 0x02, 0x08

_AF_BRIDGE: Final = 7
_NDMSG: Final = Struct("=BxxxiHBB")  # family, index, state, flags, type
_NDA_DST, _NDA_LLADDR, _NDA_IFINDEX = 1, 2, 8
_FAMILY: Final = {4: int(AF_INET), 6: int(AF_INET6)}  # plain numbers: enums are slow to pack


class Neighbour(NamedTuple):
    """An entry of the neighbour table (ARP, NDP).

    Attributes:
        address: the neighbour, as /32 or /128.
        link: index of the interface.
        mac: 6 bytes; empty for a proxied address, or while it is being resolved.
        state: NUD_... bits; NUD_PERMANENT entries stay as they are.
        flags: NTF_PROXY for an address that this host answers for.
    """

    address: Cidr
    link: int
    mac: bytes = b""
    state: int = NUD_PERMANENT
    flags: int = 0


class Forwarding(NamedTuple):
    """A forwarding entry of a VXLAN device: which host a MAC is at.

    Attributes:
        mac: 6 bytes; all zero for whatever is not listed.
        link: index of the VXLAN device.
        host: outer destination, as /32 or /128; None in entries of bridges.
        state: NUD_... bits.
    """

    mac: bytes
    link: int
    host: Cidr | None
    state: int = NUD_PERMANENT


Entry = Neighbour | Forwarding


def encode_add(entry: Entry) -> bytes:
    """Return the request that adds an entry; EEXIST if there is one."""
    return codec.request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, _payload(entry))


def encode_replace(entry: Entry) -> bytes:
    """Return the request that adds an entry or takes the place of the one that is there."""
    return codec.request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _payload(entry))


def encode_delete(entry: Entry) -> bytes:
    """Return the request that deletes an entry; ENOENT if there is none."""
    return codec.request(RTM_DELNEIGH, 0, _payload(entry))


def replace_neighbour(socket: NetlinkSocket, entry: Entry) -> None:
    """Add an entry or take the place of the one that is there.

    Raises:
        NetlinkError: there is no such link (ENODEV), or the kernel refused.
    """
    socket.request(encode_replace(entry))


def delete_neighbour(socket: NetlinkSocket, entry: Entry, *, missing_ok: bool = True) -> None:
    """Delete an entry; its link may be gone too.

    Raises:
        NetlinkError: the kernel refused, or it is absent (ENOENT) and that was not to be.
    """
    absent = (errno.ENOENT, errno.ENODEV) if missing_ok else ()
    socket.request(encode_delete(entry), tolerated=absent)


def list_neighbours(
    socket: NetlinkSocket, version: int, *, link: int = 0, proxied: bool = False
) -> list[Neighbour]:
    """Return the neighbour entries of a version.

    Args:
        socket: of the namespace.
        version: 4 or 6.
        link: index of the interface; 0 for all.
        proxied: the proxied addresses instead of the neighbours.

    Raises:
        NetlinkError: the kernel refused.
    """
    flags = NTF_PROXY if proxied else 0
    payload = _NDMSG.pack(_FAMILY[version], 0, 0, flags, 0)
    if link:
        payload += codec.u32(_NDA_IFINDEX, link)
    found = (parse_neighbour(m) for m in socket.dump(codec.request(RTM_GETNEIGH, 0, payload)))
    return [e for e in found if isinstance(e, Neighbour) and link in (0, e.link)]


def list_forwarding(socket: NetlinkSocket, link: int) -> list[Forwarding]:
    """Return the forwarding entries of a VXLAN device.

    Raises:
        NetlinkError: the kernel refused; ENODEV if the link does not exist.
    """
    payload = _NDMSG.pack(_AF_BRIDGE, link, 0, 0, 0)
    found = (parse_neighbour(m) for m in socket.dump(codec.request(RTM_GETNEIGH, 0, payload)))
    return [e for e in found if isinstance(e, Forwarding) and e.link == link]


def parse_neighbour(message: Message) -> Entry | None:
    """Read an RTM_NEWNEIGH or RTM_DELNEIGH; None for what is neither kind of entry.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    family, link, state, flags, _ = codec.parse_header(_NDMSG, message.payload)
    attrs = codec.parse_attrs(message.payload, _NDMSG.size)
    mac = attrs.get(_NDA_LLADDR, b"")
    address = codec.as_address(attrs[_NDA_DST]) if _NDA_DST in attrs else None
    if family == _AF_BRIDGE:
        return Forwarding(mac, link, address, state)
    if family not in (AF_INET, AF_INET6) or address is None:
        return None
    return Neighbour(address, link, mac, state, flags)


def _payload(entry: Entry) -> bytes:
    if isinstance(entry, Forwarding):
        payload = _NDMSG.pack(_AF_BRIDGE, entry.link, entry.state, NTF_SELF, 0)
        payload += codec.attr(_NDA_LLADDR, entry.mac)
        return payload + (codec.attr(_NDA_DST, entry.host.packed()) if entry.host else b"")
    family = _FAMILY[entry.address.version]
    payload = _NDMSG.pack(family, entry.link, entry.state, entry.flags, 0)
    payload += codec.attr(_NDA_DST, entry.address.packed())
    return payload + (codec.attr(_NDA_LLADDR, entry.mac) if entry.mac else b"")
