"""An asyncio backend behind the blocking protocol, so that one suite tests both.

The event loop runs in a thread of its own; every call is handed to it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

from libcalico.datastore import conditions
from libcalico.datastore.backend import AsyncBackend
from libcalico.datastore.model import EventBatch, KeyValue, Put, Revision, Snapshot, Write
from libcalico.errors import AlreadyExistsError, ConflictError

T = TypeVar("T")


class Portal:
    """A :class:`~libcalico.datastore.backend.Backend` made of an AsyncBackend.

    Args:
        open_backend: called in the loop's thread.
    """

    def __init__(self, open_backend: Callable[[], AsyncBackend]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._backend = self.run(self._open(open_backend))

    @staticmethod
    async def _open(open_backend: Callable[[], AsyncBackend]) -> AsyncBackend:
        return open_backend()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Stop the loop. Close the backend first."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return self.run(self._backend.get(key, revision=revision))

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return self.run(self._backend.read(*prefixes, revision=revision))

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return self.run(self._backend.put(key, value, ttl_s=ttl_s))

    def create(self, key: str, value: bytes) -> Revision:
        """The asyncio protocol has only the transaction for it."""
        try:
            return self.transact([Put(key, value, conditions.ABSENT)])
        except ConflictError as error:
            raise AlreadyExistsError(*error.args) from None

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """The asyncio protocol has only the transaction for it."""
        try:
            return self.transact([Put(key, value, revision)])
        except ConflictError:
            if self.get(key) is None:
                raise conditions.not_found(key) from None
            raise

    def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        self.run(self._backend.delete(key, revision))

    def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        return self.run(self._backend.transact(writes))

    def watch(self, prefixes: Sequence[str], start: Revision) -> PortalWatch:
        """See :meth:`Backend.watch`."""
        return PortalWatch(self, self._backend.watch(prefixes, start))

    def close(self) -> None:
        """See :meth:`Backend.close`."""
        self.run(self._backend.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class PortalWatch:
    """An asyncio watch behind the blocking protocol."""

    def __init__(
        self, portal: Portal, watch: AbstractAsyncContextManager[AsyncIterator[EventBatch]]
    ) -> None:
        self._portal = portal
        self._watch = watch
        self._batches: AsyncIterator[EventBatch] | None = None

    def __enter__(self) -> Self:
        self._batches = self._portal.run(self._watch.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._portal.run(self._watch.__aexit__(None, None, None))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventBatch:
        batch = self._portal.run(self._next())
        if batch is None:
            raise StopIteration
        return batch

    async def _next(self) -> EventBatch | None:
        if self._batches is None:
            return None
        return await anext(self._batches, None)
