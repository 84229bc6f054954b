import asyncio

import pytest

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address, parse_cidr, parse_interface
from libcalico.netlink import addresses, links, monitor, neighbours, routes
from libcalico.netlink.addresses import Address
from libcalico.netlink.monitor import AddressEvent, LinkEvent, Monitor, NeighbourEvent, RouteEvent
from libcalico.netlink.neighbours import Neighbour
from libcalico.netlink.routes import Route


@pytest.fixture
def listen(near):
    opened = []

    def listen(groups):
        opened.append(Monitor(groups, near.netns))
        return opened[-1]

    yield listen
    for each in opened:
        each.close()


def test_links_come_change_and_go(near, far, listen):
    reader = listen(monitor.LINKS)
    links.create_veth(near.socket, links.Veth("cali0", "eth0", far.netns.fileno()))
    links.set_up(near.socket, "cali0", is_up=False)
    links.delete_link(far.socket, "eth0")
    events = reader.read()
    assert all(isinstance(event, LinkEvent) and event.link.name == "cali0" for event in events)
    assert [event.is_gone for event in events[:-1]] == [False] * (len(events) - 1)
    assert events[0].link.is_up
    assert events[-1].is_gone
    assert reader.read() == []


def test_addresses_come_and_go(near, pair, listen):
    reader = listen(monitor.ADDRESSES)
    for text in ("10.65.0.2/24", "fd00:65::2/64"):
        address = Address(parse_interface(text), pair[0], flags=addresses.IFA_F_NODAD)
        addresses.add_address(near.socket, address)
        addresses.delete_address(near.socket, address)
        found = [e for e in reader.read(timeout_s=10) if e.address.scope == 0]
        assert {(type(e), e.address.cidr, e.address.link) for e in found} == {
            (AddressEvent, address.cidr, pair[0])
        }
        assert (found[0].is_gone, found[-1].is_gone) == (False, True)


def test_routes_come_and_go(near, pair, listen):
    reader = listen(monitor.ROUTES)
    events = []
    for text in ("10.65.0.64/26", "fd00:65::40/122"):
        route = Route(parse_cidr(text), pair[0], scope=routes.SCOPE_LINK)
        hole = Route(parse_cidr(text), type=routes.BLACKHOLE, priority=7)
        for each in (route, hole):
            routes.add_route(near.socket, each)
            routes.delete_route(near.socket, each)
            events += [RouteEvent(routes.canonical(each), gone) for gone in (False, True)]
    found = reader.read(timeout_s=10)
    assert [e for e in found if e.route.protocol == routes.PROTOCOL_FELIX] == events


def test_neighbours_come_and_go(near, pair, listen):
    reader = listen(monitor.NEIGHBOURS)
    entries = [Neighbour(parse_address(t), pair[0], b"\2" * 6) for t in ("10.65.0.2", "fd00:65::2")]
    for entry in entries:
        neighbours.replace_neighbour(near.socket, entry)
        neighbours.delete_neighbour(near.socket, entry)
    found = [
        e for e in reader.read(timeout_s=10) if e.entry.address in {n.address for n in entries}
    ]
    for entry in entries:
        mine = [e for e in found if e.entry.address == entry.address]
        assert mine[0] == NeighbourEvent(entry, False)
        assert mine[-1].is_gone


def test_what_others_do_is_heard(near, pair, listen):
    reader = listen(monitor.ALL)
    near.harness.run(["ip", "route", "add", "blackhole", "10.65.0.64/26", "proto", "static"])
    route = Route(
        parse_cidr("10.65.0.64/26"), type=routes.BLACKHOLE, protocol=routes.PROTOCOL_STATIC
    )
    assert RouteEvent(route, False) in reader.read(timeout_s=10)


def test_an_event_loop_is_woken(near, pair, listen):
    reader = listen(monitor.ROUTES)
    hole = Route(parse_cidr("10.65.0.64/26"), type=routes.BLACKHOLE)

    async def first_event():
        loop = asyncio.get_running_loop()
        events = loop.create_future()
        loop.add_reader(reader.fileno(), lambda: events.done() or events.set_result(reader.read()))
        loop.call_soon(routes.add_route, near.socket, hole)
        async with asyncio.timeout(10):
            return await events

    assert asyncio.run(first_event()) == [RouteEvent(hole, False)]


def test_without_a_namespace_it_listens_where_it_is(near):
    def heard():
        with Monitor(monitor.ROUTES) as reader:
            routes.add_route(near.socket, Route(parse_cidr("10.65.0.64/26"), type=routes.BLACKHOLE))
            return reader.read()

    assert len(near.harness.call(heard)) == 1


def test_a_namespace_that_does_not_exist_is_named():
    with pytest.raises(NetlinkError, match="no-such"):
        Monitor(monitor.ALL, "no-such")
