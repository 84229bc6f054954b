"""Runs pure operations against the store: read what they ask for, swap, try again when it was lost.

Operations that threads submit at the same time share one transaction (group commit): whoever is
first becomes the leader and takes along what is queued. Each operation still succeeds or fails on
its own: one that fails leaves nothing in the transaction.
"""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from libcalico.datastore.backend import Backend
from libcalico.datastore.keys import BLOCKS
from libcalico.datastore.model import Revision
from libcalico.errors import CalicoError, ConflictError, IpamError
from libcalico.ipam.plan import view as views
from libcalico.ipam.plan.view import ABSENT, Stored, Unread, View

T = TypeVar("T")
Operation = Callable[[View], T]

#: Swaps that may be lost before an operation gives up. Source: 5.4.
MAX_ATTEMPTS = 100
#: Keys of one transaction; etcd refuses more than 128.
_MAX_WRITES = 100
#: Reads that one attempt may ask for; more would mean that a plan asks for the same thing forever.
_MAX_READS = 1000
#: Blocks that are remembered between operations.
_REMEMBERED = 256
_LONGEST_BACKOFF_S = 0.05


def backoff(attempt: int) -> None:
    """Wait a random moment, longer with each attempt, so that contenders get out of step."""
    time.sleep(random.uniform(0, min(_LONGEST_BACKOFF_S, 0.001 * 2 ** min(attempt, 6))))


class _Ticket(Generic[T]):
    """One submitted operation and what became of it."""

    def __init__(self, operation: Operation[T]) -> None:
        self.operation = operation
        self.done = False
        self.error: BaseException | None = None
        self.value: T | None = None

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


class Committer:
    """Thread-safe.

    Args:
        backend: the store.
        pause: called with the number of the attempt after a swap was lost.
        now_ns: nanoseconds since the epoch.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        pause: Callable[[int], None] = backoff,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._backend = backend
        self._pause = pause
        self._now_ns = now_ns
        self._queue: deque[_Ticket[Any]] = deque()
        self._leading = threading.Lock()
        self._remembered: OrderedDict[str, Stored] = OrderedDict()

    def run(self, operation: Operation[T]) -> T:
        """Run an operation and return its result once its writes are stored.

        Raises:
            IpamError: too many swaps were lost.
            UnavailableError: the store did not answer; the writes may have been stored all the same.
            CalicoError: whatever the operation raises.
        """
        ticket = _Ticket(operation)
        self._queue.append(ticket)
        with self._leading:
            while not ticket.done:
                self._commit_some()
        return ticket.result()

    def _commit_some(self) -> None:
        """Commit a batch from the front of the queue."""
        tickets = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            finished = self._commit(tickets)
        except BaseException as error:
            for ticket in tickets:
                ticket.error, ticket.done = error, True
            if not isinstance(error, CalicoError):
                raise
        else:
            for ticket in tickets[:finished]:
                ticket.done = True
            self._queue.extendleft(reversed(tickets[finished:]))

    def _commit(self, tickets: list[_Ticket[Any]]) -> int:
        """Plan and write until the swap succeeds; return how many of the tickets it did."""
        attempt = _Attempt(self._backend, self._remembered, self._now_ns)
        for number in range(MAX_ATTEMPTS):
            view, finished = attempt.plan(tickets)
            changes = view.changes()
            if not changes:
                self._remember(attempt.items)
                return finished
            writes = view.writes(changes)
            try:
                revision = self._backend.transact(writes)
            except ConflictError:
                self._forget(changes)
                attempt = _Attempt(self._backend, self._remembered, self._now_ns)
                self._pause(number)
                continue
            except CalicoError:
                self._forget(changes)
                raise
            self._remember(attempt.items | _stored(changes, revision))
            return finished
        raise IpamError("Max retries hit - excessive concurrent IPAM requests")

    def _remember(self, items: Mapping[str, Stored]) -> None:
        for key, stored in items.items():
            if key.startswith(BLOCKS):
                self._remembered[key] = stored
                self._remembered.move_to_end(key)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def _forget(self, lost: Iterable[str]) -> None:
        for key in lost:
            self._remembered.pop(key, None)


def _stored(changes: Mapping[str, Any], revision: Revision) -> dict[str, Stored]:
    return {
        key: ABSENT if value is None else Stored(revision, value) for key, value in changes.items()
    }


class _Attempt:
    """What was read for one attempt at a batch."""

    def __init__(
        self, backend: Backend, remembered: Mapping[str, Stored], now_ns: Callable[[], int]
    ) -> None:
        self.items: dict[str, Stored] = dict(remembered)
        self._stale = set(self.items)
        self._prefixes: set[str] = set()
        self._backend = backend
        self._now_ns = now_ns

    def plan(self, tickets: list[_Ticket[Any]]) -> tuple[View, int]:
        """Run the operations on one view, reading what they ask for; return how many fitted in."""
        for _ in range(_MAX_READS):
            view = View(self.items, self._prefixes, self._stale, self._now_ns())
            try:
                return view, _run_all(view, tickets)
            except Unread as unread:
                self._read(unread)
        raise AssertionError("an IPAM operation asks for the same keys again and again")

    def _read(self, unread: Unread) -> None:
        snapshot = self._backend.read(*sorted(unread.keys | unread.prefixes))
        prefixes = tuple(unread.prefixes)
        for key in [key for key in self.items if key.startswith(prefixes)]:
            del self.items[key]
        self.items.update(dict.fromkeys(unread.keys, ABSENT))
        for item in snapshot.items:
            if item.key in unread.keys or item.key.startswith(prefixes):
                self.items[item.key] = Stored(item.revision, views.decode(item.key, item.value))
        self._stale -= unread.keys
        self._stale = {key for key in self._stale if not key.startswith(prefixes)}
        self._prefixes |= unread.prefixes


def _run_all(view: View, tickets: list[_Ticket[Any]]) -> int:
    """Run operations one after the other until the transaction is full; return how many it holds.

    Raises:
        Unread: what any of them needs, so that one read serves all.
    """
    unread: list[Unread] = []
    for number, ticket in enumerate(tickets):
        mark = view.mark()
        try:
            _run_one(view, ticket)
        except Unread as one:
            view.rollback(mark)
            unread.append(one)
        if number and view.size > _MAX_WRITES:
            view.rollback(mark)
            tickets = tickets[:number]
            break
    if unread:
        wanted = frozenset().union(*(one.keys for one in unread))
        raise Unread(wanted, frozenset().union(*(one.prefixes for one in unread)))
    return len(tickets)


def _run_one(view: View, ticket: _Ticket[Any]) -> None:
    ticket.error, ticket.value = None, None
    mark = view.mark()
    try:
        ticket.value = ticket.operation(view)
    except CalicoError as error:
        view.rollback(mark)
        if view.stale_reads:
            raise Unread(view.stale_reads) from None
        ticket.error = error
