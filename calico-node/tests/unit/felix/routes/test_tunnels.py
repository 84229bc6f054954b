"""A device as it should be needs nothing; what cannot be changed is made anew."""

from calico_node.felix.routes.overlay import Peer
from calico_node.felix.routes.tunnels import Present, Wanted, plan_device, plan_entries
from libcalico.net.addresses import parse_address
from libcalico.netlink import addresses, links, neighbours
from libcalico.netlink.addresses import SCOPE_LINK, Address
from libcalico.netlink.codec import parse_attrs, parse_messages
from libcalico.netlink.links import IFF_UP, Link, Vxlan
from libcalico.netlink.neighbours import NUD_NOARP, NUD_STALE, Forwarding, Neighbour

MAC, OTHER = bytes.fromhex("660000000001"), bytes.fromhex("660000000002")
HOST, TUNNEL, FAR = map(parse_address, ("10.1.0.1", "10.65.0.1", "10.65.0.65"))
DEVICE = Vxlan("vxlan.calico", 4096, 4789, HOST, 2, MAC, 1450)
PEER = Peer(FAR, OTHER, parse_address("10.2.0.1"))
INDEX = 7


def link(vxlan, **fields):
    """Return the device as the kernel would report it."""
    (message,) = parse_messages(links.encode_vxlan(vxlan))
    details = parse_attrs(parse_attrs(message.payload, 16)[18])
    made = Link(INDEX, vxlan.name, IFF_UP, vxlan.mac, vxlan.mtu, "vxlan", data=details[2])
    return made._replace(**fields)


def test_a_device_as_it_should_be_needs_nothing():
    assert plan_device(DEVICE, link(DEVICE)) == []
    assert plan_device(None, None) == []


def test_a_device_is_made_and_deleted():
    assert plan_device(DEVICE, None) == [links.encode_vxlan(DEVICE)]
    assert plan_device(None, link(DEVICE)) == [links.encode_delete(INDEX)]


def test_what_can_be_changed_is_changed_and_the_rest_made_anew():
    changed = plan_device(DEVICE, link(DEVICE, mtu=1500, flags=0))
    assert changed == [links.encode_change(INDEX, links.Change(is_up=True, mtu=1450))]
    anew = [links.encode_delete(INDEX), links.encode_vxlan(DEVICE)]
    for other in (
        DEVICE._replace(vni=7),
        DEVICE._replace(port=8472),
        DEVICE._replace(device=3),
        DEVICE._replace(local=FAR),
        DEVICE._replace(is_learning=True),
    ):
        assert plan_device(DEVICE, link(other)) == anew
    assert plan_device(DEVICE, Link(INDEX, "vxlan.calico", kind="bridge")) == anew


def test_entries_are_added_corrected_and_removed():
    wanted = Wanted(DEVICE, TUNNEL, [PEER])
    here, forward = Neighbour(FAR, INDEX, OTHER), Forwarding(OTHER, INDEX, PEER.host)
    address = Address(TUNNEL, INDEX)
    assert plan_entries(wanted, Present(link(DEVICE), [address], [here], [forward])) == []
    made = plan_entries(wanted, Present(link(DEVICE)))
    assert made == [
        addresses.encode_replace(address),
        neighbours.encode_replace(here),
        neighbours.encode_replace(forward),
    ]
    stale = Present(
        link(DEVICE),
        [Address(HOST, INDEX), address],
        [here._replace(mac=MAC), Neighbour(HOST, INDEX, MAC)],
        [forward._replace(host=HOST), Forwarding(MAC, INDEX, HOST)],
    )
    assert plan_entries(wanted, stale) == [
        addresses.encode_delete(Address(HOST, INDEX)),
        neighbours.encode_delete(Neighbour(HOST, INDEX, MAC)),
        neighbours.encode_replace(here),
        neighbours.encode_delete(Forwarding(MAC, INDEX, HOST)),
        neighbours.encode_replace(forward),
    ]


def test_what_the_kernel_made_by_itself_is_left_alone():
    own = Present(
        link(DEVICE),
        [Address(TUNNEL, INDEX), Address(parse_address("fe80::1"), INDEX, SCOPE_LINK)],
        [Neighbour(HOST, INDEX, MAC, NUD_STALE), Neighbour(HOST, INDEX, b"", NUD_NOARP)],
        [Forwarding(bytes(6), INDEX, None)],
    )
    assert plan_entries(Wanted(DEVICE, TUNNEL), own) == []
