import errno

import pytest

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address, parse_interface
from libcalico.netlink import addresses, links, neighbours
from libcalico.netlink.addresses import Address
from libcalico.netlink.neighbours import Forwarding, Neighbour

MAC = bytes.fromhex("020000000001")
BOTH = pytest.mark.parametrize("text", ["10.65.0.2/24", "fd00:65::2/64"])


def on_link(place, link):
    return {a.cidr for a in addresses.list_addresses(place.socket, link=link) if a.scope == 0}


@BOTH
def test_an_address_is_added_listed_and_deleted(near, pair, text):
    address = Address(parse_interface(text), pair[0], flags=addresses.IFA_F_NODAD)
    addresses.add_address(near.socket, address)
    addresses.add_address(near.socket, address)
    (shown,) = near.ip("address", "show", "dev", "cali0", "scope", "global")
    (found,) = [info for info in shown["addr_info"] if info]
    assert f"{found['local']}/{found['prefixlen']}" == text
    assert not found.get("tentative")
    assert on_link(near, pair[0]) == {address.cidr}
    version = address.cidr.version
    assert [
        a.cidr
        for a in addresses.list_addresses(near.socket, version=version, link=pair[0])
        if not a.scope
    ] == [address.cidr]
    addresses.delete_address(near.socket, address, missing_ok=False)
    addresses.delete_address(near.socket, address)
    assert on_link(near, pair[0]) == set()


@BOTH
def test_what_exists_or_is_absent_is_an_error_if_asked(near, pair, text):
    address = Address(parse_interface(text), pair[0])
    with pytest.raises(NetlinkError) as caught:
        addresses.delete_address(near.socket, address, missing_ok=False)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    addresses.add_address(near.socket, address, exist_ok=False)
    near.socket.request(addresses.encode_replace(address))
    with pytest.raises(NetlinkError) as caught:
        addresses.add_address(near.socket, address, exist_ok=False)
    assert caught.value.errno == errno.EEXIST


def test_flags_beyond_a_byte_reach_the_kernel(near, pair):
    address = Address(
        parse_interface("10.65.0.2/24"),
        pair[0],
        flags=addresses.IFA_F_NOPREFIXROUTE,
        label="cali0:1",
    )
    addresses.add_address(near.socket, address)
    (found,) = [a for a in addresses.list_addresses(near.socket, version=4) if a.link == pair[0]]
    assert found == address._replace(flags=address.flags | addresses.IFA_F_PERMANENT)
    assert near.ip("-4", "route", "show", "dev", "cali0") == []


def test_a_point_to_point_address_has_a_peer(near, pair):
    address = Address(parse_interface("10.65.0.2/32"), pair[0], peer=parse_address("10.65.0.1"))
    addresses.add_address(near.socket, address)
    (found,) = [a for a in addresses.list_addresses(near.socket, version=4) if a.link == pair[0]]
    assert (found.cidr, found.peer) == (address.cidr, address.peer)


def test_addresses_of_a_link_that_is_gone(near):
    address = Address(parse_interface("10.65.0.2/32"), 4711)
    addresses.delete_address(near.socket, address)
    with pytest.raises(NetlinkError) as caught:
        addresses.add_address(near.socket, address)
    assert caught.value.errno == errno.ENODEV


@pytest.mark.parametrize("text", ["10.65.0.2", "fd00:65::2"])
def test_a_neighbour_is_permanent_until_it_is_deleted(near, pair, text):
    entry = Neighbour(parse_address(text), pair[0], MAC)
    neighbours.replace_neighbour(near.socket, entry)
    neighbours.replace_neighbour(near.socket, entry)
    (shown,) = near.ip("neigh", "show", "to", text)
    assert (shown["dst"], shown["dev"], shown["lladdr"]) == (text, "cali0", "02:00:00:00:00:01")
    assert shown["state"] == ["PERMANENT"]
    version = entry.address.version
    assert entry in neighbours.list_neighbours(near.socket, version)
    assert entry in neighbours.list_neighbours(near.socket, version, link=pair[0])
    assert neighbours.list_neighbours(near.socket, version, link=1) == []
    with pytest.raises(NetlinkError) as caught:
        near.socket.request(neighbours.encode_add(entry))
    assert caught.value.errno == errno.EEXIST
    neighbours.delete_neighbour(near.socket, entry, missing_ok=False)
    neighbours.delete_neighbour(near.socket, entry)
    with pytest.raises(NetlinkError) as caught:
        neighbours.delete_neighbour(near.socket, entry, missing_ok=False)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("text", ["169.254.1.1", "fe80::1"])
def test_a_proxied_address_is_kept_apart_from_neighbours(near, pair, text):
    entry = Neighbour(parse_address(text), pair[0], state=0, flags=neighbours.NTF_PROXY)
    version = entry.address.version
    neighbours.replace_neighbour(near.socket, entry)
    assert near.ip("neigh", "show", "proxy")[0]["dst"] == text
    assert neighbours.list_neighbours(near.socket, version, proxied=True) == [entry]
    assert entry not in neighbours.list_neighbours(near.socket, version)
    neighbours.delete_neighbour(near.socket, entry, missing_ok=False)
    assert neighbours.list_neighbours(near.socket, version, proxied=True) == []


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_a_vxlan_device_learns_from_us_where_a_mac_is(near, host):
    local = parse_address("192.0.2.1" if "." in host else "2001:db8::1")
    links.create_vxlan(near.socket, links.Vxlan("vxlan.calico", 4096, local=local))
    entry = Forwarding(MAC, near.index("vxlan.calico"), parse_address(host))
    neighbours.replace_neighbour(near.socket, entry)
    (shown,) = near.fdb("vxlan.calico")
    assert (shown["mac"], shown["dst"]) == ("02:00:00:00:00:01", host)
    assert neighbours.list_forwarding(near.socket, entry.link) == [entry]
    neighbours.delete_neighbour(near.socket, entry, missing_ok=False)
    assert neighbours.list_forwarding(near.socket, entry.link) == []
