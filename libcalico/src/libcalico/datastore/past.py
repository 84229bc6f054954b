"""A store as it was: :class:`PastBackend` reads at one revision, :func:`history` tells one key's versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Self

from libcalico.datastore.backend import Backend
from libcalico.datastore.model import EventBatch, KeyValue, Revision, Snapshot, Write
from libcalico.errors import CompactedError, UnavailableError, UnsupportedOperationError

#: Revision of a store that was never written to; no change made it.
_EMPTY = 1
#: Compactions that may overtake one look into the past.
_TRIES = 3


class PastBackend:
    """Reads another backend at one revision, and writes nothing. See :class:`~.backend.Backend`.

    Closing it leaves the other backend open.
    """

    def __init__(self, backend: Backend, revision: Revision) -> None:
        self._backend = backend
        self._at = revision

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return self._backend.get(key, revision=revision or self._at)

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return self._backend.read(*prefixes, revision=revision or self._at)

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> NoReturn:
        """Refused."""
        del value, ttl_s
        self._refuse(key)

    def create(self, key: str, value: bytes) -> NoReturn:
        """Refused."""
        del value
        self._refuse(key)

    def update(self, key: str, value: bytes, revision: Revision) -> NoReturn:
        """Refused."""
        del value, revision
        self._refuse(key)

    def delete(self, key: str, revision: Revision | None = None) -> NoReturn:
        """Refused."""
        del revision
        self._refuse(key)

    def transact(self, writes: Sequence[Write]) -> NoReturn:
        """Refused."""
        self._refuse(", ".join(write.key for write in writes))

    def watch(
        self, prefixes: Sequence[str], start: Revision
    ) -> AbstractContextManager[Iterator[EventBatch]]:
        """Refused: nothing changes any more."""
        del start
        self._refuse(", ".join(prefixes))

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedOperationError(
            f"{what}: revision {self._at} is past and cannot be changed"
        )


@dataclass(frozen=True, slots=True)
class Version:
    """What became of a key at a revision; ``value`` None: it was deleted."""

    revision: Revision
    value: bytes | None


@dataclass(frozen=True, slots=True)
class History:
    """The versions of a key that the store still knows, oldest first.

    Attributes:
        compacted: earlier versions, if there were any, were forgotten up to this revision; 0: none was.
    """

    versions: tuple[Version, ...]
    compacted: Revision


def history(backend: Backend, key: str) -> History:
    """Return the versions of a key, also of one that does not exist any more.

    The store has no index of what is gone, so all changes since its last compaction are read.

    Raises:
        UnauthorizedError: the user may not read all of the store.
        UnavailableError: the store is compacted faster than it can be read.
    """
    compacted = Revision(0)
    for _ in range(_TRIES):
        try:
            return _history_since(backend, key, compacted)
        except CompactedError as error:
            compacted = Revision(max(error.until, compacted))
    raise UnavailableError("datastore: it is compacted faster than its history can be read")


def _history_since(backend: Backend, key: str, compacted: Revision) -> History:
    oldest = backend.get(key, revision=compacted) if compacted else None
    versions = [] if oldest is None else [Version(oldest.revision, oldest.value)]
    latest = backend.read(key).revision
    start = Revision(max(compacted, _EMPTY) + 1)
    if start <= latest:
        # Only a watch of everything is sure to tell something of the latest revision, and so to end.
        with backend.watch([""], start) as batches:
            for batch in batches:
                versions += [Version(e.revision, e.value) for e in batch.events if e.key == key]
                if batch.revision >= latest:
                    break
    return History(tuple(versions), compacted)
