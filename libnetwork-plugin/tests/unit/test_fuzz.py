"""Whatever Docker, or somebody who got at its socket, sends: an answer in Docker's form, and no bug."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from libnetwork_plugin import wire

END = "30b4355e6ab1" * 5
WORDS = """
    db50 10.65.0.7 10.65.0.0/24 10.65.0.64/26 fd00:65::1/128 0.0.0.0/0 10.65.0.0/24,10.65.0.64/26
    CalicoPoolIPv4 CalicoPoolIPv6 CalicoLocalAddressSpace RequestAddressType com.docker.network.gateway
    /run/docker/netns/c919 02:42:aa:bb:cc:dd
"""
TEXT = st.sampled_from(["", END, *WORDS.split()]) | st.text(max_size=8)
VALUE = st.recursive(
    TEXT | st.none() | st.booleans() | st.integers(-1, 70000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PORTS = st.dictionaries(
    st.sampled_from(["com.docker.network.portmap", "com.docker.network.generic"]), VALUE
)
DATA = st.fixed_dictionaries({}, optional={"AddressSpace": TEXT, "Pool": TEXT, "Gateway": TEXT})
INTERFACE = st.fixed_dictionaries(
    {}, optional={"Address": TEXT, "AddressIPv6": TEXT, "MacAddress": TEXT}
)
BODY = st.fixed_dictionaries(
    {"NetworkID": TEXT, "EndpointID": TEXT, "PoolID": TEXT},
    optional={
        "Address": TEXT,
        "Pool": TEXT,
        "SubPool": TEXT,
        "V6": st.booleans(),
        "SandboxKey": TEXT,
        "Options": st.none() | PORTS | st.dictionaries(TEXT, TEXT, max_size=2),
        "Interface": INTERFACE | st.none(),
        "IPv4Data": st.lists(DATA, max_size=2) | st.none(),
        "IPv6Data": st.lists(DATA, max_size=2),
    },
)


@settings(max_examples=60, deadline=None)
@given(calls=st.lists(st.tuples(st.sampled_from(sorted(wire.METHODS)), BODY | VALUE), max_size=8))
def test_every_call_is_answered_in_dockers_form(shared_plugin, calls):
    for method, body in calls:
        reply = shared_plugin.http.post(f"/{method}", data=json.dumps(body).encode())
        assert reply.status_code != 500 or b"internal error" not in reply.data, (method, body)
        answer = json.loads(reply.data)
        assert (reply.status_code == 200) == ("Err" not in answer)
