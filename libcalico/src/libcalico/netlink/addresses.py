"""Addresses of interfaces: add, replace, delete, list.

Source: rtnetlink(7); include/uapi/linux/if_addr.h.
"""

from __future__ import annotations

import errno
from socket import AF_INET, AF_INET6, AF_UNSPEC
from struct import Struct
from typing import Final, NamedTuple

from libcalico.net.addresses import Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
#: Skip duplicate address detection (IPv6): the address can be used at once.
IFA_F_NODAD: Final = 0x02
IFA_F_TENTATIVE: Final = 0x40
IFA_F_PERMANENT: Final = 0x80
#: Do not make a route to the address's network.
IFA_F_NOPREFIXROUTE: Final = 0x200
SCOPE_GLOBAL, SCOPE_LINK, SCOPE_HOST = 0, 253, 254

_IFADDR: Final = Struct("=BBBBI")  # family, prefix length, flags, scope, index
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_FLAGS = 1, 2, 3, 8
_FAMILY: Final = {4: int(AF_INET), 6: int(AF_INET6)}  # plain numbers: enums are slow to pack


class Address(NamedTuple):
    """An address of an interface.

    Attributes:
        cidr: the address with the length of its network, host bits kept.
        link: index of the interface.
        scope: SCOPE_GLOBAL, SCOPE_LINK, SCOPE_HOST.
        flags: IFA_F_... bits.
        peer: other end's network of a point-to-point address; None otherwise.
        label: IPv4 only, empty for the interface's name when adding.
    """

    cidr: Cidr
    link: int
    scope: int = SCOPE_GLOBAL
    flags: int = 0
    peer: Cidr | None = None
    label: str = ""


def encode_add(address: Address) -> bytes:
    """Return the request that adds an address; EEXIST if the interface has it."""
    return codec.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, _payload(address))


def encode_replace(address: Address) -> bytes:
    """Return the request that adds an address, or changes what the interface has."""
    return codec.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _payload(address))


def encode_delete(address: Address) -> bytes:
    """Return the request that deletes an address; EADDRNOTAVAIL if the interface has it not."""
    return codec.request(RTM_DELADDR, 0, _payload(address))


def add_address(socket: NetlinkSocket, address: Address, *, exist_ok: bool = True) -> None:
    """Add an address.

    Raises:
        NetlinkError: there is no such link (ENODEV), or the kernel refused.
    """
    socket.request(encode_add(address), tolerated=(errno.EEXIST,) if exist_ok else ())


def delete_address(socket: NetlinkSocket, address: Address, *, missing_ok: bool = True) -> None:
    """Delete an address; its link may be gone too.

    Raises:
        NetlinkError: the kernel refused, or it is absent (EADDRNOTAVAIL) and that was not to be.
    """
    absent = (errno.EADDRNOTAVAIL, errno.ENODEV) if missing_ok else ()
    socket.request(encode_delete(address), tolerated=absent)


def list_addresses(
    socket: NetlinkSocket, *, version: int | None = None, link: int = 0
) -> list[Address]:
    """Return addresses, of both versions and of all links unless said otherwise.

    The link is picked out here, since the kernel does not tell when what it filters changed underway.

    Raises:
        NetlinkError: the kernel refused.
    """
    family = AF_UNSPEC if version is None else _FAMILY[version]
    messages = socket.dump(codec.request(RTM_GETADDR, 0, _IFADDR.pack(family, 0, 0, 0, 0)))
    found = (parse_address(m) for m in messages if m.type == RTM_NEWADDR)
    return [address for address in found if address is not None and link in (0, address.link)]


def parse_address(message: Message) -> Address | None:
    """Read an RTM_NEWADDR or RTM_DELADDR; None if it is neither IPv4 nor IPv6.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    family, prefix, flags, scope, link = codec.parse_header(_IFADDR, message.payload)
    attrs = codec.parse_attrs(message.payload, _IFADDR.size)
    if family not in (AF_INET, AF_INET6):
        return None
    remote = codec.as_address(attrs.get(_IFA_ADDRESS, b""))
    local = codec.as_address(attrs[_IFA_LOCAL]) if _IFA_LOCAL in attrs else remote
    return Address(
        cidr=codec.with_prefix(local, prefix),
        link=link,
        scope=scope,
        flags=codec.as_u32(attrs[_IFA_FLAGS]) if _IFA_FLAGS in attrs else flags,
        peer=codec.with_prefix(remote, prefix) if remote != local else None,
        label=codec.as_text(attrs.get(_IFA_LABEL, b"")),
    )


def _payload(address: Address) -> bytes:
    cidr = address.cidr
    remote = address.peer or cidr
    payload = _IFADDR.pack(
        _FAMILY[cidr.version], remote.prefix, address.flags & 0xFF, address.scope, address.link
    )
    payload += codec.attr(_IFA_LOCAL, cidr.packed()) + codec.attr(_IFA_ADDRESS, remote.packed())
    if address.flags > 0xFF:
        payload += codec.u32(_IFA_FLAGS, address.flags)
    if address.label:
        payload += codec.text(_IFA_LABEL, address.label)
    return payload
