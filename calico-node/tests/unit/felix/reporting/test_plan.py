"""States → keys and values, to the byte as Go Felix writes them; and the least writes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import EndpointId
from calico_node.felix.reporting.plan import alive, prefixes, region_of, wanted, writes
from libcalico.datastore.memory import MemoryBackend

WEB = EndpointId("shop", "node--1-k8s-web--0-eth0")
STORE = st.dictionaries(
    st.sampled_from(["/a", "/b", "/c", "/d"]), st.binary(min_size=1, max_size=1)
)


def test_keys_and_values_are_those_of_go_felix():
    assert wanted({WEB: "up", "eth/0": "error"}, "node-1", "no-region") == {
        "/calico/felix/v2/no-region/host/node-1/workload/k8s/shop%2fweb-0/endpoint/eth0": (
            b'{"status":"up"}'
        ),
        "/calico/felix/v1/host/node-1/endpoint/eth%2f0": b'{"status":"error"}',
    }


def test_every_key_is_below_a_prefix_that_is_compared():
    for region in ("no-region", region_of("east")):
        for key in wanted({WEB: "up", "eth0": "down"}, "node-1", region):
            assert key.startswith(prefixes("node-1", region))
    assert region_of("east") == "region-east"


def test_an_endpoint_whose_name_has_no_parts_has_no_key():
    assert wanted({EndpointId("shop", "odd"): "up"}, "node-1", "no-region") == {}


@given(STORE, STORE)
def test_writes_lead_from_what_is_stored_to_what_is_wanted(goal, stored):
    with MemoryBackend() as backend:
        for key, value in stored.items():
            backend.put(key, value)
        planned = writes(goal, stored)
        if planned:
            backend.transact(planned)
        assert {item.key: item.value for item in backend.read("/").items} == goal
    assert len({write.key for write in planned}) == len(planned)
    assert writes(goal, goal) == []


def test_life_is_told_twice_and_once_with_a_lease():
    lease, last = alive("n", "no-region", now_s=0.0, uptime_s=1.5, is_first=True, ttl_s=90)
    assert lease.key == "/calico/felix/v2/no-region/host/n/status"
    assert last.key == "/calico/felix/v2/no-region/host/n/last_reported_status"
    assert (lease.ttl_s, last.ttl_s) == (90, None)
    assert lease.value == last.value
    told = json.loads(lease.value)
    assert told == {"time": "1970-01-01T00:00:00Z", "uptime": 1.5, "first_update": True}
