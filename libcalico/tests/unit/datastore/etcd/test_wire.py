"""Values ⇄ etcd messages: ranges hold exactly their prefix, keys survive, events decode."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from pyetcd.etcdrpc import kv_pb2, rpc_pb2

from libcalico.datastore.etcd import wire
from libcalico.datastore.model import Delete, Event, KeyValue, Put, Revision


def holds(bounds: tuple[bytes, bytes], key: bytes) -> bool:
    start, end = bounds
    return start <= key and (end == b"\0" or key < end)


@given(st.binary())
def test_any_stored_key_survives_as_text(raw: bytes):
    assert wire.encode_key(wire.decode_key(raw)) == raw


@given(st.binary(max_size=4), st.binary(min_size=1, max_size=6))
def test_a_prefix_range_holds_exactly_the_keys_that_start_with_it(stem: bytes, key: bytes):
    bounds = wire.prefix_range(wire.decode_key(stem))
    assert holds(bounds, key) == key.startswith(stem)
    assert holds(bounds, stem + key)


def test_a_prefix_of_only_the_last_byte_has_no_end():
    assert wire.prefix_range(wire.decode_key(b"\xff\xff")) == (b"\xff\xff", b"\0")
    assert wire.prefix_range("") == (b"\0", b"\0")
    assert wire.prefix_range(wire.decode_key(b"a\xff")) == (b"a\xff", b"b")


@given(st.lists(st.text(max_size=4), min_size=1), st.text(max_size=3))
def test_a_cover_holds_every_key_of_its_prefixes(prefixes: list[str], rest: str):
    bounds = wire.cover_range(prefixes)
    for prefix in prefixes:
        if prefix + rest:
            assert holds(bounds, wire.encode_key(prefix + rest))


@given(st.lists(st.text(alphabet="ab/", max_size=4)), st.text(alphabet="ab/"))
def test_disjoint_prefixes_match_each_key_once_if_the_given_ones_match_it(
    prefixes: list[str], key: str
):
    matching = [prefix for prefix in wire.disjoint(prefixes) if key.startswith(prefix)]
    assert len(matching) == (1 if any(key.startswith(prefix) for prefix in prefixes) else 0)


def test_a_transaction_carries_conditions_writes_and_leases():
    writes = [Put("/a", b"1", Revision(0), 5), Delete("/b", Revision(7)), Put("/c", b"3")]
    request = wire.transaction_request(writes, {"/a": 99})
    assert [(c.key, c.mod_revision, c.target) for c in request.compare] == [
        (b"/a", 0, rpc_pb2.Compare.MOD),
        (b"/b", 7, rpc_pb2.Compare.MOD),
    ]
    assert request.success[0].request_put == rpc_pb2.PutRequest(key=b"/a", value=b"1", lease=99)
    assert request.success[1].request_delete_range == rpc_pb2.DeleteRangeRequest(key=b"/b")
    assert request.success[2].request_put.lease == 0
    assert [f.request_range.key for f in request.failure] == [b"/a", b"/b", b"/c"]
    assert all(not f.request_range.range_end for f in request.failure)


def test_events_decode():
    put = kv_pb2.Event(kv=kv_pb2.KeyValue(key=b"/a", value=b"", mod_revision=4))
    deletion = kv_pb2.Event(type=kv_pb2.Event.DELETE, kv=kv_pb2.KeyValue(key=b"/a", mod_revision=5))
    assert wire.event(put) == Event("/a", b"", Revision(4))
    assert wire.event(deletion) == Event("/a", None, Revision(5))


@given(st.text(), st.binary(), st.integers(1, 2**62))
def test_stored_keys_decode(key: str, value: bytes, revision: int):
    raw = kv_pb2.KeyValue(key=wire.encode_key(key), value=value, mod_revision=revision)
    again = kv_pb2.KeyValue.FromString(raw.SerializeToString())
    assert wire.key_value(again) == KeyValue(key, value, Revision(revision))
