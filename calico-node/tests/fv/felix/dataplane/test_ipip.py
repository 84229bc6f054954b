"""The IPIP device on the real kernel, as far as it has such devices."""

from contextlib import closing

import pytest

from calico_node.felix.dataplane.ipip import IpipDevice
from calico_node.felix.routes.ipip import Device
from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address
from libcalico.netlink import links
from libcalico.netlink.addresses import list_addresses
from libcalico.netlink.links import Ipip
from libcalico.netlink.sockets import NETLINK_ROUTE, NetlinkSocket

WANTED = Device(1400, parse_address("10.65.0.1"))


@pytest.fixture
def socket(netns):
    with closing(netns.call(lambda: NetlinkSocket(NETLINK_ROUTE))) as made:
        yield made


@pytest.fixture
def has_ipip(netns, socket):
    try:
        socket.request(links.encode_ipip(Ipip("probe")))
    except NetlinkError:
        return False
    links.delete_link(socket, "probe")
    return True


def keep(device, socket):
    """Return what keeps the device from being as wanted, and the device."""
    present, held = links.get_link(socket, "tunl0"), list_addresses(socket)
    problem = device.keep(WANTED, present, held, ["pool"])
    return problem, links.get_link(socket, "tunl0")


def test_the_device_is_made_kept_and_given_back(socket, has_ipip):
    if not has_ipip:
        pytest.skip("this kernel has no IPIP devices")
    device = IpipDevice(socket)
    problem, link = keep(device, socket)
    assert (problem, link.kind, link.mtu, link.is_up) == ("", "ipip", 1400, True)
    assert [a.cidr for a in list_addresses(socket, link=link.ifindex)] == [WANTED.address]
    device.give_back(link, list_addresses(socket))
    assert list_addresses(socket, link=link.ifindex) == []


def test_a_kernel_without_such_devices_is_asked_now_and_then(socket, has_ipip):
    if has_ipip:
        pytest.skip("this kernel has IPIP devices")
    device = IpipDevice(socket)
    assert not device.is_due
    problem, link = keep(device, socket)
    assert "no IPIP devices" in problem
    assert problem.endswith("needed by IPPool pool")
    assert link is None
    assert not device.is_due, "not at once"
    assert keep(device, socket) == (problem, None)
    device = IpipDevice(socket, retry_s=0.0)
    keep(device, socket)
    assert device.is_due
    device.give_back(None, [])
    assert not device.is_due, "nobody needs it"


def test_what_others_have_of_that_name_is_left_alone(socket):
    links.create_bridge(socket, "tunl0")
    device = IpipDevice(socket)
    problem, link = keep(device, socket)
    assert "of kind bridge" in problem
    device.give_back(link, list_addresses(socket))
    assert links.get_link(socket, "tunl0") == link
