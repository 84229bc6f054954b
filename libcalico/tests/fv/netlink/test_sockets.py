import errno
import itertools
import struct

import pytest

from libcalico.errors import NetlinkError, OverrunError
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.netlink import addresses, codec, links, monitor, netns, routes
from libcalico.netlink.addresses import Address
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket


def blackholes(count):
    return [Route(Cidr(4, 0x0A000000 + n, 32), type=routes.BLACKHOLE) for n in range(count)]


@pytest.mark.parametrize("count", [1, 255, 256, 257, 2000])
def test_each_refused_request_of_a_batch_is_located_and_the_others_are_done(near, count):
    wanted = blackholes(count)
    bad = {1, count // 2 + 1, count}  # places, from 1
    for place in bad:
        routes.add_route(near.socket, wanted[place - 1])
    refusals = near.socket.batch([routes.encode_add(route) for route in wanted])
    assert [refusal.seq for refusal in refusals] == sorted(bad)
    assert {refusal.errno for refusal in refusals} == {errno.EEXIST}
    assert set(routes.list_routes(near.socket, 4)) == set(wanted)


def test_a_request_raises_its_first_refusal_after_doing_the_rest(near):
    wanted = blackholes(3)
    routes.add_route(near.socket, wanted[1])
    requests = [routes.encode_add(route) for route in wanted]
    with pytest.raises(
        NetlinkError, match=r"^the kernel refused request 2: File exists$"
    ) as caught:
        near.socket.request(*requests)
    assert (caught.value.errno, caught.value.seq) == (errno.EEXIST, 2)
    assert len(routes.list_routes(near.socket, 4)) == 3
    near.socket.request(*requests, tolerated=(errno.EEXIST,))


def test_the_kernels_own_words_are_told(near, pair):
    nonsense = Route(parse_cidr("10.0.0.0/8"), pair[0], parse_cidr("224.0.0.1"))
    with pytest.raises(NetlinkError, match=r"\(Nexthop has invalid gateway\)$"):
        routes.add_route(near.socket, nonsense)


def test_no_requests_are_no_error(near):
    assert near.socket.batch([]) == []
    assert near.socket.request() == []


def test_a_dump_larger_than_a_datagram_is_complete(near):
    wanted = blackholes(5000)
    assert near.socket.batch([routes.encode_add(route) for route in wanted]) == []
    assert set(routes.list_routes(near.socket, 4)) == set(wanted)


def test_a_socket_stays_usable_after_its_numbers_ran_out(near):
    near.socket._seq = 0xFFFFFFFE
    for route in blackholes(4):
        routes.add_route(near.socket, route)
    assert len(routes.list_routes(near.socket, 4)) == 4


def test_a_request_of_an_unknown_type_is_refused(near):
    with pytest.raises(NetlinkError) as caught:
        near.socket.request(codec.request(0x3FF, 0, b""))
    assert caught.value.errno == errno.EOPNOTSUPP
    with pytest.raises(NetlinkError):
        near.socket.dump(codec.request(0x3FF, 0, b""))


def test_a_family_that_does_not_exist_is_said():
    with pytest.raises(NetlinkError, match="family 200"):
        NetlinkSocket(200)


def test_a_closed_socket_is_an_error_of_ours(near):
    socket = netns.socket_in(near.netns)
    socket.close()
    with pytest.raises(NetlinkError):
        links.list_links(socket)
    with pytest.raises(NetlinkError):
        socket.receive()


def test_lost_notifications_are_an_error_and_the_socket_goes_on(near):
    with monitor.Monitor(monitor.ROUTES, near.netns, receive_bytes=4096) as small:
        assert near.socket.batch([routes.encode_add(route) for route in blackholes(500)]) == []
        with pytest.raises(OverrunError) as caught:
            read_all(small)
        assert caught.value.errno == errno.ENOBUFS
        read_all(small)
        last = Route(parse_cidr("10.99.0.0/16"), type=routes.BLACKHOLE)
        routes.add_route(near.socket, last)
        assert small.read() == [monitor.RouteEvent(last, False)]


def read_all(reader):
    while reader.read():
        pass


def test_groups_can_be_joined_by_number(near):
    with netns.socket_in(near.netns) as socket:
        socket.join(7)  # RTNLGRP_IPV4_ROUTE
        routes.add_route(near.socket, blackholes(1)[0])
        assert routes.parse_routes(socket.receive(timeout_s=10)) == blackholes(1)
        assert socket.receive() == []
        with pytest.raises(NetlinkError):
            socket.join(4711)


def test_it_speaks_other_families(near):
    get_generation = codec.request(10 << 8 | 16, 0, struct.pack(">BBH", 0, 0, 0))
    with netns.socket_in(near.netns, NETLINK_NETFILTER) as socket:
        (reply,) = socket.request(get_generation)
    assert codec.parse_attrs(reply.payload, 4)[1] is not None


class Meddled(NetlinkSocket):
    """A socket during whose next dumps somebody changes the table, after the first datagram of each."""

    def meddle_with(self, changes):
        self.changes = changes

    def receive(self, timeout_s=0):
        messages = super().receive(timeout_s)
        is_part = messages and messages[0].type == addresses.RTM_NEWADDR
        if is_part and messages[-1].type != codec.NLMSG_DONE:
            change = next(self.changes, None)
            if change is not None:
                change()
        return messages


def test_a_dump_that_changed_underway_is_read_again(near, pair):
    wanted = [Address(Cidr(4, 0x0A000000 + n, 32), pair[0]) for n in range(3000)]
    assert near.socket.batch([addresses.encode_add(address) for address in wanted[1:]]) == []
    reader = netns.run_in(near.netns, Meddled)
    with reader:
        reader.meddle_with(iter([lambda: addresses.add_address(near.socket, wanted[0])]))
        found = addresses.list_addresses(reader, link=pair[0], version=4)
    assert sorted(address.cidr for address in found) == [address.cidr for address in wanted]


def test_a_table_that_never_stands_still_is_an_error_at_last(near, pair):
    wanted = [Address(Cidr(4, 0x0A000000 + n, 32), pair[0]) for n in range(3000)]
    assert near.socket.batch([addresses.encode_add(address) for address in wanted[1:]]) == []
    verbs = itertools.cycle([addresses.add_address, addresses.delete_address])
    with netns.run_in(near.netns, Meddled) as reader:
        reader.meddle_with(lambda verb=verb: verb(near.socket, wanted[0]) for verb in verbs)
        with pytest.raises(NetlinkError, match="changed under each") as caught:
            addresses.list_addresses(reader, link=pair[0], version=4)
        assert caught.value.errno == errno.EINTR
        reader.meddle_with(iter([]))
        assert len(addresses.list_addresses(reader, link=pair[0], version=4)) in (2999, 3000)
