import errno

import pytest

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address
from libcalico.net.macs import WORKLOAD_HOST_MAC, parse_mac
from libcalico.netlink import links
from libcalico.netlink.links import Change, Ipip, Veth, Vxlan

PEER_MAC = parse_mac("02:00:00:00:00:01")


def test_a_veth_is_born_with_its_peer_in_the_other_namespace(near, far):
    links.create_veth(
        near.socket,
        Veth("cali0", "eth0", far.netns.fileno(), WORKLOAD_HOST_MAC, PEER_MAC, 1400, 77),
    )
    (host,) = near.ip("link", "show", "cali0")
    (peer,) = far.ip("link", "show", "eth0")
    assert host["linkinfo"]["info_kind"] == peer["linkinfo"]["info_kind"] == "veth"
    assert host["address"] == "ee:ee:ee:ee:ee:ee"
    assert peer["address"] == "02:00:00:00:00:01"
    assert host["mtu"] == peer["mtu"] == 1400
    assert host["group"] == "77"
    assert "UP" in host["flags"]
    assert "UP" not in peer["flags"]
    assert host["link_index"] == peer["ifindex"]


def test_links_are_read_as_ip_shows_them(near, far, pair):
    links.create_bridge(near.socket, "br0", mtu=1300)
    links.change_link(near.socket, "cali0", Change(master=near.index("br0")))
    found = {link.name: link for link in links.list_links(near.socket)}
    shown = {link["ifname"]: link for link in near.ip("link")}
    assert set(found) == set(shown)
    for name, link in found.items():
        expected = shown[name]
        assert link.ifindex == expected["ifindex"]
        assert link.mac.hex(":") == expected["address"]
        assert link.mtu == expected["mtu"]
        assert link.kind == expected.get("linkinfo", {}).get("info_kind", "")
        assert link.is_up == ("UP" in expected["flags"])
        assert (
            link == links.get_link(near.socket, name) == links.get_link(near.socket, link.ifindex)
        )
    assert found["cali0"].master == found["br0"].ifindex
    assert found["cali0"].peer == pair[1]
    assert found["cali0"].peer_netns >= 0
    assert found["cali0"].is_running


def test_a_link_is_changed_as_asked_and_no_further(near, pair):
    before = links.get_link(near.socket, pair[0])
    links.set_up(near.socket, pair[0], is_up=False)
    links.change_link(near.socket, pair[0], Change(name="cali1", mtu=1234, mac=PEER_MAC, group=5))
    after = links.get_link(near.socket, pair[0])
    assert (after.name, after.mtu, after.mac, after.group, after.is_up) == (
        "cali1",
        1234,
        PEER_MAC,
        5,
        False,
    )
    links.set_up(near.socket, "cali1")
    links.change_link(near.socket, "cali1", Change(mtu=before.mtu))
    again = links.get_link(near.socket, "cali1")
    assert again.is_up
    assert (again.mtu, again.mac) == (before.mtu, PEER_MAC)


def test_a_link_moves_to_another_namespace(near, far, pair):
    links.change_link(near.socket, "cali0", Change(netns=far.netns.fileno()))
    assert links.get_link(near.socket, "cali0") is None
    assert links.get_link(far.socket, "cali0").peer == pair[1]


def test_deleting_a_link_takes_its_peer_along(near, far, pair):
    links.delete_link(near.socket, "cali0", missing_ok=False)
    assert links.get_link(far.socket, "eth0") is None


def test_deleting_what_is_absent_is_an_error_only_if_asked(near):
    links.delete_link(near.socket, "cali0")
    links.delete_link(near.socket, 4711)
    links.delete_group(near.socket, 4711)
    with pytest.raises(NetlinkError) as caught:
        links.delete_link(near.socket, "cali0", missing_ok=False)
    assert caught.value.errno == errno.ENODEV


def test_a_group_is_deleted_at_once(near, far):
    requests = [
        links.encode_veth(Veth(f"cali{n}", f"eth{n}", far.netns.fileno(), group=9))
        for n in range(5)
    ]
    assert near.socket.batch(requests) == []
    links.create_bridge(near.socket, "br0")
    links.delete_group(near.socket, 9)
    assert {link.name for link in links.list_links(near.socket)} == {"lo", "br0"}
    assert {link.name for link in links.list_links(far.socket)} == {"lo"}


def test_a_name_that_is_taken_is_refused(near, far, pair):
    with pytest.raises(NetlinkError) as caught:
        links.create_veth(near.socket, Veth("cali0", "eth1", far.netns.fileno()))
    assert caught.value.errno == errno.EEXIST
    assert links.get_link(far.socket, "eth1") is None


def test_a_bad_name_is_refused_in_words(near):
    with pytest.raises(NetlinkError, match="refused request 1") as caught:
        links.create_bridge(near.socket, "a/b")
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("local", ["192.0.2.1", "2001:db8::1"])
def test_a_vxlan_device_is_made_and_read_back(near, pair, local):
    wanted = Vxlan(
        "vxlan.calico",
        4096,
        4789,
        parse_address(local),
        pair[0],
        parse_mac("66:01:02:03:04:05"),
        1350,
    )
    links.create_vxlan(near.socket, wanted)
    (shown,) = near.ip("link", "show", "vxlan.calico")
    data = shown["linkinfo"]["info_data"]
    assert (data["id"], data["port"], data["link"]) == (4096, 4789, "cali0")
    assert data.get("local", data.get("local6")) == local
    assert data["learning"] is False
    assert shown["address"] == "66:01:02:03:04:05"
    assert shown["mtu"] == 1350
    assert links.vxlan_of(links.get_link(near.socket, "vxlan.calico")) == wanted
    assert links.vxlan_of(links.get_link(near.socket, "cali0")) is None


def test_an_ipip_device_is_made_or_the_kernel_says_that_it_has_none(near):
    refusals = near.socket.batch([links.encode_ipip(Ipip("tunl9", 1400, "ours"))])
    if refusals:
        assert [refusal.errno for refusal in refusals] == [errno.EOPNOTSUPP]
        assert links.get_link(near.socket, "tunl9") is None
        return
    made = links.get_link(near.socket, "tunl9")
    assert (made.kind, made.mtu, made.alias, made.is_up) == ("ipip", 1400, "ours", True)


def test_an_alias_comes_and_goes(near, pair):
    links.change_link(near.socket, "cali0", Change(alias="what it is for"))
    assert near.ip("link", "show", "cali0")[0]["ifalias"] == "what it is for"
    assert links.get_link(near.socket, "cali0").alias == "what it is for"
    links.change_link(near.socket, "cali0", Change(mtu=1300))
    assert links.get_link(near.socket, "cali0").alias == "what it is for"
    links.change_link(near.socket, "cali0", Change(alias=""))
    assert links.get_link(near.socket, "cali0").alias == ""
    assert "ifalias" not in near.ip("link", "show", "cali0")[0]
