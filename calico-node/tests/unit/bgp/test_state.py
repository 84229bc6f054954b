import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.bgp.state import State, prefixes
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.resources import codec
from libcalico.resources.model import id_of
from libcalico.testing import builders


def told(*resources):
    state = State("a")
    for resource in resources:
        tell(state, resource)
    return state


def tell(state, resource):
    state.on_update(keys.path_of(id_of(resource)), codec.encode(resource))


def test_what_is_watched_covers_what_is_understood_and_no_other_hosts_blocks():
    watched = prefixes("a")
    for resource in (builders.a_node(), builders.a_pool(), builders.a_bgp_peer()):
        assert keys.path_of(id_of(resource)).startswith(watched)
    assert keys.path_of(AffinityKey("a", "10.0.0.0/26")).startswith(watched)
    assert not keys.path_of(AffinityKey("ab", "10.0.0.0/26")).startswith(watched)


def test_resources_come_and_go():
    state = told(builders.a_node(name="a"), builders.a_pool())
    assert state.knows_own_node
    assert set(state.cluster({}).pools) == {"pool"}
    state.on_update(keys.path_of(id_of(builders.a_pool())), None)
    assert state.cluster({}).pools == {}


@pytest.mark.parametrize(
    "value", [b"not json", b'{"spec": {"peerIP": 7}}', b'{"spec":{"peerIP":"x"}}']
)
def test_a_bad_version_does_not_replace_the_last_good_one(value):
    peer = builders.a_bgp_peer(peer_ip="192.0.2.1")
    state = told(peer)
    state.on_update(keys.path_of(id_of(peer)), value)
    assert state.cluster({}).peers["peer"].spec.peer_ip == "192.0.2.1"
    assert "BGPPeer(peer)" in str(state.problems[0])
    tell(state, peer)
    assert state.problems == ()


def test_a_filter_that_breaks_a_rule_does_not_replace_the_last_good_one():
    one = builders.a_bgp_filter()
    state = told(one)
    broken = b'{"metadata":{"name":"filter"},"spec":{"exportV4":[{"action":"Accept","cidr":"x"}]}}'
    state.on_update(keys.path_of(id_of(one)), broken)
    assert state.cluster({}).filters == {"filter": one}
    assert "BGPFilter(filter): spec.exportV4[0]" in str(state.problems[0])


@pytest.mark.parametrize(
    ("value", "state_of_affinity"),
    [(b'{"state":"confirmed","deleted":false}', "confirmed"), (b"{}", ""), (b"", "")],
)
def test_affinities_of_this_host_are_known_by_state(value, state_of_affinity):
    state = State("a")
    state.on_update(keys.path_of(AffinityKey("a", "10.0.0.0/26")), value)
    state.on_update(keys.path_of(AffinityKey("b", "10.0.1.0/26")), value)
    assert state.cluster({}).affinities == {"10.0.0.0/26": state_of_affinity}


@given(path=st.text(), value=st.one_of(st.none(), st.binary()))
def test_any_key_and_value_is_taken(path, value):
    State("a").on_update(path, value)


@given(
    value=st.binary(),
    kind=st.sampled_from(["nodes", "bgppeers", "bgpfilters", "bgpconfigurations", "ippools"]),
)
def test_any_value_of_a_known_key_is_taken(value, kind):
    state = State("a")
    state.on_update(f"{keys.RESOURCES}{kind}/a", value)
    state.on_update(keys.path_of(AffinityKey("a", "10.0.0.0/26")), value)
    state.cluster({})
