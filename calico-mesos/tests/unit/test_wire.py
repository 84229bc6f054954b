"""The messages of the isolator: recorded forms, refusals, and that nothing else comes out."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_mesos import wire
from libcalico.errors import ValidationError

RECORDED = {
    "allocate": (
        {
            "hostname": "agent-1",
            "num_ipv4": 1,
            "num_ipv6": 0,
            "uid": "task-1",
            "netgroups": ["prod"],
            "labels": [{"key": "app", "value": "web"}],
        },
        wire.Allocate,
    ),
    "reserve": (
        {"hostname": "agent-1", "ipv4_addrs": ["192.168.0.1"], "uid": "task-1"},
        wire.Reserve,
    ),
    "release": ({"ips": ["192.168.0.1"]}, wire.Release),
    "isolate": (
        {"hostname": "agent-1", "container_id": "c1", "pid": 77, "ipv4_addrs": ["192.168.0.1"]},
        wire.Isolate,
    ),
    "cleanup": ({"hostname": "agent-1", "container_id": "c1"}, wire.Cleanup),
}


@pytest.mark.parametrize("command", RECORDED)
def test_a_recorded_request_is_understood(command):
    args, expected = RECORDED[command]
    request = wire.decode(json.dumps({"command": command, "args": args}).encode())
    assert isinstance(request, expected)
    for name, value in args.items():
        assert json.loads(msgspec.json.encode(getattr(request.args, name))) == value


def test_labels_are_a_list_of_key_and_value():
    args = RECORDED["allocate"][0]
    request = wire.decode(json.dumps({"command": "allocate", "args": args}).encode())
    assert request.args.labels == (wire.Label("app", "web"),)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "request"),
        ("[]", "object"),
        ('{"a":' + "[" * 100_000, "request"),
        ('{"command": "explode", "args": {}}', "explode"),
        ('{"command": "isolate", "args": {"hostname": "a", "container_id": "c"}}', "pid"),
        (
            '{"command": "isolate", "args": {"hostname": "a", "container_id": "c", "pid": "7"}}',
            "$.args.pid",
        ),
        ('{"command": "release", "args": {}}', "either"),
        ('{"command": "release", "args": {"uid": "u", "ips": ["10.0.0.1"]}}', "either"),
    ],
)
def test_a_wrong_request_is_refused_and_its_place_named(text, place):
    with pytest.raises(ValidationError) as refused:
        wire.decode(text.encode())
    assert place in str(refused.value)


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_whatever_comes_in_is_a_request_or_a_validation_error(data):
    with contextlib.suppress(ValidationError):
        assert wire.decode(data)


def test_replies_have_the_recorded_form():
    assert json.loads(wire.allocated(("10.0.0.1",))) == {
        "ipv4": ["10.0.0.1"],
        "ipv6": [],
        "error": None,
    }
    assert json.loads(wire.done()) == {"error": None}
    assert json.loads(wire.failed("no pool")) == {"error": "no pool"}
