import asyncio

import pytest

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address, parse_cidr, parse_interface
from libcalico.netlink import (
    addresses,
    links,
    monitor,
    neighbours,
    netconf,
    netns,
    routes,
    sysctl,
)
from libcalico.netlink.addresses import Address
from libcalico.netlink.monitor import (
    AddressEvent,
    LinkEvent,
    Monitor,
    NeighbourEvent,
    RouteEvent,
    SettingsEvent,
)
from libcalico.netlink.neighbours import Neighbour
from libcalico.netlink.netconf import Settings
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
        for change, is_gone in ((addresses.add_address, False), (addresses.delete_address, True)):
            change(near.socket, address)
            event = first(reader, lambda e, cidr=address.cidr: e.address.cidr == cidr)
            assert (type(event), event.address.link, event.is_gone) == (
                AddressEvent,
                pair[0],
                is_gone,
            )


def first(reader, is_wanted):
    """The first event that is wanted; some come from the kernel's workers, a little later."""
    while events := reader.read(timeout_s=10):
        for event in events:
            if is_wanted(event):
                return event
    raise AssertionError("the event did not come within 10 s")


def test_routes_come_and_go(near, pair, listen):
    reader = listen(monitor.ROUTES)
    for text in ("10.65.0.64/26", "fd00:65::40/122"):
        route = Route(parse_cidr(text), pair[0], scope=routes.SCOPE_LINK)
        hole = Route(parse_cidr(text), type=routes.BLACKHOLE, priority=7)
        for each in (route, hole):
            for change, is_gone in ((routes.add_route, False), (routes.delete_route, True)):
                change(near.socket, each)
                event = first(reader, lambda e: e.route.protocol == routes.PROTOCOL_FELIX)
                assert event == RouteEvent(routes.canonical(each), is_gone)


def test_settings_of_interfaces_change(near, pair, listen):
    reader = listen(monitor.SETTINGS)
    name = links.get_link(near.socket, pair[0]).name
    announced = [(4, "forwarding"), (4, "proxy_arp"), (4, "rp_filter"), (6, "proxy_ndp")]
    for version, setting in announced:
        key = sysctl.interface_key(version, name, setting)
        before = int(netns.run_in(near.netns, lambda key=key: sysctl.read(key)))
        for value in (1 - before, before):
            near.harness.run(["sysctl", "-w", f"{key}={value}"])
            event = first(reader, lambda e, setting=setting: setting in e.settings.values)
            assert event == SettingsEvent(Settings(version, pair[0], {setting: value}))


def test_settings_of_all_interfaces_change(near, listen):
    reader = listen(monitor.SETTINGS)
    for value, key in enumerate(("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")):
        near.harness.run(["sysctl", "-w", f"{key}={1 - value}"])
        near.harness.run(["sysctl", "-w", f"{key}={value}"])
        first(reader, lambda e: e.settings.link == netconf.ALL_LINKS and e.settings.values)


def test_neighbours_come_and_go(near, pair, listen):
    reader = listen(monitor.NEIGHBOURS)
    for text in ("10.65.0.2", "fd00:65::2"):
        entry = Neighbour(parse_address(text), pair[0], b"\2" * 6)
        neighbours.replace_neighbour(near.socket, entry)
        is_ours = lambda e, address=entry.address: e.entry.address == address  # noqa: E731
        assert first(reader, is_ours) == NeighbourEvent(entry, False)
        neighbours.delete_neighbour(near.socket, entry)
        assert first(reader, lambda e, is_ours=is_ours: is_ours(e) and e.is_gone)


def test_what_others_do_is_heard(near, pair, listen):
    reader = listen(monitor.ALL)
    near.harness.run(["ip", "route", "add", "blackhole", "10.65.0.64/26", "proto", "static"])
    route = Route(
        parse_cidr("10.65.0.64/26"), type=routes.BLACKHOLE, protocol=routes.PROTOCOL_STATIC
    )
    assert RouteEvent(route, False) in reader.read(timeout_s=10)


def test_an_event_loop_is_woken(near, listen):
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
