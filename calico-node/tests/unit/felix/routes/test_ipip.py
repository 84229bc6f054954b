"""The IPIP device is taken over, kept and given back; what others have of that name is left alone.

Not every kernel has such devices, so what is asked of it is checked attribute by attribute.
"""

import struct

import pytest

from calico_node.felix.routes import ipip
from calico_node.felix.routes.ipip import OURS, Device
from libcalico.net.addresses import parse_address
from libcalico.netlink import addresses, links
from libcalico.netlink.addresses import Address
from libcalico.netlink.codec import parse_attrs, parse_messages
from libcalico.netlink.links import IFF_UP, Change, Link

TUNNEL, OTHER = map(parse_address, ("10.65.0.1", "10.65.0.9"))
WANTED = Device(1480, TUNNEL)
INDEX = 7
#: The kernel's own, as it is when its module comes.
FRESH = Link(INDEX, "tunl0", mtu=1480, kind="ipip")
KEPT = FRESH._replace(flags=IFF_UP, alias=OURS)


def sole(requests):
    (request,) = requests
    (message,) = parse_messages(request)
    return message


def test_a_device_that_is_not_there_is_made():
    message = sole(ipip.plan_device(WANTED, None))
    assert message.type == links.RTM_NEWLINK
    attributes = parse_attrs(message.payload, 16)
    assert attributes[3] == b"tunl0\0"
    assert attributes[4] == struct.pack("=I", 1480)
    assert attributes[20] == OURS.encode()
    assert parse_attrs(attributes[18]) == {1: b"ipip\0"}


def test_the_kernels_own_is_taken_over():
    assert ipip.plan_device(WANTED, FRESH) == [
        links.encode_change(INDEX, Change(is_up=True, alias=OURS))
    ]


def test_what_differs_is_changed_and_nothing_else():
    assert ipip.plan_device(WANTED, KEPT) == []
    assert ipip.plan_device(WANTED, KEPT._replace(mtu=1400)) == [
        links.encode_change(INDEX, Change(mtu=1480))
    ]
    assert ipip.plan_device(WANTED, KEPT._replace(flags=0)) == [
        links.encode_change(INDEX, Change(is_up=True))
    ]


def test_the_device_has_its_address_and_no_other():
    ours, other = Address(TUNNEL, INDEX), Address(OTHER, INDEX)
    assert ipip.plan_address(WANTED, KEPT, [ours]) == []
    assert ipip.plan_address(WANTED, KEPT, [other]) == [
        addresses.encode_replace(ours),
        addresses.encode_delete(other),
    ]
    message = sole(ipip.plan_address(WANTED, KEPT, []))
    assert message.type == addresses.RTM_NEWADDR
    # struct ifaddrmsg: IPv4, /32, no flags, global scope, index
    assert message.payload[:8] == struct.pack("=BBBBI", 2, 32, 0, 0, INDEX)
    assert parse_attrs(message.payload, 8) == dict.fromkeys((1, 2), bytes([10, 65, 0, 1]))


def test_it_is_given_back_without_anything_of_ours():
    held = Address(TUNNEL, INDEX)
    assert ipip.plan_return(KEPT, [held]) == [
        addresses.encode_delete(held),
        links.encode_change(INDEX, Change(is_up=False, alias="")),
        links.encode_delete(INDEX),
    ]


@pytest.mark.parametrize(
    "link", [None, FRESH, FRESH._replace(alias="vpn", flags=IFF_UP), KEPT._replace(kind="bridge")]
)
def test_what_is_not_ours_is_not_given_back(link):
    assert ipip.plan_return(link, [Address(OTHER, INDEX)]) == []


def test_another_interface_of_that_name_is_named():
    assert ipip.stranger(None) == ipip.stranger(FRESH) == ""
    assert ipip.stranger(Link(INDEX, "tunl0", kind="bridge")) == (
        "interface tunl0 is of kind bridge, not an IPIP device: rename it or delete it"
    )
    assert "is hardware" in ipip.stranger(Link(INDEX, "tunl0"))


def test_a_kernel_without_such_devices_is_told_of_with_who_needs_them():
    assert ipip.missing(["east", "west"]) == (
        "this kernel has no IPIP devices: load its module ipip (CONFIG_NET_IPIP), or use vxlanMode;"
        " needed by IPPool east, west"
    )
    assert ipip.missing([]).endswith("needed as ipipEnabled says")
