"""Calls and replies survive the way; the shim's own writer agrees with the library's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.workload.cni import wire
from libcalico.workload.cni.model import CALICO, CALICO_IPAM, Call, Reply

NAMES = st.text(st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
CALLS = st.builds(
    Call,
    st.sampled_from([CALICO, CALICO_IPAM]),
    st.binary(max_size=50),
    st.dictionaries(NAMES, VALUES, max_size=4),
)


@given(CALLS)
def test_a_call_survives_the_way(call):
    data = wire.encode_call(call)
    size = wire.CALL_HEADER.size
    header = wire.decode_call_header(data[:size])
    end = size + header.environ_bytes
    assert header.plugin == call.plugin
    assert wire.decode_environ(data[size:end]) == call.environ
    assert data[end:] == call.stdin
    assert len(data) == end + header.stdin_bytes


@given(st.builds(Reply, st.binary(max_size=50), st.integers(0, 255)))
def test_a_reply_survives_the_way_whole_or_not_at_all(reply):
    data = wire.encode_reply(reply)
    assert wire.decode_reply(data) == reply
    for cut in range(len(data)):
        with pytest.raises(ValidationError):
            wire.decode_reply(data[:cut])


@given(st.binary(max_size=12))
def test_any_header_is_read_or_refused(data):
    try:
        wire.decode_call_header(data)
    except ValidationError:
        return
    assert (data[0], len(data)) == (wire.VERSION, wire.CALL_HEADER.size)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ((2, 0, 0, 0), "of version 2, this server knows 1; run 'calico-cni install' again"),
        ((1, 9, 0, 0), "no plugin number 9"),
        ((1, 0, 1 << 31, 0), "at most"),
    ],
)
def test_a_wrong_header_is_explained(header, complaint):
    with pytest.raises(ValidationError, match=complaint):
        wire.decode_call_header(wire.CALL_HEADER.pack(*header))


def test_an_environment_that_is_no_text_survives():
    data = b"A=\xff\0B=b\0junk\0"
    assert wire.decode_environ(data) == {"A": "\udcff", "B": "b"}
    call = Call(CALICO, b"", wire.decode_environ(data))
    assert b"A=\xff\0B=b\0" in wire.encode_call(call)
