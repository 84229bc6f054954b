"""The port to the datastore. Two implementations obey it: ``etcd`` and ``memory``.

Both pass the contract suite ``libcalico.testing.backend_contract``; what this page says is what
the suite checks. Blocking programs use :class:`Backend`, daemons :class:`AsyncBackend`; one process
may use both on the same store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, Self

from libcalico.datastore.model import EventBatch, KeyValue, Revision, Snapshot, Write


class Backend(Protocol):
    """Blocking access. Every method raises UnavailableError when the store does not answer in time."""

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """Return the key as stored, or None; as it was at ``revision``, if one is given.

        Raises:
            CompactedError: that revision is compacted away.
            DatastoreError: the store has not reached that revision.
        """
        ...

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """Return all keys that start with any of the prefixes, sorted by key, at one revision.

        That is the latest one, or the one given; see :meth:`get` for what it may raise then.
        """
        ...

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """Write unconditionally and return the new mod revision. Detaches an earlier lease."""
        ...

    def create(self, key: str, value: bytes) -> Revision:
        """Write a key that must not exist. Raises AlreadyExistsError."""
        ...

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """Write a key whose mod revision must be ``revision``.

        Raises:
            NotFoundError: the key does not exist.
            ConflictError: it was changed since.
        """
        ...

    def delete(self, key: str, revision: Revision | None = None) -> None:
        """Delete exactly this key. Raises NotFoundError, or ConflictError if its revision differs."""
        ...

    def transact(self, writes: Sequence[Write]) -> Revision:
        """Do all writes in one transaction, or none.

        Raises:
            ConflictError: a condition does not hold; its text names the keys that were to blame.
            TooLargeError: the store takes no transaction of so many writes, or so many bytes.
        """
        ...

    def watch(
        self, prefixes: Sequence[str], start: Revision
    ) -> AbstractContextManager[Iterator[EventBatch]]:
        """Yield every change from revision ``start`` (inclusive) on, in order, until closed.

        Closing the context from another thread ends the iteration.

        Raises (from the iterator):
            CompactedError: ``start`` is compacted away.
            UnavailableError: the stream broke; read again, then watch again.
        """
        ...

    def close(self) -> None:
        """Release connections; further calls raise UnavailableError."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


class AsyncBackend(Protocol):
    """The same for asyncio; same names, same errors."""

    async def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        ...

    async def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        ...

    async def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        ...

    async def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        ...

    async def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        ...

    def watch(
        self, prefixes: Sequence[str], start: Revision
    ) -> AbstractAsyncContextManager[AsyncIterator[EventBatch]]:
        """See :meth:`Backend.watch`."""
        ...

    async def close(self) -> None:
        """See :meth:`Backend.close`."""
        ...
