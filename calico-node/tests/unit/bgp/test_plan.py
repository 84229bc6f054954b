from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given

from calico_node.bgp.cluster import Cluster
from calico_node.bgp.model import Block, DebugLevel, KernelRule
from calico_node.bgp.plan import parse_community, plan
from calico_node.bgp.testing.clusters import cluster, node, peers
from calico_node.bgp.testing.strategies import clusters
from libcalico.errors import ValidationError
from libcalico.resources.bgp import Community, PrefixAdvertisement
from libcalico.testing import builders


def config_of(**parts):
    return plan(cluster(**parts)).config


def family_of(version, **parts):
    return config_of(**parts).families[0 if version == 4 else 1]


def test_only_confirmed_affinities_are_announced_and_pending_ones_are_no_blocks_yet():
    affinities = {
        "10.65.1.0/26": "confirmed",
        "10.65.2.0/26": "",
        "10.65.3.0/26": "pending",
        "10.65.4.0/26": "pendingDeletion",
    }
    assert family_of(4, affinities=affinities).blocks == (
        Block(ip_network("10.65.1.0/26")),
        Block(ip_network("10.65.2.0/26")),
        Block(ip_network("10.65.4.0/26"), announced=False),
    )


def test_an_affinity_that_is_no_cidr_is_left_out_and_told():
    planned = plan(cluster(affinities={"10.65.1.1/26": "confirmed"}))
    assert planned.config.families[0].blocks == ()
    assert "10.65.1.1/26" in str(planned.problems[0])


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, KernelRule.ACCEPT),
        ({"vxlan_mode": "Always"}, KernelRule.FELIX_TUNNEL),
        ({"vxlan_mode": "CrossSubnet"}, KernelRule.FELIX_TUNNEL),
        ({"ipip_mode": "Always"}, KernelRule.FELIX_TUNNEL),
        ({"vxlan_mode": "Never", "ipip_mode": "Never"}, KernelRule.ACCEPT),
    ],
)
def test_bird_programs_the_routes_of_unencapsulated_pools_only(fields, rule):
    pools = peers(builders.a_pool(name="p", cidr="10.65.0.0/16", **fields))
    assert family_of(4, pools=pools).pools[0].kernel is rule


def test_bird_programs_no_cluster_routes_when_felix_does():
    configurations = peers(
        builders.a_bgp_configuration(name="default", program_cluster_routes="Disabled")
    )
    assert family_of(4, configurations=configurations).pools[0].kernel is KernelRule.FELIX_ALL


def test_settings_of_the_node_override_those_of_the_cluster():
    configurations = peers(
        builders.a_bgp_configuration(
            name="default", listen_port=1000, log_severity_screen="Debug", bind_mode="NodeIP"
        ),
        builders.a_bgp_configuration(
            name="node.a", listen_port=2000, log_severity_screen="None", bind_mode="None"
        ),
        builders.a_bgp_configuration(name="node.b", listen_port=3000),
    )
    config = config_of(configurations=configurations)
    assert config.listen_port == 2000
    assert config.debug is DebugLevel.NONE
    assert not config.bind_to_address
    assert {s.neighbor: s.port for s in config.families[0].sessions} == {
        ip_address("172.16.0.2"): 3000,
        ip_address("172.16.0.10"): 1000,
    }


def test_the_router_id_is_the_address_or_as_asked_or_hashed():
    without_v4 = peers(node("a", 1, ipv4_address=""))
    assert config_of().router_id == ip_address("172.16.0.1")
    assert config_of(router_id_setting="9.8.7.6").router_id == ip_address("9.8.7.6")
    hashed = config_of(router_id_setting="hash").router_id
    assert hashed == config_of(nodes=without_v4).router_id
    # First four bytes of SHA-256("a") are ca 97 81 12.
    assert hashed == ip_address("202.151.129.18")
    with pytest.raises(ValidationError, match="CALICO_ROUTER_ID"):
        config_of(router_id_setting="a.b.c.d")


def test_a_family_without_an_address_has_no_sessions():
    family = family_of(6, nodes=peers(node("a", 1, ipv6_address=""), node("b", 2)))
    assert family.address is None
    assert family.sessions == ()


def test_communities_are_resolved_by_name_without_duplicates():
    default = builders.a_bgp_configuration(
        name="default",
        communities=[Community(name="blue", value="65000:1")],
        prefix_advertisements=[
            PrefixAdvertisement(
                cidr="10.65.0.0/16", communities=["blue", "65000:1", "1:2:3", "red"]
            )
        ],
    )
    planned = plan(cluster(configurations=peers(default)))
    assert planned.config.families[0].communities[0].communities == ((65000, 1), (1, 2, 3))
    assert "'red'" in str(planned.problems[0])


@pytest.mark.parametrize("text", ["1", "1:2:3:4", "65536:1", "a:b", "1:", "-1:2", "1:2:4294967296"])
def test_what_is_no_community_is_refused(text):
    with pytest.raises(ValidationError):
        parse_community(text)


def test_ignored_interfaces_cannot_inject_configuration():
    default = builders.a_bgp_configuration(
        name="default", ignored_interfaces=["eth1", 'x"; y', "*"]
    )
    planned = plan(cluster(configurations=peers(default)))
    assert planned.config.ignored_interfaces == ("eth1",)
    assert len(planned.problems) == 2


def test_a_gateway_is_only_for_peers_of_this_node():
    mine = builders.a_bgp_peer(
        name="mine", node="a", peer_ip="203.0.113.1", reachable_by="172.16.0.254"
    )
    other = builders.a_bgp_peer(
        name="other", node="b", peer_ip="203.0.113.2", reachable_by="172.16.0.254"
    )
    routes = family_of(4, peers=peers(mine, other)).static_routes
    assert [str(route.destination) for route in routes] == ["203.0.113.1/32"]


def test_a_wrong_as_number_of_the_node_stops_everything():
    with pytest.raises(ValidationError, match="AS number"):
        config_of(nodes=peers(node("a", 1, as_number="x")))


@given(given_cluster=clusters())
def test_every_planned_configuration_holds_its_invariants(given_cluster: Cluster):
    try:
        config = plan(given_cluster).config
    except ValidationError:
        return
    names = [session.name for session in config.sessions]
    assert len(set(names)) == len(names)
    for family in config.families:
        ends = [(session.neighbor, session.port) for session in family.sessions]
        assert len(set(ends)) == len(ends)
        assert family.address not in {session.neighbor for session in family.sessions}
        assert {session.version for session in family.sessions} <= {family.version}
        assert all(block.cidr.version == family.version for block in family.blocks)
