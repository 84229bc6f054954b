"""Routes: add, replace, delete, list; IPv4 and IPv6 alike.

A :class:`Route` compares equal to what the kernel reports for it once it went through :func:`canonical`,
which fills in what the kernel would: so desired and actual routes can be compared as values. What is read
from the kernel needs no such step: that its IPv6 blackholes hang on the loopback is left out already.

Source: rtnetlink(7), ip-route(8); include/uapi/linux/rtnetlink.h; net/ipv4/fib_frontend.c, net/ipv6/route.c.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from libcalico.errors import NetlinkError
from libcalico.net.addresses import BITS, Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
TABLE_MAIN, TABLE_LOCAL = 254, 255
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE = 0, 253, 254, 255
UNICAST, LOCAL, BROADCAST, ANYCAST, MULTICAST = 1, 2, 3, 4, 5
BLACKHOLE, UNREACHABLE, PROHIBIT, THROW = 6, 7, 8, 9
# Who made a route (rtm_protocol).
PROTOCOL_KERNEL, PROTOCOL_BOOT, PROTOCOL_STATIC, PROTOCOL_BIRD = 2, 3, 4, 12
#: Felix's own routes, unless configured otherwise (``DeviceRouteProtocol`` of tunnels in Calico).
PROTOCOL_FELIX: Final = 80
#: Metric of routes to workloads, as Felix installs them by default (ipv4NormalRoutePriority).
WORKLOAD_PRIORITY: Final = 1024
#: What the kernel gives an IPv6 route without a priority. Source: include/net/ip6_fib.h.
DEFAULT_PRIORITY_V6: Final = 1024

_RTMSG: Final = Struct(
    "=BBBBBBBBI"
)  # family, dst and src length, tos, table, protocol, scope, type, flags
_NEXTHOP: Final = Struct("=HBBi")  # size, flags, weight - 1, index
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 1, 4, 5, 6, 7
_RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 8, 9, 15, 18
_RTAX_MTU: Final = 2
_RTNH_F_ONLINK, _RTM_F_CLONED = 0x4, 0x200
_VIA_FAMILY: Final = Struct("=H")
_FAMILY: Final = {4: int(AF_INET), 6: int(AF_INET6)}  # plain numbers: enums are slow to pack
_VERSION: Final = {int(AF_INET): 4, int(AF_INET6): 6}
_NO_LINK: Final = frozenset({BLACKHOLE, UNREACHABLE, PROHIBIT, THROW})
#: What deleting an absent route is refused with: no such route, interface, or table.
ABSENT: Final = (errno.ESRCH, errno.ENODEV, errno.ENOENT)


class NextHop(NamedTuple):
    """One of several ways of a route.

    Attributes:
        oif: index of the interface.
        gateway: address of the router, as /32 or /128; None on the link itself.
        weight: share of the flows, from 1.
        onlink: the gateway need not be reachable by another route.
    """

    oif: int = 0
    gateway: Cidr | None = None
    weight: int = 1
    onlink: bool = False


class Route(NamedTuple):
    """A route.

    Attributes:
        dst: destination network.
        oif: index of the interface; 0 for types that need none.
        gateway: address of the router, as /32 or /128 (IPv6 is possible for IPv4 routes); None without.
        src: source address to prefer, as /32 or /128; None to leave it to the kernel.
        table: number of the routing table.
        protocol: who made it (PROTOCOL_...).
        scope: SCOPE_...; IPv6 knows SCOPE_UNIVERSE only.
        type: UNICAST, BLACKHOLE...
        priority: metric; lower wins.
        onlink: the gateway need not be reachable by another route.
        mtu: 0 for the interface's.
        tos: IPv4 only.
        hops: several ways instead of one; then ``oif``, ``gateway``, ``onlink`` are unset.
    """

    dst: Cidr
    oif: int = 0
    gateway: Cidr | None = None
    src: Cidr | None = None
    table: int = TABLE_MAIN
    protocol: int = PROTOCOL_FELIX
    scope: int = SCOPE_UNIVERSE
    type: int = UNICAST
    priority: int = 0
    onlink: bool = False
    mtu: int = 0
    tos: int = 0
    hops: tuple[NextHop, ...] = ()

    @property
    def key(self) -> RouteKey:
        """What tells it from the other routes of the kernel, in canonical form."""
        priority = self.priority
        if self.dst.version == 6 and not priority:
            priority = DEFAULT_PRIORITY_V6
        return RouteKey(self.table, self.dst, priority, self.tos)


class RouteKey(NamedTuple):
    """What tells the routes of the kernel apart."""

    table: int
    dst: Cidr
    priority: int
    tos: int


def canonical(route: Route) -> Route:
    """Return a route as the kernel will report it: no interface where none is needed, IPv6's defaults."""
    oif = 0 if route.type in _NO_LINK else route.oif
    if route.dst.version == 4:
        return route._replace(oif=oif)
    priority = route.priority or DEFAULT_PRIORITY_V6
    return route._replace(oif=oif, scope=SCOPE_UNIVERSE, priority=priority)


def encode_add(route: Route) -> bytes:
    """Return the request that adds a route; EEXIST if there is one with its key."""
    return codec.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, _payload(route))


def encode_replace(route: Route) -> bytes:
    """Return the request that adds a route or takes the place of the one with its key."""
    return codec.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _payload(route))


def encode_delete(route: Route) -> bytes:
    """Return the request that deletes exactly this route; ESRCH if there is none.

    The source address, the MTU and the flag ``onlink`` are not compared.
    """
    return codec.request(RTM_DELROUTE, 0, _payload(route._replace(src=None, mtu=0)))


def encode_delete_key(key: RouteKey) -> bytes:
    """Return the request that deletes the route with a key, whatever it does; ESRCH if there is none."""
    any_ = Route(key.dst, 0, None, None, key.table, 0, SCOPE_NOWHERE, 0, key.priority, tos=key.tos)
    return codec.request(RTM_DELROUTE, 0, _payload(any_))


def add_route(socket: NetlinkSocket, route: Route, *, exist_ok: bool = False) -> None:
    """Add a route.

    Args:
        socket: of the namespace.
        route: what to add.
        exist_ok: whether another route with its key may be there, which then stays as it is.

    Raises:
        NetlinkError: the kernel refused.
    """
    socket.request(encode_add(route), tolerated=(errno.EEXIST,) if exist_ok else ())


def replace_route(socket: NetlinkSocket, route: Route) -> None:
    """Add a route or take the place of the one with its key.

    Raises:
        NetlinkError: the kernel refused.
    """
    socket.request(encode_replace(route))


def delete_route(socket: NetlinkSocket, route: Route, *, missing_ok: bool = True) -> None:
    """Delete exactly this route; its interface and its table may be gone too.

    Raises:
        NetlinkError: the kernel refused, or it is absent (ESRCH) and that was not to be.
    """
    socket.request(encode_delete(route), tolerated=ABSENT if missing_ok else ())


def list_routes(
    socket: NetlinkSocket,
    version: int,
    *,
    table: int | None = TABLE_MAIN,
    protocol: int | None = None,
    oif: int | None = None,
) -> list[Route]:
    """Return the routes of a version; multicast routing's and cached ones are left out.

    Args:
        socket: of the namespace.
        version: 4 or 6.
        table: only this table's; None for all tables.
        protocol: only routes made by this one.
        oif: only routes out of this interface. Kernel and caller may not agree on routes with several ways.

    Raises:
        NetlinkError: the kernel refused; ENODEV if the interface does not exist.
    """
    payload = _RTMSG.pack(_FAMILY[version], 0, 0, 0, 0, protocol or 0, 0, 0, 0)
    payload += codec.u32(_RTA_TABLE, table) if table else b""
    payload += codec.u32(_RTA_OIF, oif) if oif else b""
    try:
        messages = socket.dump(codec.request(RTM_GETROUTE, 0, payload))
    except NetlinkError as error:
        if error.errno == errno.ENOENT:  # a table that never had a route
            return []
        raise
    return [
        route
        for route in parse_routes(messages)
        if (table in (None, route.table))
        and (protocol in (None, route.protocol))
        and (oif in (None, route.oif, *(hop.oif for hop in route.hops)))
    ]


def parse_routes(messages: Iterable[Message]) -> list[Route]:
    """Read the messages of a dump or of notifications; what is no route of ours to see is left out.

    Raises:
        NetlinkError: one is malformed (EBADMSG).
    """
    found = (parse_route(m) for m in messages if m.type in (RTM_NEWROUTE, RTM_DELROUTE))
    return [route for route in found if route is not None]


def parse_route(message: Message) -> Route | None:
    """Read an RTM_NEWROUTE or RTM_DELROUTE; None for a cached route or another family's.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    header = codec.parse_header(_RTMSG, message.payload)
    family, prefix, _, tos, table, protocol, scope, type_, flags = header
    version = _VERSION.get(family)
    if version is None or flags & _RTM_F_CLONED:
        return None
    attrs = codec.parse_attrs(message.payload, _RTMSG.size)
    return Route(
        dst=_destination(attrs.get(_RTA_DST), version, prefix),
        oif=0 if type_ in _NO_LINK else _number(attrs, _RTA_OIF),
        gateway=_gateway(attrs),
        src=codec.as_address(attrs[_RTA_PREFSRC]) if _RTA_PREFSRC in attrs else None,
        table=_number(attrs, _RTA_TABLE) or table,
        protocol=protocol,
        scope=scope if version == 4 else SCOPE_UNIVERSE,
        type=type_,
        priority=_number(attrs, _RTA_PRIORITY),
        onlink=bool(flags & _RTNH_F_ONLINK),
        mtu=_parse_mtu(attrs[_RTA_METRICS]) if _RTA_METRICS in attrs else 0,
        tos=tos,
        hops=_parse_hops(attrs[_RTA_MULTIPATH]) if _RTA_MULTIPATH in attrs else (),
    )


def _payload(route: Route) -> bytes:
    version = route.dst.version
    head = _RTMSG.pack(
        _FAMILY[version],
        route.dst.prefix,
        0,
        route.tos,
        route.table if route.table <= 0xFF else 0,
        route.protocol,
        route.scope,
        route.type,
        _RTNH_F_ONLINK if route.onlink else 0,
    )
    attrs = [head, codec.attr(_RTA_DST, route.dst.packed())]
    if route.oif and route.type not in _NO_LINK:
        attrs.append(codec.u32(_RTA_OIF, route.oif))
    if route.gateway is not None:
        attrs.append(_encode_gateway(version, route.gateway))
    if route.src is not None:
        attrs.append(codec.attr(_RTA_PREFSRC, route.src.packed()))
    if route.priority:
        attrs.append(codec.u32(_RTA_PRIORITY, route.priority))
    if route.table > 0xFF:
        attrs.append(codec.u32(_RTA_TABLE, route.table))
    if route.mtu:
        attrs.append(codec.nested(_RTA_METRICS, codec.u32(_RTAX_MTU, route.mtu)))
    if route.hops:
        hops = b"".join(_encode_hop(version, hop) for hop in route.hops)
        attrs.append(codec.attr(_RTA_MULTIPATH, hops))
    return b"".join(attrs)


def _encode_hop(version: int, hop: NextHop) -> bytes:
    gateway = _encode_gateway(version, hop.gateway) if hop.gateway else b""
    flags = _RTNH_F_ONLINK if hop.onlink else 0
    return _NEXTHOP.pack(_NEXTHOP.size + len(gateway), flags, hop.weight - 1, hop.oif) + gateway


def _encode_gateway(version: int, gateway: Cidr) -> bytes:
    if gateway.version == version:
        return codec.attr(_RTA_GATEWAY, gateway.packed())
    return codec.attr(_RTA_VIA, _VIA_FAMILY.pack(_FAMILY[gateway.version]) + gateway.packed())


def _gateway(attrs: dict[int, bytes]) -> Cidr | None:
    if _RTA_GATEWAY in attrs:
        return codec.as_address(attrs[_RTA_GATEWAY])
    if _RTA_VIA in attrs:
        return codec.as_address(attrs[_RTA_VIA][_VIA_FAMILY.size :])
    return None


def _parse_hops(data: bytes) -> tuple[NextHop, ...]:
    hops = []
    while data:
        size, flags, weight, oif = codec.parse_header(_NEXTHOP, data)
        if not _NEXTHOP.size <= size <= len(data):
            raise NetlinkError(f"malformed next hop of {size} bytes in {len(data)}", errno.EBADMSG)
        gateway = _gateway(codec.parse_attrs(data[_NEXTHOP.size : size]))
        hops.append(NextHop(oif, gateway, weight + 1, bool(flags & _RTNH_F_ONLINK)))
        data = data[(size + 3) & ~3 :]
    return tuple(hops)


def _parse_mtu(metrics: bytes) -> int:
    return _number(codec.parse_attrs(metrics), _RTAX_MTU)


def _destination(packed: bytes | None, version: int, prefix: int) -> Cidr:
    """Return the destination; the default route's is left out in messages."""
    if packed is None:
        return codec.with_prefix(Cidr(version, 0, BITS[version]), prefix)
    address = codec.as_address(packed)
    if address.version != version:
        raise NetlinkError(f"IPv{address.version} address in an IPv{version} route", errno.EBADMSG)
    return codec.with_prefix(address, prefix)


def _number(attrs: dict[int, bytes], type_: int) -> int:
    return codec.as_u32(attrs[type_]) if type_ in attrs else 0
