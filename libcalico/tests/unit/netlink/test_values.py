"""Links, addresses, routes and neighbours: what is encoded reads back; arbitrary bytes do no harm."""

import errno
import struct
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libcalico.errors import NetlinkError
from libcalico.net.addresses import BITS, Cidr, parse_address, parse_cidr
from libcalico.netlink import addresses, codec, links, monitor, neighbours, netconf, routes
from libcalico.netlink.addresses import Address
from libcalico.netlink.codec import Message
from libcalico.netlink.neighbours import Forwarding, Neighbour
from libcalico.netlink.routes import NextHop, Route

u8 = st.integers(0, 255)
u32 = st.integers(0, 2**32 - 1)
ifindexes = st.integers(1, 2**31 - 1)
macs = st.binary(min_size=6, max_size=6)


def hosts(version: int) -> st.SearchStrategy[Cidr]:
    bits = BITS[version]
    return st.builds(Cidr, st.just(version), st.integers(0, 2**bits - 1), st.just(bits))


def interfaces(version: int) -> st.SearchStrategy[Cidr]:
    bits = BITS[version]
    return st.builds(Cidr, st.just(version), st.integers(0, 2**bits - 1), st.integers(0, bits))


versions = st.sampled_from([4, 6])
any_host = versions.flatmap(hosts)


def hops(version: int) -> st.SearchStrategy[NextHop]:
    gateways = st.none() | hosts(version)
    return st.builds(NextHop, ifindexes, gateways, st.integers(1, 256), st.booleans())


def routes_of(version: int) -> st.SearchStrategy[Route]:
    return st.builds(
        Route,
        interfaces(version).map(Cidr.masked),
        oif=st.integers(0, 2**31 - 1),
        gateway=st.none() | hosts(version) | any_host,
        src=st.none() | hosts(version),
        table=st.integers(1, 2**32 - 1),
        protocol=u8,
        scope=u8,
        type=st.integers(0, 11),
        priority=u32,
        onlink=st.booleans(),
        mtu=u32,
        tos=u8,
        hops=st.lists(hops(version), max_size=3).map(tuple),
    )


def sole(data: bytes) -> Message:
    (message,) = codec.parse_messages(data)
    return message


@given(versions.flatmap(routes_of))
def test_a_route_reads_as_it_was_written_in_canonical_form(route: Route) -> None:
    for encode in (routes.encode_add, routes.encode_replace):
        found = routes.parse_route(sole(encode(route)))
        assert found is not None
        assert routes.canonical(found) == routes.canonical(route)
    assert routes.canonical(routes.canonical(route)) == routes.canonical(route)
    assert routes.canonical(route).key == route.key


@given(versions.flatmap(interfaces), ifindexes, u8, u32, st.text("abc", max_size=9))
def test_an_address_reads_as_it_was_written(
    cidr: Cidr, link: int, scope: int, flags: int, label: str
) -> None:
    address = Address(cidr, link, scope, flags, None, label)
    for encode in (addresses.encode_add, addresses.encode_replace, addresses.encode_delete):
        assert addresses.parse_address(sole(encode(address))) == address


@given(versions.flatmap(lambda v: st.tuples(hosts(v), interfaces(v))), ifindexes)
def test_a_point_to_point_address_reads_as_it_was_written(
    pair: tuple[Cidr, Cidr], link: int
) -> None:
    local, peer = pair
    cidr = Cidr(local.version, local.value, peer.prefix)
    found = addresses.parse_address(sole(addresses.encode_add(Address(cidr, link, peer=peer))))
    assert found == Address(cidr, link, peer=peer if peer.value != cidr.value else None)


@given(any_host, ifindexes, macs, st.integers(0, 0xFFFF), u8)
def test_a_neighbour_reads_as_it_was_written(
    address: Cidr, link: int, mac: bytes, state: int, flags: int
) -> None:
    neighbour = Neighbour(address, link, mac, state, flags)
    assert neighbours.parse_neighbour(sole(neighbours.encode_replace(neighbour))) == neighbour


@given(macs, ifindexes, st.none() | any_host, st.integers(0, 0xFFFF))
def test_a_forwarding_entry_reads_as_it_was_written(
    mac: bytes, link: int, host: Cidr | None, state: int
) -> None:
    entry = Forwarding(mac, link, host, state)
    assert neighbours.parse_neighbour(sole(neighbours.encode_add(entry))) == entry


@given(
    st.integers(1, 2**24 - 1), st.integers(1, 65535), st.none() | any_host, ifindexes, st.booleans()
)
def test_a_vxlan_device_reads_as_it_was_written(
    vni: int, port: int, local: Cidr | None, device: int, is_learning: bool
) -> None:
    vxlan = links.Vxlan("vxlan.calico", vni, port, local, device, b"\x66" * 6, 1450, is_learning)
    link = links.parse_link(sole(links.encode_vxlan(vxlan)))
    assert links.vxlan_of(link) == vxlan
    assert link.is_up


@given(st.integers(1, 65535), st.text(max_size=20).filter(lambda t: "\0" not in t), st.booleans())
def test_an_ipip_device_reads_as_it_was_written(mtu: int, alias: str, is_up: bool) -> None:
    message = sole(links.encode_ipip(links.Ipip("tunl0", mtu, alias), is_up=is_up))
    link = links.parse_link(message)
    assert (link.name, link.kind, link.mtu, link.alias) == ("tunl0", "ipip", mtu, alias)
    assert link.is_up == is_up


def test_what_makes_an_ipip_device_is_what_the_kernel_documents() -> None:
    """Checked attribute by attribute: not every kernel has such devices to try it on."""
    message = sole(links.encode_ipip(links.Ipip("tunl0", 1480, "calico")))
    create_exclusively = codec.NLM_F_CREATE | codec.NLM_F_EXCL
    assert message.type == 16  # RTM_NEWLINK
    assert message.flags & create_exclusively == create_exclusively
    # struct ifinfomsg: family, type, index 0 (new), flags and their mask: IFF_UP
    assert message.payload[:16] == struct.pack("=BxHiII", 0, 0, 0, 1, 1)
    wanted = {
        3: b"tunl0\0",  # IFLA_IFNAME
        4: struct.pack("=I", 1480),  # IFLA_MTU
        18: b"\x09\0\x01\0ipip\0\0\0\0",  # IFLA_LINKINFO with IFLA_INFO_KIND, and no data: to any host
        20: b"calico",  # IFLA_IFALIAS
    }
    assert codec.parse_attrs(message.payload, 16) == wanted
    assert list(codec.parse_attrs(sole(links.encode_ipip(links.Ipip("tunl0"))).payload, 16)) == [
        3,
        18,
    ]


def test_an_alias_is_changed_and_an_empty_one_removes_it() -> None:
    for alias, payload in (("calico", b"calico"), ("", b"")):
        message = sole(links.encode_change(7, links.Change(alias=alias)))
        assert codec.parse_attrs(message.payload, 16) == {20: payload}
    assert codec.parse_attrs(sole(links.encode_change(7, links.Change())).payload, 16) == {}


PARSERS: list[Callable[[Message], Any]] = [
    *(links.parse_link, addresses.parse_address, routes.parse_route, neighbours.parse_neighbour),
    lambda message: links.vxlan_of(links.Link(1, "x", kind="vxlan", data=message.payload)),
    lambda message: monitor.decode([message]),
    netconf.parse_settings,
]
families = st.sampled_from([b"\0", b"\2", b"\7", b"\x0a"])
encoded = st.one_of(
    versions.flatmap(routes_of).map(routes.encode_add),
    st.builds(Neighbour, any_host, ifindexes, macs, u8, u8).map(neighbours.encode_add),
    st.builds(
        Address, versions.flatmap(interfaces), ifindexes, u8, u32, st.none(), st.just("a")
    ).map(addresses.encode_add),
    st.just(links.encode_veth(links.Veth("cali0", "eth0", 3, b"\1" * 6, b"\2" * 6, 1500, 1))),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real payload with some bytes changed and its end cut off."""
    payload = bytearray(sole(draw(encoded)).payload)
    for _ in range(draw(st.integers(0, 3))):
        payload[draw(st.integers(0, len(payload) - 1))] = draw(u8)
    return bytes(payload[: draw(st.integers(0, len(payload)))])


@pytest.mark.parametrize("parse", PARSERS)
@settings(max_examples=60)
@given(
    type_=st.integers(16, 31),
    payload=damaged()
    | st.binary(max_size=80)
    | st.builds(bytes.__add__, families, st.binary(max_size=80)),
)
def test_arbitrary_payloads_are_read_or_refused_with_an_error_of_ours(
    parse: Callable[[Message], Any], type_: int, payload: bytes
) -> None:
    refusal = None
    try:
        parse(Message(type_, 0, 0, 0, payload))
    except NetlinkError as error:
        refusal = error.errno
    assert refusal in (None, errno.EBADMSG)


def test_a_blackhole_needs_no_link_in_either_version() -> None:
    for text in ("10.0.0.0/26", "fd00::/122"):
        route = Route(parse_cidr(text), oif=1, type=routes.BLACKHOLE)
        assert routes.canonical(route).oif == 0
        found = routes.parse_route(sole(routes.encode_add(route)))
        assert found == Route(parse_cidr(text), type=routes.BLACKHOLE)


def test_an_ipv6_route_without_priority_is_the_one_with_the_kernels_default() -> None:
    route = Route(parse_cidr("fd00::1"), 3, scope=routes.SCOPE_LINK)
    assert routes.canonical(route) == route._replace(scope=routes.SCOPE_UNIVERSE, priority=1024)
    assert route.key == route._replace(priority=1024).key


def test_what_is_no_route_of_the_table_is_left_out() -> None:
    message = sole(routes.encode_add(Route(parse_cidr("10.0.0.1"), 3)))
    cloned = message._replace(payload=message.payload[:8] + b"\0\2\0\0" + message.payload[12:])
    multicast = message._replace(payload=b"\x80" + message.payload[1:])
    assert routes.parse_routes([cloned, multicast, message._replace(type=16)]) == []
    assert len(routes.parse_routes([message])) == 1


def test_a_bridge_talking_about_its_ports_is_no_event() -> None:
    message = sole(links.encode_bridge("br0"))
    assert len(monitor.decode([message])) == 1
    assert monitor.decode([message._replace(payload=b"\7" + message.payload[1:])]) == []


@given(
    st.sampled_from([(2, 4, "proxy_arp"), (10, 6, "proxy_ndp")]),
    st.integers(-2, 2**31 - 1),
    st.integers(0, 2),
)
def test_settings_are_called_as_their_files(
    family: tuple[int, int, str], link: int, value: int
) -> None:
    number, version, name = family
    attrs = [
        codec.attr(type_, n.to_bytes(4, sys.byteorder, signed=True))
        for type_, n in ((1, link), (5, value), (77, 1))
    ]
    message = Message(netconf.RTM_NEWNETCONF, 0, 0, 0, bytes((number, 0, 0, 0)) + b"".join(attrs))
    assert netconf.parse_settings(message) == netconf.Settings(version, link, {name: value})
    assert monitor.decode([message._replace(payload=b"\x1c" + message.payload[1:])]) == []


def test_events_say_what_came_and_what_went() -> None:
    route = Route(parse_cidr("10.0.0.1"), 3)
    neighbour = Neighbour(parse_address("10.0.0.1"), 3, b"\1" * 6)
    data = b"".join(
        [
            *(routes.encode_add(route), routes.encode_delete(route)),
            *(neighbours.encode_add(neighbour), neighbours.encode_delete(neighbour)),
        ]
    )
    assert monitor.decode(codec.parse_messages(data)) == [
        monitor.RouteEvent(route, False),
        monitor.RouteEvent(route, True),
        monitor.NeighbourEvent(neighbour, False),
        monitor.NeighbourEvent(neighbour, True),
    ]
