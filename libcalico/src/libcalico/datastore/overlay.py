"""A store with changes that are not written yet: for rehearsals, and for writing them all at once.

:class:`Overlay` answers as the store will once its changes are made, so that whatever runs on it finds
the same conditions and raises the same errors as on the store itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

from libcalico.datastore import conditions
from libcalico.datastore.backend import Backend
from libcalico.datastore.model import (
    Delete,
    EventBatch,
    KeyValue,
    Put,
    Revision,
    Snapshot,
    Write,
)
from libcalico.errors import AlreadyExistsError, UnsupportedOperationError

#: Revisions of what is only in the overlay: beyond any that a store reaches.
_FIRST = 2**62


@dataclass(frozen=True, slots=True)
class _Change:
    """A key as the overlay has it, and as the store had it when it was first changed."""

    now: KeyValue | None
    before: KeyValue | None
    ttl_s: int | None


class Overlay:
    """Backend over another one, which stays as it is until :meth:`commit`. For one thread.

    Closing it leaves the other backend open.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._changes: dict[str, _Change] = {}
        self._revision = Revision(_FIRST)

    def writes(self) -> list[Write]:
        """Return what differs from the store, each on the condition that the key is unchanged there."""
        return [_write(key, change) for key, change in self._changes.items() if _differs(change)]

    def commit(self) -> None:
        """Make all changes in one transaction, or none.

        Raises:
            ConflictError: one of the keys was changed meanwhile.
            TooLargeError: they are too many for one transaction.
        """
        writes = self.writes()
        if writes:
            self._backend.transact(writes)
        self._changes.clear()

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        if revision is None and key in self._changes:
            return self._changes[key].now
        return self._backend.get(key, revision=revision)

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`. The snapshot's revision is the store's."""
        snapshot = self._backend.read(*prefixes, revision=revision)
        if revision is not None:
            return snapshot
        items = {item.key: item for item in snapshot.items if item.key not in self._changes}
        for key, change in self._changes.items():
            if change.now is not None and key.startswith(prefixes):
                items[key] = change.now
        return Snapshot(snapshot.revision, tuple(items[key] for key in sorted(items)))

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return self.transact([Put(key, value, ttl_s=ttl_s)])

    def create(self, key: str, value: bytes) -> Revision:
        """See :meth:`Backend.create`."""
        found = self._revision_of(key)
        if found != conditions.ABSENT:
            raise AlreadyExistsError(conditions.explain(key, conditions.ABSENT, found))
        return self.transact([Put(key, value)])

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """See :meth:`Backend.update`."""
        return self._single(Put(key, value, revision))

    def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        if self._revision_of(key) == conditions.ABSENT:
            raise conditions.not_found(key)
        self._single(Delete(key, revision))

    def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        conditions.check_writes(writes)
        problems = conditions.unmet(writes, self._revision_of)
        if problems:
            raise conditions.conflict(problems)
        self._revision = Revision(self._revision + 1)
        for write in writes:
            self._change(write)
        return self._revision

    def watch(
        self, prefixes: Sequence[str], start: Revision
    ) -> AbstractContextManager[Iterator[EventBatch]]:
        """Refused: what is watched has to be written first."""
        del start
        raise UnsupportedOperationError(f"{', '.join(prefixes)}: changes are not written yet")

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _single(self, write: Put | Delete) -> Revision:
        found = self._revision_of(write.key)
        if write.if_revision is not None and write.if_revision != found:
            raise conditions.stale(write, found)
        return self.transact([write])

    def _revision_of(self, key: str) -> Revision:
        item = self.get(key)
        return conditions.ABSENT if item is None else item.revision

    def _change(self, write: Write) -> None:
        known = self._changes.get(write.key)
        before = self._backend.get(write.key) if known is None else known.before
        now = KeyValue(write.key, write.value, self._revision) if isinstance(write, Put) else None
        ttl_s = write.ttl_s if isinstance(write, Put) else None
        self._changes[write.key] = _Change(now, before, ttl_s)


def _differs(change: _Change) -> bool:
    if change.now is None or change.before is None:
        return change.now is not change.before
    return change.now.value != change.before.value or change.ttl_s is not None


def _write(key: str, change: _Change) -> Write:
    revision = conditions.ABSENT if change.before is None else change.before.revision
    if change.now is None:
        return Delete(key, revision)
    return Put(key, change.now.value, revision, change.ttl_s)
