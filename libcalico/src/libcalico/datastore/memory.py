"""A store in memory behind both protocols: every unit test of every room runs on it.

:class:`MemoryBackend` and :class:`AsyncMemoryBackend` are two doors to a :class:`MemoryStore`; several
may be open on one store, also from several threads and event loops. It behaves like etcd: the
contract suite runs on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from libcalico.datastore.memory_store import Backup, MemoryStore, Subscription
from libcalico.datastore.model import EventBatch, KeyValue, Put, Revision, Snapshot, Write
from libcalico.errors import CompactedError, UnavailableError

__all__ = ["AsyncMemoryBackend", "Backup", "MemoryBackend", "MemoryStore"]


class _Door:
    """What the two backends share: the store, and whether this door to it is still open."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def _open_store(self) -> MemoryStore:
        if self._closed:
            raise UnavailableError("datastore: the backend was closed")
        return self.store

    def subscribe(self, subscription: Subscription, start: Revision) -> None:
        """Connect a watch. A refusal is raised by the watch's iterator."""
        with self.store.changed:
            self._subscriptions.add(subscription)
            try:
                self._open_store().subscribe(subscription, start)
            except (CompactedError, UnavailableError) as error:
                subscription.fail(error)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Disconnect a watch and end its iteration."""
        self.store.unsubscribe(subscription)
        self._subscriptions.discard(subscription)

    def _shut(self) -> None:
        with self.store.changed:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.fail(UnavailableError("datastore: the backend was closed"))


class MemoryBackend(_Door):
    """Blocking door to a :class:`MemoryStore`. See :class:`~.backend.Backend`.

    Args:
        store: shared with other backends; a new one if not given.
    """

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return self._open_store().get(key, revision)

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return self._open_store().read(prefixes, revision)

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return self._open_store().transact([Put(key, value, ttl_s=ttl_s)])

    def create(self, key: str, value: bytes) -> Revision:
        """See :meth:`Backend.create`."""
        return self._open_store().create(key, value)

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """See :meth:`Backend.update`."""
        return self._open_store().update(key, value, revision)

    def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        self._open_store().delete(key, revision)

    def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        return self._open_store().transact(writes)

    def watch(self, prefixes: Sequence[str], start: Revision) -> MemoryWatch:
        """See :meth:`Backend.watch`."""
        return MemoryWatch(self, prefixes, start)

    def close(self) -> None:
        """See :meth:`Backend.close`."""
        self._shut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class MemoryWatch:
    """Context manager and iterator of one blocking watch."""

    def __init__(self, door: _Door, prefixes: Sequence[str], start: Revision) -> None:
        self._door = door
        self._start = start
        self._subscription = Subscription(prefixes, start, door.store.changed.notify_all)

    def __enter__(self) -> Self:
        self._door.subscribe(self._subscription, self._start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._door.unsubscribe(self._subscription)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventBatch:
        store = self._door.store
        with store.changed:
            while not self._subscription.closed:
                store.expire_leases()
                batch = self._subscription.take()
                if batch is not None:
                    return batch
                store.changed.wait(store.next_expiry_in_s())
        raise StopIteration


class AsyncMemoryBackend(_Door):
    """Asyncio door to a :class:`MemoryStore`. See :class:`~.backend.AsyncBackend`.

    Args:
        store: shared with other backends; a new one if not given.
    """

    async def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return self._open_store().get(key, revision)

    async def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return self._open_store().read(prefixes, revision)

    async def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return self._open_store().transact([Put(key, value, ttl_s=ttl_s)])

    async def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        self._open_store().delete(key, revision)

    async def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        return self._open_store().transact(writes)

    def watch(self, prefixes: Sequence[str], start: Revision) -> AsyncMemoryWatch:
        """See :meth:`Backend.watch`."""
        return AsyncMemoryWatch(self, prefixes, start)

    async def close(self) -> None:
        """See :meth:`Backend.close`."""
        self._shut()


class AsyncMemoryWatch:
    """Context manager and iterator of one asyncio watch. Belongs to the loop that entered it."""

    def __init__(self, door: _Door, prefixes: Sequence[str], start: Revision) -> None:
        self._door = door
        self._start = start
        self._filled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscription = Subscription(prefixes, start, self._wake)

    def _wake(self) -> None:
        """Called by whichever thread wrote."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._filled.set)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._door.subscribe(self._subscription, self._start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._door.unsubscribe(self._subscription)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventBatch:
        store = self._door.store
        while True:
            self._filled.clear()
            with store.changed:
                store.expire_leases()
                if self._subscription.closed:
                    raise StopAsyncIteration
                batch = self._subscription.take()
            if batch is not None:
                return batch
            await self._wait(store.next_expiry_in_s())

    async def _wait(self, timeout_s: float | None) -> None:
        try:
            await asyncio.wait_for(self._filled.wait(), timeout_s)
        except TimeoutError:
            return
