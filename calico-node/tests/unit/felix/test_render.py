"""The table of a node from a datastore: the same as the program's, and clear about what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.config import Source
from calico_node.felix.render import nodes, render
from libcalico.datastore import keys
from libcalico.errors import ConfigError
from libcalico.resources import codec
from libcalico.resources.model import ResourceId, id_of
from libcalico.testing import builders as a

WEB = a.an_endpoint(labels={"app": "web"}, interface_name="caliweb", ip_networks=["10.65.0.1/32"])
DENY = a.a_global_policy(name="deny", selector="app == 'web'", ingress=[a.a_rule("Deny")])


def stored(*resources):
    return [(keys.path_of(id_of(one)), codec.encode(one)) for one in resources]


def test_a_node_gets_the_policies_of_its_endpoints():
    mine = render("node-1", stored(a.a_node(), WEB, DENY), [])
    assert 'caliweb" : goto' in mine.text
    assert "chain cali-pi-gnp/deny" in mine.text
    assert mine.problems == ()
    other = render("node-2", stored(a.a_node(name="node-2"), WEB, DENY), [])
    assert "caliweb" not in other.text
    assert "cali-pi-gnp/deny" not in other.text


def test_settings_of_the_datastore_count_and_those_of_the_host_win():
    objects = stored(a.a_node(), a.a_felix_configuration(interface_prefix="tap"))
    assert '"tap*"' in render("node-1", objects, []).text
    own = [Source("environment", {"InterfacePrefix": "veth"})]
    assert '"veth*"' in render("node-1", objects, own).text


def test_a_node_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"'nowhere' is not in .*; there are: node-1, node-2"):
        render("nowhere", stored(a.a_node(), a.a_node(name="node-2")), [])
    with pytest.raises(ConfigError, match="there are no nodes at all"):
        render("nowhere", [], [])


def test_what_cannot_be_used_is_named_and_denies():
    key = keys.path_of(ResourceId("GlobalNetworkPolicy", "", "odd"))
    rendering = render("node-1", [*stored(a.a_node(), WEB), (key, b"{")], [])
    assert rendering.problems[0].startswith("GlobalNetworkPolicy(odd) cannot be used:")
    assert "chain cali-pi-gnp/odd" in rendering.text


def test_a_bad_setting_is_named():
    key = keys.path_of(ResourceId("FelixConfiguration", "", "default"))
    bad = (key, b'{"metadata":{"name":"default"},"spec":{"natOutgoingExclusions":"Sometimes"}}')
    assert "Sometimes" in render("node-1", [*stored(a.a_node()), bad], []).problems[0]


@given(st.permutations(stored(a.a_node(), WEB, DENY, a.a_profile(), a.a_pool())))
def test_the_order_of_objects_does_not_matter(objects):
    assert render("node-1", objects, []) == render("node-1", sorted(objects), [])


@given(st.binary())
def test_garbage_names_no_node(value):
    key = keys.path_of(ResourceId("WorkloadEndpoint", "ns", "x"))
    assert nodes([(key, value), ("/elsewhere", value)]) == set()
