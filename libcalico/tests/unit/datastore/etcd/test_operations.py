"""Operations against scripted replies: paging at one revision, and what a lost answer means."""

from __future__ import annotations

from typing import Any

import pytest
from pyetcd.etcdrpc import kv_pb2, rpc_pb2

from libcalico.datastore.etcd import operations
from libcalico.datastore.etcd.operations import Answer
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.errors import (
    AlreadyExistsError,
    CompactedError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)


class FakeServer:
    """Answers transactions of ranges from a map, as etcd does."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(key.encode() for key in keys)
        self.requests: list[Any] = []

    def answer(self, request: Any) -> Answer:
        self.requests.append(request)
        parts = []
        for operation in request.success:
            wanted = operation.request_range
            matching = [k for k in self.keys if wanted.key <= k < wanted.range_end]
            kvs = [kv_pb2.KeyValue(key=k, mod_revision=3) for k in matching[: wanted.limit]]
            more = len(matching) > wanted.limit
            reply = rpc_pb2.RangeResponse(kvs=kvs, more=more)
            parts.append(rpc_pb2.ResponseOp(response_range=reply))
        header = rpc_pb2.ResponseHeader(revision=50 + len(self.requests))
        return Answer(rpc_pb2.TxnResponse(header=header, succeeded=True, responses=parts))


def run(operation: Any, answer: Any) -> Any:
    request = next(operation)
    while True:
        try:
            request = operation.send(answer(request))
        except StopIteration as stop:
            return stop.value


def test_pages_are_read_at_the_revision_of_the_first():
    names = [f"/a/{i:02}" for i in range(25)] + [f"/b/{i}" for i in range(3)] + ["/c"]
    server = FakeServer(names)
    snapshot = run(operations.read(["/b/", "/a/", "/a/1"], page_keys=8), server.answer)
    assert snapshot.revision == 51
    assert [item.key for item in snapshot.items] == sorted(names[:-1])
    revisions = [{op.request_range.revision for op in r.success} for r in server.requests]
    assert revisions == [{0}, {51}, {51}, {51}]


def test_small_prefixes_take_one_request():
    server = FakeServer(["/a/1", "/b/1"])
    run(operations.read(["/a/", "/b/", "/c/"]), server.answer)
    assert len(server.requests) == 1


def test_a_read_whose_revision_is_compacted_meanwhile_begins_again():
    server = FakeServer([f"/a/{i}" for i in range(9)])
    reading = operations.read(["/a/"], page_keys=5)
    first = server.answer(next(reading))
    assert reading.send(first).success[0].request_range.revision == 51
    again = reading.throw(CompactedError("gone"))
    assert again.success[0].request_range.revision == 0
    second = server.answer(reading.send(server.answer(again)))
    with pytest.raises(StopIteration) as stop:
        reading.send(second)
    assert len(stop.value.value.items) == 9
    assert stop.value.value.revision == 52


def test_a_read_gives_up_when_compaction_is_always_faster():
    reading = operations.read(["/a/"])
    next(reading)
    for _ in range(2):
        reading.throw(CompactedError("gone"))
    with pytest.raises(UnavailableError, match="compacted faster"):
        reading.throw(CompactedError("gone"))


def failed(*kvs: tuple[str, bytes, int], repeated: bool = False) -> Any:
    parts = [
        rpc_pb2.ResponseOp(
            response_range=rpc_pb2.RangeResponse(
                kvs=[kv_pb2.KeyValue(key=key.encode(), value=value, mod_revision=revision)]
            )
        )
        for key, value, revision in kvs
    ]
    header = rpc_pb2.ResponseHeader(revision=77)
    reply = rpc_pb2.TxnResponse(header=header, succeeded=False, responses=parts)
    return lambda request: Answer(reply, repeated)


def test_a_repeated_create_that_finds_its_own_bytes_has_succeeded():
    answer = failed(("/a", b"1", 70), repeated=True)
    assert run(operations.create("/a", b"1"), answer) == 70


def test_a_repeated_create_that_finds_other_bytes_has_lost():
    with pytest.raises(AlreadyExistsError):
        run(operations.create("/a", b"1"), failed(("/a", b"2", 70), repeated=True))


def test_a_first_create_that_finds_its_own_bytes_has_lost():
    with pytest.raises(AlreadyExistsError):
        run(operations.create("/a", b"1"), failed(("/a", b"1", 70)))


def test_a_repeated_update_that_finds_its_own_bytes_has_succeeded():
    answer = failed(("/a", b"2", 71), repeated=True)
    assert run(operations.update("/a", b"2", Revision(70)), answer) == 71


def test_a_repeated_update_that_finds_nothing_has_lost():
    with pytest.raises(NotFoundError):
        run(operations.update("/a", b"2", Revision(70)), failed(repeated=True))


def test_a_repeated_transaction_has_succeeded_only_as_a_whole():
    writes = [Put("/a", b"1", Revision(0)), Put("/b", b"2", Revision(5)), Delete("/c", Revision(6))]
    done = failed(("/a", b"1", 70), ("/b", b"2", 70), repeated=True)
    assert run(operations.transact(writes), done) == 70
    for half_done in (
        failed(("/a", b"1", 70), ("/b", b"2", 71), repeated=True),
        failed(("/a", b"1", 70), ("/b", b"2", 70), ("/c", b"3", 6), repeated=True),
        failed(("/a", b"1", 70), repeated=True),
    ):
        with pytest.raises(ConflictError):
            run(operations.transact(writes), half_done)


def test_a_repeated_deletion_that_finds_nothing_has_succeeded():
    reply = rpc_pb2.TxnResponse(succeeded=True, responses=[rpc_pb2.ResponseOp()])
    assert run(operations.delete("/a", None), lambda request: Answer(reply, True)) is None
    with pytest.raises(NotFoundError):
        run(operations.delete("/a", None), lambda request: Answer(reply, False))
    assert run(operations.delete("/a", Revision(5)), failed(repeated=True)) is None
