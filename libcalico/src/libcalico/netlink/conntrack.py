"""Tracked connections: find and delete those of addresses.

Each reading walks through all buckets of the kernel's table, which takes 8 ms for the usual 262,144 of them,
and copies what it finds, 4 µs for each connection, our reading included. Linux can pick out the connections
that have an address at one of four places, at 0.2 µs each, but compares IPv6's the wrong way round: it
gives all the others. No other filter helps, for nothing else of a connection is ours.

Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h; net/netfilter/nf_conntrack_netlink.c.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from libcalico.net.addresses import Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import Message
from libcalico.netlink.sockets import NetlinkSocket

# NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_...
_CT_GET, _CT_DELETE, _CT_GET_STATS = 1 << 8 | 1, 1 << 8 | 2, 1 << 8 | 5
_STATS_GLOBAL_ENTRIES: Final = 1
_TUPLE_ORIG, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25  # CTA_...
_FILTER_ORIG, _FILTER_REPLY = 1, 2  # CTA_FILTER_..._FLAGS
_TUPLE_IP: Final = 1
_SRC, _DST = 1, 2  # CTA_IP_V4_..., and bits of a filter
_FAMILY: Final = {4: int(AF_INET), 6: int(AF_INET6)}
_HEADER_BYTES: Final = 4  # nfgenmsg, which begins with the family
_FAMILY_BYTE: Final = Struct("=B")
#: Where a connection can have an address: as sender or receiver, before or after translation.
_PLACES: Final = (
    (_TUPLE_ORIG, _SRC),
    (_TUPLE_ORIG, _DST),
    (_TUPLE_REPLY, _SRC),
    (_TUPLE_REPLY, _DST),
)
#: From so many connections on for each address, four readings with a filter are cheaper than one of all.
_MANY: Final = 8192


class Connection(NamedTuple):
    """A tracked connection.

    Attributes:
        version: of IP.
        addresses: of both ends, before and after translation.
        key: what identifies it to the kernel.
    """

    version: int
    addresses: frozenset[Cidr]
    key: bytes


def encode_list(version: int) -> bytes:
    """Return the request for all connections of a version."""
    return codec.request(_CT_GET, 0, _header(version))


def encode_list_at(address: Cidr, tuple_: int, place: int) -> bytes:
    """Return the request for the connections that have an IPv4 address at a place of a tuple."""
    ip = codec.nested(_TUPLE_IP, codec.attr(place, address.packed()))
    flags = {_TUPLE_ORIG: 0, _TUPLE_REPLY: 0} | {tuple_: place}
    filter_ = codec.nested(
        _FILTER,
        codec.u32(_FILTER_ORIG, flags[_TUPLE_ORIG]),
        codec.u32(_FILTER_REPLY, flags[_TUPLE_REPLY]),
    )
    return codec.request(_CT_GET, 0, _header(4) + codec.nested(tuple_, ip) + filter_)


def encode_delete(connection: Connection) -> bytes:
    """Return the request that deletes exactly this connection; ENOENT if it has ended."""
    return codec.request(_CT_DELETE, 0, _header(connection.version) + connection.key)


def list_connections(socket: NetlinkSocket, addresses: Collection[Cidr]) -> list[Connection]:
    """Return the connections that any of the addresses takes part in, translated or not.

    Args:
        socket: of family NETLINK_NETFILTER.
        addresses: /32 and /128.

    Raises:
        NetlinkError: the kernel refused, or it tracks no connections.
    """
    found: dict[bytes, Connection] = {}
    requests = plan_reading(addresses, count_connections(socket)) if addresses else []
    wanted = [(address.packed(), address) for address in addresses]
    for message in (m for request in requests for m in socket.dump(request)):
        if any(packed in message.payload for packed, _ in wanted):
            connection = parse_connection(message)
            if not connection.addresses.isdisjoint(addresses):
                found[connection.key] = connection
    return list(found.values())


def plan_reading(addresses: Collection[Cidr], tracked: int) -> list[bytes]:
    """Return the requests that together tell of all connections of the addresses, and of others.

    Args:
        addresses: /32 and /128.
        tracked: how many connections there are, of both versions.
    """
    four = [address for address in addresses if address.version == 4]
    requests = [encode_list(6)] if len(four) < len(addresses) else []
    if tracked >= _MANY * len(four):
        return requests + [encode_list_at(a, *place) for a in four for place in _PLACES]
    return [*requests, encode_list(4)]


def count_connections(socket: NetlinkSocket) -> int:
    """Return how many connections are tracked in the socket's namespace.

    Raises:
        NetlinkError: the kernel refused, or it tracks no connections.
    """
    (reply,) = socket.request(codec.request(_CT_GET_STATS, 0, _header(4)))
    attrs = codec.parse_attrs(reply.payload, _HEADER_BYTES)
    return codec.as_be32(attrs.get(_STATS_GLOBAL_ENTRIES, b""))


def delete_connections(socket: NetlinkSocket, addresses: Collection[Cidr]) -> int:
    """Delete all connections that the addresses take part in; return how many there were.

    Raises:
        NetlinkError: as :func:`list_connections`.
    """
    found = list_connections(socket, addresses)
    for refusal in socket.batch([encode_delete(connection) for connection in found]):
        if refusal.errno != errno.ENOENT:
            raise refusal
    return len(found)


def parse_connection(message: Message) -> Connection:
    """Read a connection.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    (family,) = codec.parse_header(_FAMILY_BYTE, message.payload)
    attrs = codec.parse_attrs(message.payload, _HEADER_BYTES)
    tuples = [attrs[type_] for type_ in (_TUPLE_ORIG, _TUPLE_REPLY) if type_ in attrs]
    addresses = frozenset(address for one in tuples for address in _addresses(one))
    key = codec.nested(_TUPLE_ORIG, attrs.get(_TUPLE_ORIG, b""))
    key += b"".join(codec.attr(type_, attrs[type_]) for type_ in (_ID, _ZONE) if type_ in attrs)
    return Connection(6 if family == AF_INET6 else 4, addresses, key)


def _addresses(tuple_: bytes) -> list[Cidr]:
    ip = codec.parse_attrs(codec.parse_attrs(tuple_).get(_TUPLE_IP, b""))
    return [codec.as_address(packed) for packed in ip.values()]


def _header(version: int) -> bytes:
    return bytes((_FAMILY[version], 0, 0, 0))
