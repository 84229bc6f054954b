"""One watch stream against scripted replies: where it starts, what a batch has reached, how it ends."""

from __future__ import annotations

from typing import Any

import pytest
from pyetcd.etcdrpc import kv_pb2, rpc_pb2

from libcalico.datastore.etcd.watching import WatchStream
from libcalico.datastore.model import Event, EventBatch, Revision
from libcalico.errors import CompactedError, UnauthorizedError, UnavailableError


def reply(revision: int, *events: tuple[str, int], **fields: Any) -> Any:
    messages = [
        kv_pb2.Event(kv=kv_pb2.KeyValue(key=key.encode(), value=b"v", mod_revision=mod))
        for key, mod in events
    ]
    header = rpc_pb2.ResponseHeader(revision=revision)
    return rpc_pb2.WatchResponse(header=header, events=messages, **fields)


def stream(start: int = 10) -> WatchStream:
    return WatchStream(["/b/", "/a/"], Revision(start))


def test_it_covers_its_prefixes_from_one_revision_before_the_start():
    create = stream().request().create_request
    assert (create.key, create.range_end, create.start_revision) == (b"/a/", b"/b0", 9)
    assert create.progress_notify
    assert stream(start=1).request().create_request.start_revision == 1


def test_the_revision_before_the_start_is_dropped():
    watch = stream()
    assert watch.on_reply(reply(9, ("/a/1", 9))) is None
    got = watch.on_reply(reply(12, ("/a/1", 9), ("/a/1", 10)))
    assert got == EventBatch(Revision(10), (Event("/a/1", b"v", Revision(10)),))


def test_a_batch_has_reached_its_last_event_not_its_header():
    got = stream().on_reply(reply(5000, ("/a/1", 10), ("/b/1", 11), ("/aa", 12)))
    assert got is not None
    assert got.revision == 12
    assert [event.key for event in got.events] == ["/a/1", "/b/1"]


def test_progress_is_told_once():
    watch = stream()
    assert watch.on_reply(reply(30)) == EventBatch(Revision(30), ())
    assert watch.on_reply(reply(30)) is None


def test_foreign_changes_are_not_told_but_for_their_progress_now_and_then():
    watch = stream()
    assert watch.on_reply(reply(500, ("/aa", 500))) is None
    assert watch.on_reply(reply(1200, ("/aa", 1200))) == EventBatch(Revision(1200), ())


def test_a_start_ahead_of_the_member_is_checked_with_the_cluster():
    watch = stream()
    assert not watch.on_created(reply(9, created=True))
    assert watch.on_created(reply(8, created=True))
    watch.on_revision(Revision(9))
    with pytest.raises(CompactedError, match="restored from a backup"):
        watch.on_revision(Revision(8))


def test_a_compacted_start_names_the_compaction():
    gone = reply(0, canceled=True, compact_revision=44)
    with pytest.raises(CompactedError, match=r"revision 10 is compacted away: .* came after 44"):
        stream().on_reply(gone)


def test_a_denied_watch_is_unauthorized():
    denied = reply(0, created=True, canceled=True, cancel_reason="etcdserver: permission denied")
    with pytest.raises(UnauthorizedError, match="permission denied"):
        stream().on_created(denied)


def test_an_ended_watch_is_unavailable():
    with pytest.raises(UnavailableError, match="no leader"):
        stream().on_reply(reply(0, canceled=True, cancel_reason="etcdserver: no leader"))
