"""What is behind the backends in memory: keys, the history that watches replay, leases, ordered faults.

Thread-safe. Revisions start at 1; every effective transaction adds one, as in etcd.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from libcalico.datastore import conditions
from libcalico.datastore.model import (
    Delete,
    Event,
    EventBatch,
    KeyValue,
    Put,
    Revision,
    Snapshot,
    Write,
)
from libcalico.errors import (
    AlreadyExistsError,
    CalicoError,
    CompactedError,
    DatastoreError,
    UnavailableError,
)


@dataclass(frozen=True, slots=True)
class Backup:
    """The content of a store at one revision, to restore later."""

    revision: Revision
    items: tuple[KeyValue, ...]


@dataclass(slots=True)
class _Fault:
    error: CalicoError
    times: int
    applied: bool


def _replayed(
    base: dict[str, KeyValue],
    history: Sequence[tuple[Revision, tuple[Event, ...]]],
    until: Revision,
) -> dict[str, KeyValue]:
    """Return what became of the content by the changes up to a revision."""
    items = dict(base)
    for event in (event for revision, events in history if revision <= until for event in events):
        if event.value is None:
            items.pop(event.key, None)
        else:
            items[event.key] = KeyValue(event.key, event.value, event.revision)
    return items


class Subscription:
    """What one watch has yet to deliver. Filled by the store, emptied by one reader.

    Every method but ``wake`` is called with the store's lock held.
    """

    def __init__(self, prefixes: Sequence[str], start: Revision, wake: Callable[[], None]) -> None:
        if not prefixes:
            raise ValueError("a watch needs at least one prefix")
        self._prefixes = tuple(prefixes)
        self._start = start
        self._wake = wake
        self._batches: deque[EventBatch] = deque()
        self._error: CalicoError | None = None
        self.closed = False

    def offer(self, revision: Revision, events: Sequence[Event]) -> None:
        """Queue what the watch asked for of these changes."""
        wanted = tuple(
            e for e in events if e.key.startswith(self._prefixes) and e.revision >= self._start
        )
        if wanted and self._error is None:
            self._batches.append(EventBatch(revision, wanted))
            self._wake()

    def fail(self, error: CalicoError) -> None:
        """End the watch with this error, once what is queued was delivered."""
        self._error = self._error or error
        self._wake()

    def close(self) -> None:
        """End the watch at once."""
        self.closed = True
        self._wake()

    def take(self) -> EventBatch | None:
        """Return the next batch, or None if there is none yet. Raises what :meth:`fail` was given."""
        if self._batches:
            return self._batches.popleft()
        if self._error is not None:
            raise self._error
        return None


class MemoryStore:
    """The shared state. Thread-safe.

    Args:
        clock: seconds, monotonic; leases run on it. A test that moves its own clock calls
            :meth:`expire_leases` to make watches see it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self._revision = Revision(1)
        self._compacted = Revision(0)
        self._items: dict[str, KeyValue] = {}
        self._base: dict[str, KeyValue] = {}
        self._history: list[tuple[Revision, tuple[Event, ...]]] = []
        self._expires_at: dict[str, float] = {}
        self._subscriptions: list[Subscription] = []
        self._faults: deque[_Fault] = deque()
        self._down = 0

    # What tests order

    def fail_next(
        self, error: CalicoError | None = None, *, times: int = 1, applied: bool = False
    ) -> None:
        """Make the next operations fail, in whichever backend they happen.

        Args:
            error: UnavailableError if not given.
            times: how many operations fail.
            applied: do the write all the same; only its answer is lost.
        """
        fault = error or UnavailableError("datastore: no answer (ordered by the test)")
        with self.changed:
            self._faults.append(_Fault(fault, times, applied))

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Break all watches and refuse every operation while inside."""
        with self.changed:
            self._down += 1
        self.break_watches()
        try:
            yield
        finally:
            with self.changed:
                self._down -= 1

    def break_watches(self) -> None:
        """End every open watch with UnavailableError, as a lost connection does."""
        with self.changed:
            for subscription in self._subscriptions:
                subscription.fail(UnavailableError("datastore: the watch stream broke"))

    def compact(self, revision: Revision | None = None) -> None:
        """Forget the history up to this revision (inclusive); None means all of it.

        Raises:
            CompactedError: it is compacted already.
            ValueError: it lies in the future.
        """
        with self.changed:
            target = self._revision if revision is None else revision
            if target <= self._compacted:
                raise CompactedError(f"revision {target} is compacted already")
            if target > self._revision:
                raise ValueError(f"revision {target} lies in the future, now {self._revision}")
            self._base = _replayed(self._base, self._history, target)
            self._compacted = target
            self._history = [entry for entry in self._history if entry[0] > target]

    def expire_leases(self) -> None:
        """Delete the keys whose time to live is over. Every operation does it first."""
        with self.changed:
            now = self._clock()
            over = sorted(key for key, at in self._expires_at.items() if at <= now)
            for key in over:
                self._commit([Delete(key)])

    def backup(self) -> Backup:
        """Return the content now."""
        with self.changed:
            return Backup(self._revision, tuple(self._items.values()))

    def restore(self, backup: Backup) -> None:
        """Go back to a backup: revisions go on from there, watches break, history and leases are lost."""
        with self.changed:
            self._revision, self._compacted = backup.revision, backup.revision
            self._items = {item.key: item for item in backup.items}
            self._base = dict(self._items)
            self._history, self._expires_at = [], {}
            self.break_watches()

    @property
    def revision(self) -> Revision:
        """The store's revision now."""
        with self.changed:
            return self._revision

    # What backends do

    def get(self, key: str, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        with self._operation():
            return self._items_at(revision).get(key)

    def read(self, prefixes: tuple[str, ...], revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        if not prefixes:
            raise ValueError("a read needs at least one prefix")
        with self._operation():
            items = self._items_at(revision)
            keys = sorted(key for key in items if key.startswith(prefixes))
            at = self._revision if revision is None else revision
            return Snapshot(at, tuple(items[key] for key in keys))

    def _items_at(self, revision: Revision | None) -> dict[str, KeyValue]:
        """Return the content at a revision: what was compacted, and the history until then."""
        if revision is None:
            return self._items
        if revision < self._compacted:
            raise conditions.compacted(revision, self._compacted)
        if revision > self._revision:
            raise DatastoreError(f"revision {revision} is a future revision, now {self._revision}")
        return _replayed(self._base, self._history, revision)

    def create(self, key: str, value: bytes) -> Revision:
        """See :meth:`Backend.create`."""
        with self._operation():
            found = self._revision_of(key)
            if found != conditions.ABSENT:
                raise AlreadyExistsError(conditions.explain(key, conditions.ABSENT, found))
            return self._commit([Put(key, value)])

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """See :meth:`Backend.update`."""
        with self._operation():
            return self._commit_single(Put(key, value, revision))

    def delete(self, key: str, revision: Revision | None) -> None:
        """See :meth:`Backend.delete`."""
        with self._operation():
            if key not in self._items:
                raise conditions.not_found(key)
            self._commit_single(Delete(key, revision))

    def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        conditions.check_writes(writes)
        with self._operation():
            problems = conditions.unmet(writes, self._revision_of)
            if problems:
                raise conditions.conflict(problems)
            return self._commit(writes)

    def subscribe(self, subscription: Subscription, start: Revision) -> None:
        """Replay the history from ``start`` to the subscription, and keep it supplied from now on."""
        with self._operation():
            if max(start, 1) <= self._compacted:
                raise conditions.compacted(start, self._compacted)
            if start > self._revision + 1:
                raise CompactedError(conditions.backwards_text(start, self._revision))
            events = [event for _, batch in self._history for event in batch]
            subscription.offer(self._revision, events)
            self._subscriptions.append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop supplying it and wake its reader."""
        with self.changed:
            subscription.close()
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def next_expiry_in_s(self) -> float | None:
        """Return how long until the next lease ends, None if there is no lease."""
        with self.changed:
            at = min(self._expires_at.values(), default=None)
            return None if at is None else max(0.0, at - self._clock())

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """Hold the lock for one operation, and let it fail if a test ordered that."""
        with self.changed:
            if self._down:
                raise UnavailableError("datastore: no answer (made unavailable by the test)")
            self.expire_leases()
            fault = self._next_fault()
            if fault is not None and not fault.applied:
                raise fault.error
            yield
            if fault is not None:
                raise fault.error

    def _next_fault(self) -> _Fault | None:
        if not self._faults:
            return None
        fault = self._faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self._faults.popleft()
        return fault

    def _revision_of(self, key: str) -> Revision:
        item = self._items.get(key)
        return conditions.ABSENT if item is None else item.revision

    def _commit_single(self, write: Write) -> Revision:
        found = self._revision_of(write.key)
        if write.if_revision is not None and write.if_revision != found:
            raise conditions.stale(write, found)
        return self._commit([write])

    def _commit(self, writes: Sequence[Write]) -> Revision:
        """Do all writes at one new revision; none, if they would change nothing."""
        revision = Revision(self._revision + 1)
        events = tuple(
            self._write(write, revision)
            for write in writes
            if isinstance(write, Put) or write.key in self._items
        )
        if not events:
            return self._revision
        self._revision = revision
        self._history.append((revision, events))
        for subscription in self._subscriptions:
            subscription.offer(revision, events)
        self.changed.notify_all()
        return revision

    def _write(self, write: Write, revision: Revision) -> Event:
        self._expires_at.pop(write.key, None)
        if isinstance(write, Delete):
            del self._items[write.key]
            return Event(write.key, None, revision)
        if write.ttl_s is not None:
            self._expires_at[write.key] = self._clock() + write.ttl_s
        self._items[write.key] = KeyValue(write.key, write.value, revision)
        return Event(write.key, write.value, revision)
