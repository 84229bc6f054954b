"""Pools, hosts, blocks, configuration and readiness, as they are told."""

import hashlib
import json

import pytest

from calico_node.felix.calc.graph import Calculation, prefixes
from calico_node.felix.messages import Pool, Problem, Vtep
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.net.addresses import parse_address, parse_cidr, parse_interface
from libcalico.resources import codec
from libcalico.resources.bgp import ServiceCIDR
from libcalico.resources.model import ResourceId, id_of
from libcalico.resources.nodes import NodeAddress, NodeBGPSpec
from libcalico.testing import builders as a

GLOBAL, SELECTED, OWN = 0, 1, 2
BLOCK = "10.65.0.0/26"


@pytest.fixture
def calculation():
    fresh = Calculation("here")
    fresh.flush()
    return fresh


def flush_with(calculation, *resources):
    for resource in resources:
        calculation.on_update(keys.path_of(id_of(resource)), codec.encode(resource))
    return calculation.flush()


def node(name="here", **fields):
    return a.a_node(name=name, **fields)


def selecting(name, selector, created, level):
    made = a.a_felix_configuration(name=name, node_selector=selector, log_severity_screen=level)
    return made.with_(metadata=made.metadata.with_(creation_timestamp=created))


def level(changes, source):
    return changes.config[source].get("LogSeverityScreen")


def test_everything_below_the_prefixes_is_enough():
    groups = prefixes("here")
    followed = [prefix for group in groups for prefix in group]
    assert any(keys.path_of(AffinityKey("here", BLOCK)).startswith(p) for p in followed)
    assert any(keys.path_of(ResourceId("Tier", "", "t")).startswith(p) for p in followed)
    assert not any(keys.path_of(AffinityKey("there", BLOCK)).startswith(p) for p in followed)


def test_first_flush_tells_that_nothing_is_configured_and_nothing_ready():
    changes = Calculation("here").flush()
    assert (changes.config, changes.ready) == (({}, {}, {}), False)


def test_disabled_pools_are_told(calculation):
    pool = a.a_pool(name="p", cidr=BLOCK, disabled=True, nat_outgoing=True, vxlan_mode="Always")
    changes = flush_with(calculation, pool)
    assert changes.pools == {"p": Pool(parse_cidr(BLOCK), nat_outgoing=True, vxlan="Always")}


def test_pool_without_cidr_is_absent_and_a_problem(calculation):
    flush_with(calculation, a.a_pool(name="p", cidr=BLOCK))
    changes = flush_with(calculation, a.a_pool(name="p", cidr="10.0.0"))
    assert changes.pools == {"p": None}
    assert "10.0.0" in changes.problems["IPPool(p)"].message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"bgp": NodeBGPSpec(ipv4_address="172.16.0.1/24", ipv6_address="fd99::1")},
            ("172.16.0.1/32", "fd99::1/128"),
        ),
        (
            {
                "bgp": None,
                "addresses": [
                    NodeAddress("192.0.2.1", type="ExternalIP"),
                    NodeAddress("172.16.0.2", type="InternalIP"),
                ],
            },
            ("172.16.0.2/32",),
        ),
        (
            {"bgp": None, "addresses": [NodeAddress("192.0.2.1", type="ExternalIP")]},
            ("192.0.2.1/32",),
        ),
    ],
)
def test_addresses_of_hosts(calculation, fields, expected):
    changes = flush_with(calculation, node(**fields))
    assert changes.hosts == {"here": tuple(map(parse_cidr, expected))}


def test_host_without_addresses_is_not_told(calculation):
    assert not flush_with(calculation, node(bgp=None))
    changes = flush_with(calculation, node(bgp=NodeBGPSpec(ipv4_address="x")))
    assert not changes.hosts
    assert "Node(here)" in changes.problems


@pytest.mark.parametrize(
    ("value", "is_claimed"),
    [
        (b'{"state":"confirmed"}', True),
        (b'{"state":"pendingDeletion"}', True),
        (b'{"state":"pending"}', None),
        (b"{}", True),
        (b"", True),
        (b"{", True),
        (None, None),
    ],
)
def test_blocks_of_this_host(calculation, value, is_claimed):
    calculation.on_update(keys.path_of(AffinityKey("here", BLOCK)), value)
    calculation.on_update(keys.path_of(AffinityKey("there", "10.65.0.64/26")), value)
    assert calculation.flush().blocks == ({parse_cidr(BLOCK): True} if is_claimed else {})


def test_affinity_to_no_block_is_a_problem_until_it_is_gone(calculation):
    key = keys.path_of(AffinityKey("here", "nonsense"))
    calculation.on_update(key, b"{}")
    assert calculation.flush().problems.keys() == {key}
    calculation.on_update(key, None)
    assert calculation.flush().problems == {key: None}


def test_configuration_by_source(calculation):
    changes = flush_with(
        calculation,
        node(labels={"zone": "a"}),
        a.a_felix_configuration(log_severity_screen="Error"),
        a.a_felix_configuration(name="node.here", log_severity_screen="Debug"),
        a.a_felix_configuration(name="node.there", log_severity_screen="Fatal"),
        selecting("zone", "zone == 'a'", "2026-01-01T00:00:00Z", "Warning"),
    )
    assert [level(changes, s) for s in (GLOBAL, SELECTED, OWN)] == ["Error", "Warning", "Debug"]


def test_oldest_selecting_configuration_wins_as_a_whole(calculation):
    changes = flush_with(
        calculation,
        node(labels={"zone": "a"}),
        selecting("b", "has(zone)", "2026-01-02T00:00:00Z", "Error"),
        selecting("c", "has(zone)", "2026-01-01T00:00:00Z", "Debug"),
        selecting("d", "has(zone)", "2026-01-01T00:00:00Z", "Fatal"),
        selecting("a", "zone == 'b'", "2025-01-01T00:00:00Z", "Info"),
    )
    assert level(changes, SELECTED) == "Debug"


def test_labels_of_the_node_choose_anew(calculation):
    flush_with(calculation, selecting("a", "zone == 'b'", "2025-01-01T00:00:00Z", "Info"))
    assert level(flush_with(calculation, node(labels={"zone": "b"})), SELECTED) == "Info"
    assert level(flush_with(calculation, node(labels={})), SELECTED) is None


@pytest.mark.parametrize("selector", ["", "zone = 'a'"])
def test_configuration_that_selects_nothing_readable_is_a_problem(calculation, selector):
    changes = flush_with(calculation, selecting("some", selector, "", "Info"))
    assert changes.config is None
    assert isinstance(changes.problems["FelixConfiguration(some)"], Problem)


def test_annotations_override_fields(calculation):
    annotations = {
        "config.projectcalico.org/LogSeverityScreen": "Debug",
        "config.projectcalico.org/NoSuchParameter": "x",
        "LogPrefix": "y",
    }
    made = a.a_felix_configuration(log_severity_screen="Error", annotations=annotations)
    texts = flush_with(calculation, made).config[GLOBAL]
    assert texts["LogSeverityScreen"] == "Debug"
    assert "NoSuchParameter" not in texts
    assert "LogPrefix" not in texts


def test_readiness(calculation):
    assert flush_with(calculation, a.a_cluster_information()).ready is True
    assert flush_with(calculation, a.a_cluster_information()).ready is None
    assert flush_with(calculation, a.a_cluster_information(datastore_ready=False)).ready is False
    key = keys.path_of(ResourceId("ClusterInformation", "", "default"))
    calculation.on_update(key, json.dumps({"spec": {"datastoreReady": True}}).encode())
    assert calculation.flush().ready is True
    calculation.on_update(key, None)
    assert calculation.flush().ready is False


def test_the_built_in_profile_cannot_be_shadowed(calculation):
    name = "projectcalico-default-allow"
    endpoint = a.an_endpoint(node="here", profiles=[name])
    changes = flush_with(calculation, endpoint, a.a_profile(name=name, ingress=[], egress=[]))
    assert [rule.action for rule in changes.profiles[name].ingress] == ["Allow"]
    calculation.on_update(keys.path_of(ResourceId("Profile", "", name)), None)
    assert not calculation.flush()


def test_readiness_is_known_without_a_flush(calculation):
    assert not calculation.is_ready
    cluster = a.a_cluster_information()
    calculation.on_update(keys.path_of(id_of(cluster)), codec.encode(cluster))
    assert calculation.is_ready


def test_a_node_tells_how_it_is_reached(calculation):
    told = flush_with(
        calculation,
        a.a_node(
            name="far",
            bgp=NodeBGPSpec(ipv4_address="172.16.0.7/24"),
            ipv4_vxlan_tunnel_addr="10.65.0.1",
            ipv6_vxlan_tunnel_addr="fd65::1",
            vxlan_tunnel_mac_addr_v6="66:00:00:00:00:09",
        ),
    ).nodes["far"]
    assert told.addresses == (parse_interface("172.16.0.7/24"),)
    derived = b"\x66" + hashlib.sha1(b"far").digest()[:5]
    assert told.vtep(4) == Vtep(parse_address("10.65.0.1"), derived)
    assert told.vtep(6) == Vtep(parse_address("fd65::1"), bytes.fromhex("660000000009"))


@pytest.mark.parametrize(
    "field",
    [
        *(
            {"vxlan_tunnel_mac_addr": mac}
            for mac in ("66:zz", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
        ),
        *(
            {"ipv6_vxlan_tunnel_addr": address}
            for address in ("10.0.0.300", "10.65.0.2", "::", "::1", "ff02::1")
        ),
        *(
            {"ipv4_vxlan_tunnel_addr": address}
            for address in ("fd65::1", "0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255")
        ),
    ],
)
def test_a_node_with_a_tunnel_that_cannot_be_read_keeps_its_address(calculation, field):
    changes = flush_with(
        calculation, a.a_node(name="far", **{"ipv4_vxlan_tunnel_addr": "10.65.0.1", **field})
    )
    assert changes.hosts["far"]
    assert "far" not in changes.nodes
    assert changes.problems


def test_blocks_are_needed_while_a_pool_is_encapsulated(calculation):
    flush_with(calculation, a.a_pool(name="p"))
    assert not calculation.has_overlay
    flush_with(calculation, a.a_pool(name="p", vxlan_mode="CrossSubnet"))
    assert calculation.has_overlay
    flush_with(calculation, a.a_pool(name="p", vxlan_mode="Never"))
    assert not calculation.has_overlay


def test_services_are_those_of_the_clusters_bgp_configuration(calculation):
    cluster = {"service_cluster_ips": [ServiceCIDR(cidr="10.96.0.0/12"), ServiceCIDR()]}
    more = {
        "service_external_ips": [
            ServiceCIDR(cidr="192.0.2.7/32"),
            ServiceCIDR(cidr="10.96.0.0/12"),
        ],
        "service_load_balancer_ips": [ServiceCIDR(cidr="fd96::/112")],
    }
    told = flush_with(calculation, a.a_bgp_configuration(**cluster, **more)).services
    assert told == dict.fromkeys(map(parse_cidr, ("10.96.0.0/12", "192.0.2.7", "fd96::/112")), True)
    own = a.a_bgp_configuration(
        name="node.here", service_cluster_ips=[ServiceCIDR(cidr="10.0.0.0/8")]
    )
    assert flush_with(calculation, own).services == {}
    gone = flush_with(calculation, a.a_bgp_configuration(**cluster)).services
    assert gone == dict.fromkeys(map(parse_cidr, ("192.0.2.7", "fd96::/112")))
    calculation.on_update(keys.path_of(ResourceId("BGPConfiguration", "", "default")), None)
    assert calculation.flush().services == {parse_cidr("10.96.0.0/12"): None}


def test_a_service_cidr_that_cannot_be_read_is_left_out(calculation):
    key = keys.path_of(ResourceId("BGPConfiguration", "", "default"))
    spec = {"serviceExternalIPs": [{"cidr": "10.96.0.0/12"}, {"cidr": "10.x"}]}
    calculation.on_update(key, json.dumps({"spec": spec}).encode())
    changes = calculation.flush()
    assert changes.services == {parse_cidr("10.96.0.0/12"): True}
    (problem,) = changes.problems.values()
    assert problem.subject == "BGPConfiguration(default)"
    assert problem.message.startswith("spec.serviceExternalIPs[1].cidr: ")
    calculation.on_update(key, b"{")
    changes = calculation.flush()
    assert changes.services == {parse_cidr("10.96.0.0/12"): None}
    assert "it is treated as absent" in changes.problems["BGPConfiguration(default)"].message
