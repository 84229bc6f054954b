from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.bgp import sessions
from calico_node.bgp.model import NextHop
from calico_node.bgp.testing.clusters import cluster, node, peers
from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPPassword, SecretKeySelector
from libcalico.testing import builders
from libcalico.testing.strategies import addresses

NO_MESH = peers(builders.a_bgp_configuration(name="default", node_to_node_mesh_enabled=False))


def sessions_of(view, version=4):
    return {s.name: s for s in sessions.plan(view, version)[0]}


def labelled(name, last, labels, **bgp):
    made = node(name, last, **bgp)
    return made.with_(metadata=made.metadata.with_(labels=labels))


def only_session(peer, **parts):
    (session,) = sessions_of(cluster(peers=peers(peer), configurations=NO_MESH, **parts)).values()
    return session


def problems_of(peer, **parts):
    return [str(p) for p in sessions.plan(cluster(peers=peers(peer), **parts), 4)[1]]


# --- the mesh ---


def test_the_mesh_joins_all_nodes_with_an_address_of_the_family():
    nodes = peers(node("a", 1), node("b", 2), node("c", 3, ipv6_address=""))
    assert set(sessions_of(cluster(nodes=nodes))) == {"Mesh_172_16_0_2", "Mesh_172_16_0_3"}
    assert set(sessions_of(cluster(nodes=nodes), 6)) == {"Mesh_fd16__2"}


def test_the_mesh_leaves_out_route_reflectors_and_a_reflector_has_none():
    nodes = [node("a", 1), node("b", 2, route_reflector_cluster_id="1.1.1.1"), node("c", 3)]
    view = cluster(nodes=peers(*nodes))
    assert set(sessions_of(view)) == {"Mesh_172_16_0_3"}
    assert sessions_of(replace(view, node_name="b")) == {}


def test_the_mesh_can_be_turned_off():
    assert sessions_of(cluster(configurations=NO_MESH)) == {}


def test_mesh_peers_without_an_as_number_have_this_nodes():
    nodes = peers(node("a", 1, as_number=65001), node("b", 2), node("c", 3, as_number="1.10"))
    found = sessions_of(cluster(nodes=nodes))
    assert found["Mesh_172_16_0_2"].remote_as == 65001
    assert found["Mesh_172_16_0_2"].is_internal
    assert found["Mesh_172_16_0_3"].remote_as == 65546
    assert not found["Mesh_172_16_0_3"].is_internal


@given(one=addresses(4), other=addresses(4))
def test_of_two_mesh_peers_exactly_one_connects(one, other):
    if one == other:
        return
    nodes = peers(node("a", 1, ipv4_address=one), node("b", 2, ipv4_address=other))
    (at_one,) = sessions_of(cluster(nodes=nodes)).values()
    (at_other,) = sessions_of(cluster(nodes=nodes, node_name="b")).values()
    assert at_one.passive != at_other.passive


def test_addresses_are_compared_as_text_as_all_calico_nodes_do():
    found = sessions_of(cluster(nodes=peers(node("a", 9), node("b", 10))))
    assert not found["Mesh_172_16_0_10"].passive


# --- BGPPeers ---


def test_a_peer_replaces_the_meshs_session_to_the_same_address():
    peer = builders.a_bgp_peer(name="p", peer_ip="172.16.0.2", as_number=64512)
    assert set(sessions_of(cluster(peers=peers(peer)))) == {"Global_172_16_0_2", "Mesh_172_16_0_10"}


def test_the_first_session_to_an_address_and_port_wins_global_peers_first():
    first = builders.a_bgp_peer(name="b-first", peer_ip="192.0.2.1", as_number=1)
    second = builders.a_bgp_peer(name="c-second", peer_ip="192.0.2.1", as_number=2)
    specific = builders.a_bgp_peer(name="a-node", node="a", peer_ip="192.0.2.1", as_number=3)
    port = builders.a_bgp_peer(name="d-port", peer_ip="192.0.2.1:1790", as_number=4)
    view = cluster(peers=peers(first, second, specific, port), configurations=NO_MESH)
    found = sessions_of(view)
    assert {name: s.remote_as for name, s in found.items()} == {
        "Global_192_0_2_1": 1,
        "Global_192_0_2_1_port_1790": 4,
    }


def test_node_peers_are_for_their_node_only():
    by_name = builders.a_bgp_peer(name="p1", node="b", peer_ip="192.0.2.1")
    by_label = builders.a_bgp_peer(name="p2", node_selector="rack == '1'", peer_ip="192.0.2.2")
    nodes = peers(labelled("a", 1, {"rack": "1"}), node("b", 2))
    view = cluster(nodes=nodes, peers=peers(by_name, by_label), configurations=NO_MESH)
    assert set(sessions_of(view)) == {"Node_192_0_2_2"}
    assert set(sessions_of(replace(view, node_name="b"))) == {"Node_192_0_2_1"}


def test_a_peer_selector_peers_with_nodes_and_they_peer_back():
    to_reflectors = builders.a_bgp_peer(
        name="p", node="b", peer_selector="has(rr)", peer_ip="", as_number=None
    )
    nodes = peers(labelled("a", 1, {"rr": ""}, as_number=65001), node("b", 2))
    view = cluster(nodes=nodes, peers=peers(to_reflectors), configurations=NO_MESH)
    assert sessions_of(replace(view, node_name="b"))["Node_172_16_0_1"].remote_as == 65001
    assert sessions_of(view)["Node_172_16_0_2"].remote_as == 64512


def test_manual_reverse_peering_suppresses_the_other_end():
    peer = builders.a_bgp_peer(
        name="p",
        node="b",
        peer_selector="has(rr)",
        peer_ip="",
        as_number=None,
        reverse_peering="Manual",
    )
    nodes = peers(labelled("a", 1, {"rr": ""}), node("b", 2))
    assert sessions_of(cluster(nodes=nodes, peers=peers(peer), configurations=NO_MESH)) == {}


def test_only_a_peer_of_all_nodes_that_is_a_node_can_be_passive():
    nodes = peers(node("a", 1), node("b", 2))
    to_node = builders.a_bgp_peer(name="p", peer_ip="172.16.0.2", as_number=64512)
    assert only_session(to_node, nodes=nodes).passive
    specific = builders.a_bgp_peer(name="p", node="a", peer_ip="172.16.0.2", as_number=64512)
    assert not only_session(specific, nodes=nodes).passive
    router = builders.a_bgp_peer(name="p", peer_ip="172.16.0.254")
    assert not only_session(router, nodes=nodes).passive


@pytest.mark.parametrize(
    ("own", "peer", "client"),
    [("1.1.1.1", "", True), ("1.1.1.1", "1.1.1.1", False), ("", "", False)],
)
def test_a_reflectors_clients_are_internal_peers_of_another_cluster(own, peer, client):
    nodes = peers(
        node("a", 1, route_reflector_cluster_id=own), node("b", 2, route_reflector_cluster_id=peer)
    )
    session = only_session(
        builders.a_bgp_peer(name="p", peer_ip="172.16.0.2", as_number=64512), nodes=nodes
    )
    assert session.reflector_cluster_id == (own if client else "")


@pytest.mark.parametrize(
    ("fields", "as_number", "next_hop"),
    [
        ({}, 1, NextHop.AUTO),
        ({"keep_original_next_hop": True}, 1, NextHop.KEEP),
        ({"keep_original_next_hop": True}, 64512, NextHop.AUTO),
        ({"next_hop_mode": "Self"}, 1, NextHop.SELF),
        ({"next_hop_mode": "Keep"}, 64512, NextHop.KEEP),
        ({"next_hop_mode": "Auto"}, 1, NextHop.AUTO),
    ],
)
def test_the_next_hop_is_as_asked(fields, as_number, next_hop):
    assert only_session(builders.a_bgp_peer(as_number=as_number, **fields)).next_hop is next_hop


def test_a_local_as_number_decides_what_is_internal():
    peer = builders.a_bgp_peer(as_number=65001, local_as_number=65001)
    assert only_session(peer).is_internal


def test_ttl_security_sets_the_number_of_hops():
    secured = only_session(builders.a_bgp_peer(ttl_security=2))
    assert (secured.ttl_security, secured.multihop) == (True, 2)
    plain = only_session(builders.a_bgp_peer())
    assert (plain.ttl_security, plain.multihop) == (False, 0)


def test_no_node_peers_with_itself():
    assert (
        sessions_of(
            cluster(peers=peers(builders.a_bgp_peer(peer_ip="172.16.0.1")), configurations=NO_MESH)
        )
        == {}
    )


# --- what cannot be used is left out, and said ---


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"peer_ip": "tor"}, "spec.peerIP"),
        ({"keepalive_time": "0s"}, "spec.keepaliveTime"),
        ({"max_restart_time": "soon"}, "duration"),
        ({"filters": ["f"]}, "spec.filters: BGPFilter(f) does not exist"),
        ({"peer_ip": "", "peer_selector": "a =="}, "BGPPeer(peer)"),
        ({"node_selector": "a =="}, "BGPPeer(peer)"),
        ({"peer_ip": "", "local_workload_selector": "all()"}, "spec.localWorkloadSelector"),
    ],
)
def test_a_peer_that_cannot_be_used_is_named_and_the_others_stay(fields, words):
    bad = builders.a_bgp_peer(**fields)
    good = builders.a_bgp_peer(name="z-good", peer_ip="192.0.2.9")
    found, problems = sessions.plan(cluster(peers=peers(bad, good)), 4)
    assert "Global_192_0_2_9" in {s.name for s in found}
    assert len(problems) == 1
    assert words in str(problems[0])


SECRET = BGPPassword(secret_key_ref=SecretKeySelector(name="tor", key="password"))


def test_a_session_whose_password_is_missing_stays_down():
    assert "bgp-secrets/tor/password" in problems_of(builders.a_bgp_peer(password=SECRET))[0]
    session = only_session(
        builders.a_bgp_peer(password=SECRET), passwords={("tor", "password"): "x"}
    )
    assert session.password == "x"


def test_a_password_that_bird_cannot_read_keeps_the_session_down():
    peer = builders.a_bgp_peer(password=SECRET)
    assert "double quote" in problems_of(peer, passwords={("tor", "password"): 'a"b'})[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 179)),
        ("192.0.2.1:1790", ("192.0.2.1", 1790)),
        ("fd00::1", ("fd00::1", 179)),
        ("[fd00::1]:1790", ("fd00::1", 1790)),
    ],
)
def test_a_peer_ip_has_an_optional_port(text, expected):
    assert sessions.parse_peer_ip(text) == (ip_address(expected[0]), expected[1])


@given(text=st.text(max_size=30))
def test_any_other_peer_ip_is_a_validation_error(text):
    try:
        address, port = sessions.parse_peer_ip(text)
    except ValidationError:
        return
    assert str(address)
    assert 0 < port < 65536
