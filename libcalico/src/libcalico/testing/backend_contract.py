"""What every datastore backend must do: one suite for the store in memory and for etcd.

A test module subclasses :class:`BackendContract` and gives it a ``harness`` fixture.
Each test works below a root of its own, so a shared store need not be emptied in between.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import pytest

from libcalico.datastore.backend import Backend
from libcalico.datastore.model import Delete, Event, EventBatch, Put, Revision
from libcalico.errors import (
    AlreadyExistsError,
    CompactedError,
    ConflictError,
    DatastoreError,
    NotFoundError,
    UnavailableError,
)

#: Longest wait for anything that must happen.
DEADLINE_S = 20.0


class Harness(Protocol):
    """What the suite needs beside the protocol itself."""

    def open(self) -> Backend:
        """Open one more backend on the same store. The harness closes it at the end."""
        ...

    def compact(self, revision: Revision) -> None:
        """Make the store forget its history up to this revision."""
        ...


def in_thread(call: Callable[[], object]) -> Future[object]:
    """Run a call in a thread of its own; a daemon, so a call that hangs fails only its test."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def collect(batches: Iterator[EventBatch], count: int) -> list[EventBatch]:
    """Return the batches until they hold ``count`` events, within the deadline."""

    def run() -> list[EventBatch]:
        taken: list[EventBatch] = []
        while sum(len(batch.events) for batch in taken) < count:
            taken.append(next(batches))
        return taken

    result = in_thread(run).result(DEADLINE_S)
    assert isinstance(result, list)
    return result


def events_of(batches: Sequence[EventBatch]) -> list[Event]:
    """Return the events of all batches, in order."""
    return [event for batch in batches for event in batch.events]


def after(revision: Revision) -> Revision:
    """Return the revision to watch from when everything up to this one is known."""
    return Revision(revision + 1)


class BackendContract:
    """The suite. Test names are the contract's sentences."""

    #: More keys than one page of a paged read holds.
    many_keys = 20_000

    @pytest.fixture
    def backend(self, harness: Harness) -> Backend:
        """One backend on the store."""
        return harness.open()

    @pytest.fixture
    def root(self) -> str:
        """A prefix that no other test uses."""
        return f"/contract/{uuid.uuid4().hex}/"

    # Reading

    def test_a_key_never_written_is_none(self, backend: Backend, root: str) -> None:
        """Get of nothing."""
        assert backend.get(root + "a") is None

    def test_a_key_is_returned_as_written_with_its_revision(
        self, backend: Backend, root: str
    ) -> None:
        """Get of something."""
        revision = backend.put(root + "a", b"\x00\xff")
        item = backend.get(root + "a")
        assert item is not None
        assert (item.key, item.value, item.revision) == (root + "a", b"\x00\xff", revision)

    def test_get_is_exact(self, backend: Backend, root: str) -> None:
        """A key is no prefix."""
        backend.put(root + "ab", b"1")
        assert backend.get(root + "a") is None

    def test_read_returns_all_prefixes_sorted_at_one_revision(
        self, backend: Backend, root: str
    ) -> None:
        """Several prefixes, in any order, overlapping or not, give each key once."""
        names = ("b/2", "a/1", "c/3", "a/2", "ab")
        last = max(backend.put(root + name, name.encode()) for name in names)
        snapshot = backend.read(root + "b/", root + "a/", root + "a/1")
        assert [item.key for item in snapshot.items] == [
            root + name for name in ("a/1", "a/2", "b/2")
        ]
        assert snapshot.revision >= last

    def test_read_of_nothing_still_has_a_revision(self, backend: Backend, root: str) -> None:
        """So that a watch can follow it."""
        last = backend.put(root + "a", b"1")
        snapshot = backend.read(root + "none/")
        assert snapshot.items == ()
        assert snapshot.revision >= last

    def test_keys_outside_ascii_sort_and_read_as_text(self, backend: Backend, root: str) -> None:
        """Order is by code point, which is also the order of their UTF-8."""
        names = ["é", "z", "\N{SNOWMAN}", "\N{GRINNING FACE}"]
        for name in names:
            backend.put(root + name, b"1")
        items = backend.read(root).items
        assert [item.key for item in items] == sorted(root + name for name in names)

    def test_more_keys_than_a_page_are_read_completely(self, backend: Backend, root: str) -> None:
        """Beside a second, small prefix."""
        chunk = 100
        for first in range(0, self.many_keys, chunk):
            backend.transact(
                [Put(f"{root}many/{i:06}", b"v%d" % i) for i in range(first, first + chunk)]
            )
        backend.put(root + "few/1", b"1")
        items = backend.read(root + "many/", root + "few/").items
        assert len(items) == self.many_keys + 1
        assert items[0].key == root + "few/1"
        assert [item.value for item in items[1:]] == [b"v%d" % i for i in range(self.many_keys)]

    def test_values_of_a_megabyte_pass(self, backend: Backend, root: str) -> None:
        """And several of them in one read, which is more than gRPC's usual limit."""
        value = bytes(range(256)) * 4096
        for i in range(6):
            backend.put(f"{root}{i}", value)
        assert [item.value for item in backend.read(root).items] == [value] * 6

    # Reading the past

    def test_a_key_is_read_as_it_was(self, backend: Backend, root: str) -> None:
        """Before it was, in each of its lives, and when it was gone."""
        before = backend.put(root + "other", b"0")
        first = backend.put(root + "a", b"1")
        second = backend.put(root + "a", b"2")
        backend.delete(root + "a")
        gone = backend.put(root + "other", b"1")
        assert backend.get(root + "a", revision=before) is None
        for revision, value in ((first, b"1"), (second, b"2")):
            item = backend.get(root + "a", revision=revision)
            assert item is not None
            assert (item.value, item.revision) == (value, revision)
        assert backend.get(root + "a", revision=gone) is None

    def test_prefixes_are_read_as_they_were(self, backend: Backend, root: str) -> None:
        """Also when a later change is between two keys."""
        backend.put(root + "a/1", b"1")
        then = backend.transact([Put(root + "a/2", b"1"), Put(root + "b/1", b"1")])
        backend.put(root + "a/1", b"2")
        backend.delete(root + "a/2")
        snapshot = backend.read(root + "a/", root + "b/", revision=then)
        assert snapshot.revision == then
        assert [(item.key, item.value) for item in snapshot.items] == [
            (root + name, b"1") for name in ("a/1", "a/2", "b/1")
        ]

    def test_the_past_ends_at_the_compaction(self, harness: Harness, root: str) -> None:
        """Its own revision can still be read, also what was written long before it."""
        backend = harness.open()
        backend.put(root + "old", b"1")
        first = backend.put(root + "a", b"1")
        second = backend.put(root + "a", b"2")
        backend.put(root + "a", b"3")
        harness.compact(second)
        for key, value in (("a", b"2"), ("old", b"1")):
            item = backend.get(root + key, revision=second)
            assert item is not None
            assert item.value == value
        with pytest.raises(CompactedError):
            backend.get(root + "a", revision=first)
        with pytest.raises(CompactedError):
            backend.read(root, revision=first)

    def test_the_future_cannot_be_read(self, backend: Backend, root: str) -> None:
        """And that is not taken for a compaction."""
        far = Revision(backend.read(root).revision + 1000)
        with pytest.raises(DatastoreError, match="future revision") as caught:
            backend.get(root + "a", revision=far)
        assert not isinstance(caught.value, CompactedError)
        with pytest.raises(DatastoreError, match="future revision"):
            backend.read(root, revision=far)

    # Writing

    def test_each_write_has_a_higher_revision(self, backend: Backend, root: str) -> None:
        """Whichever key it writes."""
        revisions = [backend.put(root + name, b"1") for name in "abab"]
        assert revisions == sorted(set(revisions))

    def test_create_refuses_a_key_that_exists(self, backend: Backend, root: str) -> None:
        """And leaves it as it is."""
        backend.create(root + "a", b"1")
        with pytest.raises(AlreadyExistsError, match=root):
            backend.create(root + "a", b"2")
        item = backend.get(root + "a")
        assert item is not None
        assert item.value == b"1"

    def test_update_needs_the_present_revision(self, backend: Backend, root: str) -> None:
        """Compare-and-swap."""
        old = backend.create(root + "a", b"1")
        new = backend.update(root + "a", b"2", old)
        with pytest.raises(ConflictError, match=root):
            backend.update(root + "a", b"3", old)
        item = backend.get(root + "a")
        assert item is not None
        assert (item.value, item.revision) == (b"2", new)

    def test_update_of_a_missing_key_is_not_found(self, backend: Backend, root: str) -> None:
        """Rather than a conflict: reading again would not help."""
        revision = backend.put(root + "a", b"1")
        backend.delete(root + "a")
        with pytest.raises(NotFoundError, match=root):
            backend.update(root + "a", b"2", revision)

    def test_delete_removes_exactly_one_key(self, backend: Backend, root: str) -> None:
        """Never what starts with it."""
        backend.put(root + "a", b"1")
        backend.put(root + "ab", b"1")
        backend.delete(root + "a")
        assert [item.key for item in backend.read(root).items] == [root + "ab"]

    def test_delete_of_a_missing_key_is_not_found(self, backend: Backend, root: str) -> None:
        """With a revision and without."""
        with pytest.raises(NotFoundError, match=root):
            backend.delete(root + "a")
        with pytest.raises(NotFoundError, match=root):
            backend.delete(root + "a", Revision(5))

    def test_delete_of_a_changed_key_is_a_conflict(self, backend: Backend, root: str) -> None:
        """The present revision deletes it."""
        old = backend.put(root + "a", b"1")
        new = backend.put(root + "a", b"2")
        with pytest.raises(ConflictError, match=root):
            backend.delete(root + "a", old)
        backend.delete(root + "a", new)
        assert backend.get(root + "a") is None

    # Transactions

    def test_a_transaction_writes_all_at_one_revision(self, backend: Backend, root: str) -> None:
        """Puts and deletions."""
        old = backend.put(root + "a", b"1")
        revision = backend.transact(
            [Delete(root + "a", old), Put(root + "b", b"2", Revision(0)), Put(root + "c", b"3")]
        )
        items = backend.read(root).items
        assert [(item.key, item.revision) for item in items] == [
            (root + "b", revision),
            (root + "c", revision),
        ]

    def test_a_transaction_with_one_failed_condition_writes_nothing(
        self, backend: Backend, root: str
    ) -> None:
        """And its error names the keys to blame, not the others."""
        backend.put(root + "exists", b"1")
        writes = [
            Put(root + "fine", b"2"),
            Put(root + "exists", b"2", Revision(0)),
            Put(root + "missing", b"2", Revision(3)),
        ]
        with pytest.raises(ConflictError) as caught:
            backend.transact(writes)
        text = str(caught.value)
        assert root + "exists" in text
        assert root + "missing" in text
        assert root + "fine" not in text
        assert len(backend.read(root).items) == 1

    def test_a_transaction_may_delete_what_is_not_there(self, backend: Backend, root: str) -> None:
        """Without a condition; with one it is a conflict."""
        backend.transact([Delete(root + "a"), Put(root + "b", b"1")])
        with pytest.raises(ConflictError, match=root):
            backend.transact([Delete(root + "a", Revision(2))])

    def test_a_transaction_must_not_write_a_key_twice(self, backend: Backend, root: str) -> None:
        """The caller's mistake."""
        with pytest.raises(ValueError, match="twice"):
            backend.transact([Put(root + "a", b"1"), Delete(root + "a")])

    def test_of_many_racing_swaps_exactly_one_wins(self, harness: Harness, root: str) -> None:
        """Counting to 40 by compare-and-swap from 4 threads loses no step."""
        backend = harness.open()
        backend.create(root + "n", b"0")

        def count(other: Backend) -> None:
            done = 0
            while done < 10:
                item = other.get(root + "n")
                assert item is not None
                try:
                    other.update(root + "n", b"%d" % (int(item.value) + 1), item.revision)
                except ConflictError:
                    continue
                done += 1

        with ThreadPoolExecutor(4) as pool:
            for result in [pool.submit(count, harness.open()) for _ in range(4)]:
                result.result(DEADLINE_S)
        item = backend.get(root + "n")
        assert item is not None
        assert item.value == b"40"

    # Leases

    def test_a_key_with_a_time_to_live_goes_by_itself(self, backend: Backend, root: str) -> None:
        """And the watch tells."""
        revision = backend.put(root + "a", b"1", ttl_s=1)
        with backend.watch([root], after(revision)) as batches:
            (event,) = events_of(collect(batches, 1))
        assert (event.key, event.value) == (root + "a", None)
        assert backend.get(root + "a") is None

    def test_writing_again_detaches_the_lease(self, backend: Backend, root: str) -> None:
        """A later key's lease runs out; the one written again is still there."""
        backend.put(root + "kept", b"1", ttl_s=1)
        backend.put(root + "kept", b"2")
        revision = backend.put(root + "gone", b"1", ttl_s=1)
        with backend.watch([root], after(revision)) as batches:
            (event,) = events_of(collect(batches, 1))
        assert event.key == root + "gone"
        assert backend.get(root + "kept") is not None

    # Watching

    def test_a_watch_tells_what_happened_since_its_start(self, backend: Backend, root: str) -> None:
        """Inclusive, in order, with each key's value and revision."""
        backend.put(root + "a", b"0")
        start = backend.put(root + "a", b"1")
        created = backend.put(root + "b", b"2")
        backend.delete(root + "a")
        with backend.watch([root], start) as batches:
            told = events_of(collect(batches, 3))
        assert [(event.key, event.value) for event in told] == [
            (root + "a", b"1"),
            (root + "b", b"2"),
            (root + "a", None),
        ]
        assert [event.revision for event in told[:2]] == [start, created]
        assert told[2].revision > created

    def test_a_watch_goes_on_with_what_happens_next(self, backend: Backend, root: str) -> None:
        """Each batch is complete up to its revision."""
        revision = backend.read(root).revision
        with backend.watch([root], after(revision)) as batches:
            for i in range(5):
                written = backend.put(f"{root}{i}", b"%d" % i)
                (batch,) = collect(batches, 1)
                assert batch == EventBatch(written, (Event(f"{root}{i}", b"%d" % i, written),))

    def test_a_watch_tells_only_its_prefixes(self, backend: Backend, root: str) -> None:
        """Also not what lies between them."""
        start = backend.put(root + "a/1", b"1")
        for name in ("b/1", "ab", "c/1", "d", "a/2"):
            backend.put(root + name, b"1")
        with backend.watch([root + "c/", root + "a/"], start) as batches:
            told = events_of(collect(batches, 3))
        assert [event.key for event in told] == [root + "a/1", root + "c/1", root + "a/2"]

    def test_a_watch_of_several_prefixes_keeps_the_order_of_the_store(
        self, harness: Harness, root: str
    ) -> None:
        """Backlog and live changes, from several writers: revisions never go back."""
        backend = harness.open()
        start = backend.put(root + "p0/first", b"1")
        names = [f"{root}p{i % 7}/{i}" for i in range(400)]
        with ThreadPoolExecutor(3) as pool:
            writers = [harness.open() for _ in range(3)]
            half = [pool.submit(writers[i % 3].put, names[i], b"1") for i in range(200)]
            for result in half:
                result.result(DEADLINE_S)
            prefixes = [f"{root}p{i}/" for i in range(7)]
            with backend.watch(prefixes, start) as batches:
                rest = [pool.submit(writers[i % 3].put, names[i], b"1") for i in range(200, 400)]
                taken = collect(batches, 401)
                for result in rest:
                    result.result(DEADLINE_S)
        told = events_of(taken)
        revisions = [event.revision for event in told]
        assert revisions == sorted(revisions)
        assert sorted(event.key for event in told) == sorted([root + "p0/first", *names])
        assert [b.revision for b in taken] == sorted({b.revision for b in taken})
        assert all(b.revision == b.events[-1].revision for b in taken if b.events)

    def test_a_transaction_arrives_in_one_piece(self, backend: Backend, root: str) -> None:
        """Even over several prefixes, and when it is big."""
        value = b"x" * 20_000
        start = after(backend.read(root).revision)
        backend.transact([Put(f"{root}{p}/{i}", value) for p in "abc" for i in range(20)])
        with backend.watch([f"{root}{p}/" for p in "abc"], start) as batches:
            (batch,) = collect(batches, 1)
        assert len(batch.events) == 60

    def test_nothing_is_lost_between_read_and_watch(self, harness: Harness, root: str) -> None:
        """Snapshot plus watch from the next revision give the final content, whoever writes."""
        backend, writer = harness.open(), harness.open()
        started = threading.Event()

        def write() -> None:
            for i in range(300):
                writer.put(f"{root}{i % 10}", b"%d" % i)
                started.set()
                if i % 3 == 0:
                    writer.delete(f"{root}{i % 10}")
            writer.put(root + "end", b"")

        writing = in_thread(write)
        started.wait(DEADLINE_S)
        snapshot = backend.read(root)
        content = {item.key: item.value for item in snapshot.items}

        def follow() -> None:
            with backend.watch([root], after(snapshot.revision)) as batches:
                while root + "end" not in content:
                    for event in next(batches).events:
                        if event.value is None:
                            del content[event.key]
                        else:
                            content[event.key] = event.value

        in_thread(follow).result(DEADLINE_S)
        writing.result(DEADLINE_S)
        assert content == {item.key: item.value for item in backend.read(root).items}

    def test_a_compacted_start_is_an_error(self, harness: Harness, root: str) -> None:
        """Up to and including the compaction's revision, where deletions may be forgotten."""
        backend = harness.open()
        backend.put(root + "a", b"1")
        backend.delete(root + "a")
        compacted = backend.read(root).revision
        harness.compact(compacted)
        for start in (Revision(1), Revision(compacted - 1), compacted):
            with (
                backend.watch([root], start) as batches,
                pytest.raises(CompactedError, match=str(compacted)),
            ):
                collect(batches, 1)

    def test_the_revision_after_a_compaction_can_be_watched(
        self, harness: Harness, root: str
    ) -> None:
        """So read, compaction, watch works."""
        backend = harness.open()
        backend.put(root + "a", b"1")
        revision = backend.put(root + "a", b"2")
        harness.compact(revision)
        written = backend.put(root + "a", b"3")
        with backend.watch([root], after(revision)) as batches:
            (batch,) = collect(batches, 1)
        assert batch == EventBatch(written, (Event(root + "a", b"3", written),))

    def test_a_start_that_the_store_never_reached_is_an_error(
        self, backend: Backend, root: str
    ) -> None:
        """It was restored from a backup; waiting in silence would miss what happens meanwhile."""
        far = Revision(backend.read(root).revision + 1000)
        with backend.watch([root], far) as batches, pytest.raises(CompactedError, match="backup"):
            collect(batches, 1)

    def test_a_read_needs_a_prefix(self, backend: Backend) -> None:
        """The caller's mistake; so for a watch."""
        with pytest.raises(ValueError, match="prefix"):
            backend.read()
        with pytest.raises(ValueError, match="prefix"):
            backend.watch([], Revision(1))

    # Closing

    def test_closing_a_watch_from_another_thread_ends_its_iteration(
        self, backend: Backend, root: str
    ) -> None:
        """At once, and without an error."""
        watch = backend.watch([root], after(backend.read(root).revision))
        entered = threading.Event()

        def follow() -> list[EventBatch]:
            batches = watch.__enter__()
            entered.set()
            return list(batches)

        following = in_thread(follow)
        assert entered.wait(DEADLINE_S)
        watch.__exit__(None, None, None)
        assert following.result(DEADLINE_S) == []

    def test_a_closed_backend_is_unavailable(self, backend: Backend, root: str) -> None:
        """For whatever is asked of it."""
        backend.close()
        calls: list[Callable[[], object]] = [
            lambda: backend.get(root),
            lambda: backend.read(root),
            lambda: backend.put(root, b""),
            lambda: backend.delete(root),
            lambda: backend.transact([Put(root, b"")]),
        ]
        for call in calls:
            with pytest.raises(UnavailableError, match="closed"):
                call()

    def test_closing_the_backend_breaks_its_watches(self, backend: Backend, root: str) -> None:
        """With the error that a broken stream has."""
        entered = threading.Event()

        def follow() -> list[EventBatch]:
            with backend.watch([root], after(backend.read(root).revision)) as batches:
                entered.set()
                return list(batches)

        following = in_thread(follow)
        assert entered.wait(DEADLINE_S)
        backend.close()
        with pytest.raises(UnavailableError):
            following.result(DEADLINE_S)
