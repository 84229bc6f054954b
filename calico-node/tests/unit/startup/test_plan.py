from ipaddress import ip_interface, ip_network

import pytest

from calico_node.startup.identity import NodeClashError
from calico_node.startup.model import HOST_ID_ANNOTATION, HostFacts, HostInterface, StoreView
from calico_node.startup.plan import node_name, plan
from calico_node.startup.settings import parse
from libcalico.errors import ConfigError
from libcalico.resources.nodes import NodeBGPSpec
from libcalico.testing import builders

ETH0 = HostInterface("eth0", (ip_interface("10.0.0.5/24"), ip_interface("fd00::5/64")))
FACTS = HostFacts(hostname="Host.Example ", host_id="host-one", interfaces=(ETH0,), random_bits=1)


def planned(environ=None, store=None, facts=FACTS):
    return plan(parse(environ or {}), facts, store or StoreView())


def facts_with(**changes):
    fields = {name: getattr(FACTS, name) for name in HostFacts.__dataclass_fields__}
    return HostFacts(**{**fields, **changes})


def a_node(name, address="", owner="", **fields):
    annotations = {HOST_ID_ANNOTATION: owner} if owner else {}
    bgp = NodeBGPSpec(ipv4_address=address, **fields) if address or fields else None
    return builders.a_node(name=name, bgp=bgp, annotations=annotations)


def store_of(*nodes, **parts):
    return StoreView(nodes={node.name: node for node in nodes}, **parts)


# --- the name ---


@pytest.mark.parametrize(
    ("environ", "stored", "expected"),
    [
        ({"NODENAME": "Given", "HOSTNAME": "h"}, "stored", "Given"),
        ({"HOSTNAME": "H"}, "stored", "stored"),
        ({"HOSTNAME": "H"}, "", "h"),
        ({}, "", "host.example"),
    ],
)
def test_the_name_is_given_or_from_before_or_the_hosts(environ, stored, expected):
    assert node_name(parse(environ), facts_with(stored_name=stored)) == expected


@pytest.mark.parametrize("name", ["a/b", "a b", "a%2f", "x" * 254])
def test_a_name_that_cannot_be_a_key_is_refused(name):
    with pytest.raises(ConfigError, match="NODENAME"):
        node_name(parse({"NODENAME": name}), FACTS)


# --- the Node ---


@pytest.mark.parametrize(
    ("environ", "doubtful"),
    [
        ({"IP": "10.0.0.5"}, []),
        ({"IP": "10.0.0.5/32", "IP6": "fd00::5"}, []),
        ({"IP": "10.9.9.9"}, ["10.9.9.9"]),
        ({"IP": "10.9.9.9/24", "IP6": "fd00::6/64"}, ["10.9.9.9", "fd00::6"]),
    ],
)
def test_a_given_address_that_the_host_does_not_have_is_told_and_used(environ, doubtful):
    result = planned(environ)
    told = [note for note in result.notes if note.startswith("Unable to confirm")]
    assert told == [
        f"Unable to confirm that the address {ip} is this host's: no interface has it"
        for ip in doubtful
    ]
    assert result.node.spec.bgp.ipv4_address.startswith(environ["IP"].partition("/")[0])


def test_a_new_node_gets_its_identity_and_its_address():
    node = planned().node
    assert node.name == "host.example"
    assert node.metadata.annotations[HOST_ID_ANNOTATION] == "host-one"
    assert node.spec.bgp.ipv4_address == "10.0.0.5/24"
    assert node.spec.bgp.ipv6_address == ""
    assert node.spec.interfaces == []


def test_a_second_start_changes_nothing():
    environ = {"IP": "autodetect", "IP6": "autodetect", "AS": "65001"}
    first = planned(environ).node
    assert planned(environ, store_of(first)).node is None


def test_settings_of_others_survive():
    stored = a_node("host.example", "10.0.0.9/24", route_reflector_cluster_id="1.1.1.1")
    node = planned(store=store_of(stored)).node
    assert node.spec.bgp.route_reflector_cluster_id == "1.1.1.1"
    assert node.spec.bgp.ipv4_address == "10.0.0.9/24"


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("autodetect", "10.0.0.5/24"),
        ("10.0.0.5", "10.0.0.5/24"),
        ("10.0.0.7", "10.0.0.7/32"),
        ("10.0.0.7/16", "10.0.0.7/16"),
        ("none", "10.0.0.9/24"),
        ("", "10.0.0.9/24"),
    ],
)
def test_the_address_is_detected_given_or_kept(ip, expected):
    stored = a_node("host.example", "10.0.0.9/24")
    assert planned({"IP": ip}, store_of(stored)).node.spec.bgp.ipv4_address == expected


def test_a_bare_ipv6_address_is_taken_as_it_is():
    assert planned({"IP6": "fd00::5"}).node.spec.bgp.ipv6_address == "fd00::5/128"


def test_a_failed_detection_keeps_the_stored_address_and_says_so():
    stored = a_node("host.example", "10.0.0.9/24")
    environ = {"IP": "autodetect", "IP_AUTODETECTION_METHOD": "interface=wlan0"}
    result = planned(environ, store_of(stored))
    assert result.node.spec.bgp.ipv4_address == "10.0.0.9/24"
    assert "keeping the stored 10.0.0.9/24" in result.notes[0]
    with pytest.raises(ConfigError, match="interface=wlan0"):
        planned(environ)


def test_no_address_at_all_is_refused_unless_nothing_is_routed():
    with pytest.raises(ConfigError, match="no IPv4 or IPv6 addresses"):
        planned({"IP": "none"})
    node = planned({"IP": "none", "CALICO_NETWORKING_BACKEND": "none"}).node
    assert node.spec.bgp is None


def test_interfaces_are_shown_for_the_families_that_were_asked_for():
    node = planned({"IP": "autodetect"}).node
    assert [(i.name, i.addresses) for i in node.spec.interfaces] == [("eth0", ["10.0.0.5"])]


# --- clashes ---


def test_the_name_of_another_host_is_refused_with_the_ways_out():
    store = store_of(a_node("host.example", "10.0.0.9/24", owner="host-two"))
    with pytest.raises(NodeClashError) as refusal:
        planned(store=store)
    for words in ("10.0.0.9/24", "host-two", "NODENAME", "calicoctl delete node host.example"):
        assert words in str(refusal.value)


def test_the_name_of_a_host_that_is_gone_can_be_taken_over():
    store = store_of(a_node("host.example", owner="host-two"))
    node = planned({"CALICO_TAKE_OVER_NODE": "true"}, store).node
    assert node.metadata.annotations[HOST_ID_ANNOTATION] == "host-one"


def test_a_node_without_an_identity_is_adopted():
    node = planned(store=store_of(a_node("host.example"))).node
    assert node.metadata.annotations[HOST_ID_ANNOTATION] == "host-one"


def test_the_address_of_another_node_is_refused():
    store = store_of(a_node("other", "10.0.0.5/16", owner="host-two"))
    with pytest.raises(
        NodeClashError, match=r"'other' is already using the IPv4 address 10\.0\.0\.5"
    ):
        planned(store=store)
    assert planned({"DISABLE_NODE_IP_CHECK": "true"}, store).node is not None


def test_a_renamed_host_is_told_to_remove_its_former_name():
    store = store_of(a_node("former", "10.0.0.5/24", owner="host-one"))
    with pytest.raises(NodeClashError, match="former name: run 'calicoctl delete node former'"):
        planned(store=store)


def test_ipv6_addresses_clash_too():
    store = store_of(a_node("other", ipv6_address="fd00:0::5/64"))
    with pytest.raises(NodeClashError, match="IPv6 address fd00::5"):
        planned({"IP6": "autodetect"}, store)


# --- defaults ---


def pools_of(result):
    return {r.name: r.spec for r in result.defaults if r.kind == "IPPool"}


def test_both_default_pools_are_made():
    pools = pools_of(planned())
    assert pools["default-ipv4-ippool"].cidr == "192.168.0.0/16"
    assert pools["default-ipv4-ippool"].nat_outgoing
    assert ip_network(pools["default-ipv6-ippool"].cidr).subnet_of(ip_network("fd00::/8"))
    assert pools["default-ipv6-ippool"].block_size == 122


def test_the_default_pool_avoids_the_hosts_own_networks():
    held = ("192.168.7.1/24", "172.16.0.1/24", "172.18.0.1/12")
    eth0 = HostInterface("eth0", tuple(ip_interface(text) for text in held[:2]))
    assert pools_of(planned(facts=facts_with(interfaces=(eth0,))))["default-ipv4-ippool"].cidr == (
        "172.17.0.0/16"
    )
    full = HostInterface("eth0", tuple(ip_interface(text) for text in held))
    with pytest.raises(ConfigError, match="CALICO_IPV4POOL_CIDR"):
        planned(facts=facts_with(interfaces=(full,)))


@pytest.mark.parametrize(
    ("environ", "store", "facts", "names"),
    [
        ({"NO_DEFAULT_POOLS": "true"}, StoreView(), FACTS, set()),
        ({"CALICO_IPV4POOL_CIDR": "none"}, StoreView(), FACTS, {"default-ipv6-ippool"}),
        ({}, StoreView(pools=(builders.a_pool(),)), FACTS, {"default-ipv6-ippool"}),
        ({}, StoreView(), facts_with(has_ipv6=False), {"default-ipv4-ippool"}),
    ],
)
def test_default_pools_are_left_out(environ, store, facts, names):
    assert set(pools_of(planned(environ, store, facts))) == names


def test_configurations_are_made_once_and_filled_without_overwriting():
    made = {(r.kind, r.name): r for r in planned().defaults}
    shared = made["FelixConfiguration", "default"].spec
    assert (shared.reporting_interval, shared.log_severity_screen) == ("0s", "Info")
    own = made["FelixConfiguration", "node.host.example"].spec
    assert own.default_endpoint_to_host_action == "Return"
    assert ("BGPConfiguration", "default") in made
    store = StoreView(
        felix_configurations={
            "default": builders.a_felix_configuration(log_severity_screen="Debug"),
            "node.host.example": made["FelixConfiguration", "node.host.example"],
        },
        bgp_configurations={"default": builders.a_bgp_configuration()},
        pools=(builders.a_pool(), builders.a_pool(name="six", cidr="fd00::/64")),
    )
    (filled,) = planned(store=store).defaults
    assert (filled.spec.reporting_interval, filled.spec.log_severity_screen) == ("0s", "Debug")


def test_the_node_is_planned_before_pools_and_pools_before_configurations():
    kinds = [resource.kind for resource in planned().defaults]
    assert kinds == sorted(kinds, key=["IPPool", "FelixConfiguration", "BGPConfiguration"].index)
