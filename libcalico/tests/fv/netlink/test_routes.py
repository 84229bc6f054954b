import errno

import pytest
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import rt_type

from libcalico.errors import NetlinkError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.netlink import addresses, links, routes
from libcalico.netlink.addresses import Address
from libcalico.netlink.routes import NextHop, Route

VERSIONS = pytest.mark.parametrize("version", [4, 6])
HOST = {4: "10.65.0.2", 6: "fd00:65::2"}
BLOCK = {4: "10.65.0.64/26", 6: "fd00:65::40/122"}
GATEWAY = {4: "192.0.2.9", 6: "2001:db8::9"}
SOURCE = {4: "192.0.2.1/24", 6: "2001:db8::1/64"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def ours(place, version):
    return routes.list_routes(place.socket, version, table=None, protocol=routes.PROTOCOL_FELIX)


def shown(place, version, *words):
    return place.ip(f"-{version}", "route", "show", "proto", "80", *words)


@VERSIONS
def test_a_route_to_a_workload(near, pair, version):
    route = Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK)
    routes.add_route(near.socket, route)
    (found,) = shown(near, version)
    assert (found["dst"], found["dev"]) == (HOST[version], "cali0")
    assert found.get("scope") == ("link" if version == 4 else "global")
    assert ours(near, version) == [routes.canonical(route)]


@VERSIONS
@pytest.mark.parametrize(
    "type_", [routes.BLACKHOLE, routes.UNREACHABLE, routes.PROHIBIT, routes.THROW]
)
def test_a_route_to_nowhere(near, version, type_):
    route = Route(parse_cidr(BLOCK[version]), type=type_)
    routes.add_route(near.socket, route)
    (found,) = shown(near, version)
    assert (found["type"], found["dst"]) == (rt_type_name(type_), BLOCK[version])
    assert ours(near, version) == [routes.canonical(route)]
    routes.delete_route(near.socket, route, missing_ok=False)
    assert ours(near, version) == []


def rt_type_name(type_):
    return {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}[type_]


@VERSIONS
def test_a_route_by_an_onlink_gateway_with_everything_else(near, pair, version):
    addresses.add_address(
        near.socket,
        Address(parse_interface_of(version), pair[0], flags=addresses.IFA_F_NODAD),
    )
    route = Route(
        parse_cidr(BLOCK[version]),
        pair[0],
        parse_address("198.51.100.7" if version == 4 else "2001:db8:1::7"),
        src=parse_interface_of(version).host(),
        table=1000,
        protocol=routes.PROTOCOL_BIRD,
        priority=77,
        onlink=True,
        mtu=1300,
    )
    routes.add_route(near.socket, route)
    (found,) = near.ip(f"-{version}", "route", "show", "table", "1000")
    assert (found["gateway"], found["dev"], found["metric"]) == (route.gateway.address, "cali0", 77)
    assert "onlink" in found["flags"]
    assert found["prefsrc"] == route.src.address
    assert found["metrics"] == [{"mtu": 1300}]
    assert routes.list_routes(near.socket, version, table=1000) == [routes.canonical(route)]
    assert routes.list_routes(near.socket, version, protocol=routes.PROTOCOL_BIRD) == []


def parse_interface_of(version):
    address, prefix = SOURCE[version].split("/")
    return parse_address(address)._replace(prefix=int(prefix))


@VERSIONS
def test_a_route_with_several_ways(near, pair, version):
    gateways = [parse_address(GATEWAY[version][:-1] + digit) for digit in "89"]
    route = Route(
        parse_cidr(DEFAULT[version]),
        hops=tuple(
            NextHop(pair[0], gateway, weight, True) for weight, gateway in enumerate(gateways, 1)
        ),
    )
    routes.add_route(near.socket, route)
    (found,) = shown(near, version)
    assert found["dst"] == "default"
    assert [(hop["gateway"], hop["weight"]) for hop in found["nexthops"]] == [
        (gateway.address, weight) for weight, gateway in enumerate(gateways, 1)
    ]
    assert ours(near, version) == [routes.canonical(route)]
    assert routes.list_routes(near.socket, version, oif=pair[0])
    routes.delete_route(near.socket, route, missing_ok=False)


def test_an_ipv4_route_by_an_ipv6_gateway(near, pair):
    route = Route(parse_cidr(BLOCK[4]), pair[0], parse_address("fe80::9"), onlink=True)
    routes.add_route(near.socket, route)
    (found,) = shown(near, 4)
    assert found["via"] == {"family": "inet6", "host": "fe80::9"}
    assert ours(near, 4) == [route]


@VERSIONS
def test_a_route_is_replaced_in_place(near, far, pair, version):
    first = Route(parse_cidr(HOST[version]), type=routes.BLACKHOLE)
    second = Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK)
    assert first.key == second.key
    routes.replace_route(near.socket, first)
    routes.replace_route(near.socket, second)
    assert ours(near, version) == [routes.canonical(second)]


@VERSIONS
def test_adding_what_exists_is_an_error_unless_told_otherwise(near, pair, version):
    first = Route(parse_cidr(HOST[version]), type=routes.BLACKHOLE)
    routes.add_route(near.socket, first)
    other = Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK)
    with pytest.raises(NetlinkError) as caught:
        routes.add_route(near.socket, other)
    assert caught.value.errno == errno.EEXIST
    routes.add_route(near.socket, other, exist_ok=True)
    assert ours(near, version) == [routes.canonical(first)]


@VERSIONS
def test_deleting_what_is_absent_is_an_error_only_if_asked(near, pair, version):
    route = Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK)
    routes.delete_route(near.socket, route)
    routes.delete_route(near.socket, route._replace(table=4711))
    routes.delete_route(near.socket, route._replace(oif=4711))
    with pytest.raises(NetlinkError) as caught:
        routes.delete_route(near.socket, route, missing_ok=False)
    assert caught.value.errno == errno.ESRCH


@VERSIONS
def test_only_the_very_route_is_deleted_or_any_with_its_key(near, far, pair, version):
    links.create_bridge(near.socket, "br0")
    there = Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK, priority=5)
    routes.add_route(near.socket, there)
    routes.delete_route(near.socket, there._replace(oif=near.index("br0")))
    routes.delete_route(near.socket, there._replace(priority=6))
    assert ours(near, version) == [routes.canonical(there)]
    near.socket.request(routes.encode_delete_key(there.key))
    assert ours(near, version) == []


@VERSIONS
def test_a_table_that_never_was_is_empty(near, version):
    assert routes.list_routes(near.socket, version, table=4711) == []
    assert routes.list_routes(near.socket, version, table=70000) == []


@VERSIONS
def test_routes_are_filtered_by_table_protocol_and_link(near, pair, version):
    wanted = {
        Route(parse_cidr(BLOCK[version]), type=routes.BLACKHOLE),
        Route(parse_cidr(HOST[version]), pair[0], scope=routes.SCOPE_LINK, protocol=4),
        Route(parse_cidr(DEFAULT[version]), pair[0], scope=routes.SCOPE_LINK, table=70000),
    }
    assert near.socket.batch([routes.encode_add(route) for route in wanted]) == []
    canonical = {routes.canonical(route) for route in wanted}

    def listed(**filters):
        return set(routes.list_routes(near.socket, version, **filters)) & canonical

    assert listed(table=None) == canonical
    assert listed() == {route for route in canonical if route.table == 254}
    assert listed(table=70000) == {route for route in canonical if route.table == 70000}
    assert listed(table=None, protocol=4) == {route for route in canonical if route.protocol == 4}
    assert listed(table=None, oif=pair[0]) == {route for route in canonical if route.oif}


@VERSIONS
def test_all_routes_of_the_namespace_are_as_pyroute2_reads_them(near, pair, version):
    addresses.add_address(
        near.socket, Address(parse_interface_of(version), pair[0], flags=addresses.IFA_F_NODAD)
    )
    many = [
        Route(
            Cidr(
                version, parse_address(HOST[version]).value + n, parse_address(HOST[version]).prefix
            ),
            pair[0],
        )
        for n in range(300)
    ]
    assert near.socket.batch([routes.encode_add(route) for route in many]) == []

    def read():
        with IPRoute(groups=0) as oracle:
            return list(oracle.get_routes(family=2 if version == 4 else 10))

    expected = sorted(
        (
            message.get("table"),
            message.get("dst") or DEFAULT[version].split("/")[0],
            message["dst_len"],
            rt_type[message["type"]],
            message.get("priority") or 0,
        )
        for message in near.harness.call(read)
    )
    found = sorted(
        (route.table, route.dst.address, route.dst.prefix, rt_type[route.type], route.priority)
        for route in routes.list_routes(near.socket, version, table=None)
    )
    expected, found = (
        [each for each in each_list if not is_late(each[1])] for each_list in (expected, found)
    )
    assert found == expected
    assert len(found) >= 300


def is_late(dst):
    """Whether the kernel's workers make the route a little after the address, perhaps between two dumps."""
    late = [parse_cidr(text) for text in ("fe80::/10", "ff00::/8", "2001:db8::/127")]
    return any(net.contains(parse_address(dst)) for net in late)
