"""Connections that policy has passed for one workload do not live on when its address is another's."""

from pathlib import Path

from calico_test import netns
from libcalico.net.addresses import parse_address
from libcalico.netlink import conntrack
from libcalico.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket


def tracked(felix, addresses):
    """Return how many connections the host tracks of the addresses."""
    inside = Path(f"/proc/{felix.host.holder.pid}/ns/net")
    with netns.call_in(inside, lambda: NetlinkSocket(NETLINK_NETFILTER)) as socket:
        return len(conntrack.list_connections(socket, [parse_address(a) for a in addresses]))


def test_the_connections_of_a_workload_end_with_it_and_those_of_others_do_not(felix):
    felix.start()
    web, api, other = felix.connect("web"), felix.connect("api"), felix.connect("other")
    for source, destination in ((api, web), (other, api)):
        assert felix.outcomes(source, destination) == felix.OPEN
        assert felix.outcomes(source, destination, "udp80") == felix.OPEN
    assert tracked(felix, web.addresses) == 4
    felix.delete(felix.endpoint("web", *web.addresses))
    felix.wait(lambda: not tracked(felix, web.addresses), "its connections have ended")
    assert tracked(felix, other.addresses) == 4


def test_the_connections_of_an_address_end_when_it_moves_to_another_interface(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.OPEN
    before = tracked(felix, web.addresses)
    assert before
    felix.connect("heir")
    felix.delete(felix.endpoint("web", *web.addresses))
    felix.put(felix.endpoint("heir", *web.addresses))
    felix.wait(lambda: not tracked(felix, web.addresses), "its connections have ended")
