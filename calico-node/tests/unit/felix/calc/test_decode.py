"""Whatever the datastore holds is taken: used, or reported. Nothing raises, and nothing else changes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.calc import decode
from calico_node.felix.calc.graph import Calculation
from calico_node.felix.calc.testing.dataplane import Dataplane
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.resources import codec
from libcalico.resources.endpoints import EndpointPort
from libcalico.resources.model import ResourceId, id_of
from libcalico.testing import builders as a
from libcalico.testing.strategies import resources

KINDS = (
    *("WorkloadEndpoint", "NetworkPolicy", "GlobalNetworkPolicy", "Profile", "Tier", "IPPool"),
    *(
        "HostEndpoint",
        "NetworkSet",
        "GlobalNetworkSet",
        "Node",
        "FelixConfiguration",
        "ClusterInformation",
    ),
)
NAMESPACED = {"WorkloadEndpoint", "NetworkPolicy", "NetworkSet"}
FIELDS = (
    *("metadata", "labels", "annotations", "spec", "node", "interfaceName", "ipNetworks", "ports"),
    *("name", "protocol", "port", "profiles", "mac", "selector", "ingress", "egress", "action"),
    *("source", "destination", "nets", "icmp", "type", "code", "order", "types", "tier", "bgp"),
    *("ipv4Address", "nodeSelector", "cidr", "labelsToApply", "defaultAction", "state", "http"),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["", "here", "Allow", "10.0.0.1/32", "all()", "a = b", "\ud800", "x" * 300]),
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=20,
).map(lambda document: json.dumps(document).encode())
#: Nested deeper than any reader goes.
DEEP = b'{"spec":{"ingress":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


def key_of(kind):
    return keys.path_of(ResourceId(kind, "default" if kind in NAMESPACED else "", "x"))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), DOCUMENTS | st.binary())
def test_any_value_is_taken(kind, value):
    take_and_forget(kind, value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_nested_too_deeply_is_taken(kind):
    take_and_forget(kind, DEEP)


def take_and_forget(kind, value):
    calculation, dataplane = Calculation("here"), Dataplane()
    for each in (a.an_endpoint(node="here"), a.a_profile()):
        calculation.on_update(keys.path_of(id_of(each)), codec.encode(each))
    dataplane.apply(calculation.flush())
    before = dataplane.state()
    calculation.on_update(key_of(kind), value)
    dataplane.apply(calculation.flush())
    calculation.on_update(key_of(kind), None)
    dataplane.apply(calculation.flush())
    assert dataplane.state() == before


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["10.0.0.0/26", "x"]), DOCUMENTS | st.binary())
def test_any_affinity_is_taken(cidr, value):
    calculation = Calculation("here")
    calculation.on_update(keys.path_of(AffinityKey("here", cidr)), value)
    calculation.flush()


@settings(max_examples=100, deadline=None)
@given(resources())
def test_valid_resources_are_no_problem(resource):
    calculation = Calculation("here")
    calculation.on_update(keys.path_of(id_of(resource)), codec.encode(resource))
    assert not calculation.flush().problems


@pytest.mark.parametrize(
    "fields",
    [
        {"interface_name": ".."},
        {"interface_name": "a/b"},
        {"interface_name": "sixteen-letters-"},
        {"mac": "ee:ee"},
        {"ip_networks": ["10.0.0.0/24"]},
        {"ports": [EndpointPort(name="p", protocol="TCP", port=65536)]},
    ],
)
def test_local_endpoint_that_cannot_be_connected_is_reported_and_absent(fields):
    calculation = Calculation("here")
    endpoint = a.an_endpoint(node="here", **fields)
    calculation.on_update(keys.path_of(id_of(endpoint)), codec.encode(endpoint))
    changes = calculation.flush()
    assert not changes.endpoints
    assert changes.problems


def test_an_affinity_nested_too_deeply_is_taken():
    calculation = Calculation("here")
    calculation.on_update(keys.path_of(AffinityKey("here", "10.0.0.0/26")), DEEP)
    assert calculation.flush().problems


def test_fields_that_another_version_stored_in_an_endpoint_are_passed_over():
    known = {
        "metadata": {"name": "w"},
        "spec": {
            "node": "h", "interfaceName": "cali1", "ipNetworks": ["10.0.0.1/32"],
            "ipNATs": [{"internalIP": "10.0.0.1", "externalIP": "192.0.2.1"}],
            "ports": [{"name": "p", "protocol": "TCP", "port": 1}],
            "qosControls": {"ingressPacketRate": 5, "dscp": "10"},
        },
    }  # fmt: skip
    plain = decode.endpoint(json.dumps(known).encode())
    assert plain.value is not None
    assert not plain.problem
    spec = known["spec"]
    for part in (known, known["metadata"], spec, spec["ipNATs"][0], spec["ports"][0]):
        part["unheardOf"] = {"x": 1}
    spec["qosControls"]["unheardOf"] = 1
    assert decode.endpoint(json.dumps(known).encode()) == plain
