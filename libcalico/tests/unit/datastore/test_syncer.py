"""The Syncer's theorem: whatever happens on the way, what it emits adds up to what the store holds."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libcalico.datastore.memory import Backup, MemoryBackend, MemoryStore
from libcalico.datastore.model import Delete, Event, EventBatch, KeyValue, Put, Revision, Snapshot
from libcalico.datastore.syncer import IN_SYNC, InSync, ReadSnapshot, Syncer, Update, Watch
from libcalico.errors import CompactedError, UnavailableError

KEYS = st.sampled_from(["/a/1", "/a/2", "/b/1", "/elsewhere"])
VALUES = st.sampled_from([b"1", b"2", b"3"])
PREFIXES = ("/a/", "/b/")


STEPS = 30
#: A step writes twice at most, and each write may come as a batch of its own; a few are for reading anew.
MOST_BATCHES = 2 * STEPS + 10


class SyncerMachine(RuleBasedStateMachine):
    """Writers, cuts, compactions and restores at random; the driver takes steps at random too."""

    @initialize()
    def begin(self) -> None:
        self.store = MemoryStore()
        self.backend = MemoryBackend(self.store)
        self.syncer = Syncer()
        self.content: dict[str, bytes] = {}
        self.in_sync_count = 0
        self.backups: list[Backup] = [self.store.backup()]
        self.watch = None
        self.batches = None

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.settle()
            expected = {item.key: item.value for item in self.backend.read(*PREFIXES).items}
            assert self.content == expected
            assert self.in_sync_count == 1

    def settle(self) -> None:
        """Write a last key and step until it has come out."""
        self.backend.put("/b/last", b"end")
        self.step_until(lambda: self.content.get("/b/last") == b"end")
        self.backend.delete("/b/last")
        self.step_until(lambda: "/b/last" not in self.content)

    def step_until(self, fact: Callable[[], bool]) -> None:
        for _ in range(MOST_BATCHES):
            if fact():
                return
            self.step()
        raise AssertionError("the last change did not come out")

    # The world

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: bytes) -> None:
        self.backend.put(key, value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.backend.transact([Delete(key)])

    @rule(values=st.dictionaries(KEYS, st.none() | VALUES, min_size=2))
    def transact(self, values: dict[str, bytes | None]) -> None:
        self.backend.transact(
            [Delete(key) if value is None else Put(key, value) for key, value in values.items()]
        )

    @rule()
    def cut(self) -> None:
        self.store.break_watches()

    @rule()
    def lose_an_answer(self) -> None:
        self.store.fail_next()
        try:
            self.backend.get("/a/1")
        except UnavailableError:
            self.syncer.on_read_failed()

    @rule()
    def compact(self) -> None:
        try:
            self.store.compact()
        except CompactedError:
            return

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.store.backup())

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        self.restore_to(data.draw(st.sampled_from(self.backups)))

    @rule(key=KEYS, old=VALUES, new=VALUES)
    def restore_and_grow_again(self, key: str, old: bytes, new: bytes) -> None:
        """One revision of one key has had two values."""
        backup = self.store.backup()
        self.backend.put(key, old)
        self.step()
        self.step()
        self.restore_to(backup)
        self.backend.put(key, new)

    def restore_to(self, backup: Backup) -> None:
        """The store is down meanwhile: a watch breaks, and one that was due cannot be opened."""
        self.store.restore(backup)
        if self.watch is None and isinstance(self.syncer.next_step, Watch):
            self.syncer.on_broken()

    # The driver

    def stop_watching(self) -> None:
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
        self.watch = self.batches = None

    @rule()
    def step(self) -> None:
        match self.syncer.next_step:
            case ReadSnapshot():
                self.stop_watching()
                self.take(self.syncer.on_snapshot(self.backend.read(*PREFIXES)))
            case Watch(start):
                if self.watch is None:
                    self.watch = self.backend.watch(PREFIXES, start)
                    self.batches = self.watch.__enter__()
                self.take_waiting_batch()

    def take_waiting_batch(self) -> None:
        subscription = self.watch._subscription
        try:
            batch = subscription.take()
        except CompactedError:
            self.syncer.on_compacted()
        except UnavailableError:
            self.syncer.on_broken()
        else:
            if batch is not None:
                self.take(self.syncer.on_events(batch))
                assert self.syncer.on_events(batch) == []

    def take(self, changes: list[Update | InSync]) -> None:
        for change in changes:
            if isinstance(change, InSync):
                self.in_sync_count += 1
            elif change.value is None:
                assert change.key in self.content, "a deletion was emitted for nothing"
                del self.content[change.key]
            else:
                self.content[change.key] = change.value

    @precondition(lambda self: hasattr(self, "syncer"))
    @invariant()
    def in_sync_is_told_once(self) -> None:
        assert self.in_sync_count == int(self.syncer.in_sync)


SyncerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=STEPS, deadline=None
)
TestSyncerMachine = SyncerMachine.TestCase


def snapshot(revision: int, **items: tuple[str, int]) -> Snapshot:
    return Snapshot(
        Revision(revision),
        tuple(KeyValue(k, v.encode(), Revision(mod)) for k, (v, mod) in sorted(items.items())),
    )


def batch(revision: int, *events: tuple[str, bytes | None, int]) -> EventBatch:
    return EventBatch(Revision(revision), tuple(Event(k, v, Revision(r)) for k, v, r in events))


def test_it_begins_with_a_snapshot_and_watches_from_the_next_revision():
    syncer = Syncer()
    assert syncer.next_step == ReadSnapshot()
    assert syncer.on_snapshot(snapshot(7, a=("1", 5))) == [Update("a", b"1"), IN_SYNC]
    assert syncer.next_step == Watch(Revision(8))


def test_a_failed_read_is_read_again():
    syncer = Syncer()
    syncer.on_read_failed()
    assert syncer.next_step == ReadSnapshot()
    assert not syncer.in_sync


def test_in_sync_is_emitted_only_by_the_first_snapshot():
    syncer = Syncer()
    assert syncer.on_snapshot(snapshot(1)) == [IN_SYNC]
    syncer.on_compacted()
    assert syncer.next_step == ReadSnapshot()
    assert syncer.on_snapshot(snapshot(3)) == []


def test_a_snapshot_after_a_cut_emits_only_the_difference():
    syncer = Syncer()
    syncer.on_snapshot(snapshot(5, same=("1", 2), changed=("1", 3), gone=("1", 4)))
    syncer.on_broken()
    out = syncer.on_snapshot(snapshot(9, same=("1", 2), changed=("2", 8), new=("1", 9)))
    assert out == [Update("changed", b"2"), Update("new", b"1"), Update("gone", None)]


def test_events_of_known_revisions_are_dropped():
    syncer = Syncer()
    syncer.on_snapshot(snapshot(5, a=("1", 5)))
    assert syncer.on_events(batch(5, ("a", b"0", 4), ("a", b"1", 5))) == []
    assert syncer.on_events(batch(6, ("a", b"2", 6))) == [Update("a", b"2")]
    assert syncer.on_events(batch(6, ("a", b"2", 6))) == []


def test_all_events_of_one_transaction_are_emitted():
    syncer = Syncer()
    syncer.on_snapshot(snapshot(5))
    out = syncer.on_events(batch(6, ("a", b"1", 6), ("b", b"2", 6)))
    assert out == [Update("a", b"1"), Update("b", b"2")]


def test_progress_without_events_moves_the_start_of_the_next_watch():
    syncer = Syncer()
    syncer.on_snapshot(snapshot(5))
    assert syncer.on_events(batch(90)) == []
    assert syncer.next_step == Watch(Revision(91))
    assert syncer.revision == 90


def test_a_restored_store_is_compared_by_value_even_where_revisions_agree():
    syncer = Syncer()
    syncer.on_snapshot(snapshot(9, a=("old", 8), b=("same", 4)))
    syncer.on_broken()
    assert syncer.on_snapshot(snapshot(8, a=("new", 8), b=("same", 4))) == [Update("a", b"new")]
    assert syncer.next_step == Watch(Revision(9))
    assert syncer.on_events(batch(9, ("a", b"2", 9))) == [Update("a", b"2")]


@given(st.dictionaries(st.text(), st.binary()))
def test_reading_the_same_snapshot_again_emits_nothing(content: dict[str, bytes]):
    syncer = Syncer()
    items = tuple(KeyValue(key, value, Revision(1)) for key, value in sorted(content.items()))
    syncer.on_snapshot(Snapshot(Revision(1), items))
    syncer.on_broken()
    assert syncer.on_snapshot(Snapshot(Revision(1), items)) == []
