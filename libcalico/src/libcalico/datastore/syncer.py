"""From snapshots and watches to one stream of changes. No I/O, no clock: drivers obey it.

The rule: at any moment, applying everything emitted so far, in order, to an empty map gives the
store's content at some past revision; once the store rests and answers, at its last one.

The driver does what :attr:`Syncer.next_step` says and reports what came of it::

                    on_snapshot
    ReadSnapshot ────────────────▶ Watch ──┐
      ▲  ▲    │                     │ │    │ on_events
      │  └────┘ on_read_failed      │ └◀───┘
      └─────────────────────────────┘
         on_compacted, on_broken

What was deleted while nobody watched shows by its absence from the next snapshot. A broken watch leads to
a snapshot too, not to a watch from the last revision: a store that was restored from a backup while
the connection was down, and has grown past that revision since, cannot be told from the old one
by revisions. For the same reason the Syncer knows each key by its mod revision *and* a hash of its
value: after a restore, one mod revision may stand for two values. (So a driver opens the watch right
after the snapshot, once, and does not keep trying: if it cannot, that is ``on_broken``.)

Memory: one integer for each key. Values pass through and are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from libcalico.datastore.model import EventBatch, KeyValue, Revision, Snapshot

_HASH_BITS = 64
_HASH_MASK = (1 << _HASH_BITS) - 1


@dataclass(frozen=True, slots=True)
class Update:
    """The key now holds ``value``; None: it is deleted."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class InSync:
    """Everything that the store held at start has been emitted."""


#: The one value of :class:`InSync`.
IN_SYNC = InSync()


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """Read all prefixes, then call ``on_snapshot`` or ``on_read_failed``."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch from ``start`` (inclusive) on, calling ``on_events`` until ``on_compacted`` or ``on_broken``."""

    start: Revision


Step = ReadSnapshot | Watch


class Syncer:
    """What to do next, and what changed. Each ``on_`` method returns what to pass on, in order."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._revision = Revision(0)
        self._need_snapshot = True
        self._in_sync = False

    @property
    def next_step(self) -> Step:
        """The one thing that the driver must do now."""
        return ReadSnapshot() if self._need_snapshot else Watch(Revision(self._revision + 1))

    @property
    def in_sync(self) -> bool:
        """Whether IN_SYNC was emitted."""
        return self._in_sync

    @property
    def revision(self) -> Revision:
        """The store revision that everything emitted so far amounts to."""
        return self._revision

    def on_snapshot(self, snapshot: Snapshot) -> list[Update | InSync]:
        """Take a snapshot: emit what differs from what was emitted before; the first ends in IN_SYNC.

        Its revision may be lower than the last one: then the store was restored from a backup.
        """
        seen = {item.key: _fingerprint(item) for item in snapshot.items}
        out: list[Update | InSync] = [
            Update(item.key, item.value)
            for item in snapshot.items
            if self._known.get(item.key) != seen[item.key]
        ]
        out += [Update(key, None) for key in sorted(self._known.keys() - seen.keys())]
        self._known, self._revision, self._need_snapshot = seen, snapshot.revision, False
        if not self._in_sync:
            self._in_sync = True
            out.append(IN_SYNC)
        return out

    def on_events(self, batch: EventBatch) -> list[Update]:
        """Take a batch of a watch: emit what is new in it. Events of known revisions are dropped."""
        out = []
        for event in batch.events:
            if event.revision <= self._revision:
                continue
            if event.value is not None:
                self._known[event.key] = _fingerprint(
                    KeyValue(event.key, event.value, event.revision)
                )
            elif self._known.pop(event.key, None) is None:
                continue
            out.append(Update(event.key, event.value))
        self._revision = max(self._revision, batch.revision)
        return out

    def on_read_failed(self) -> None:
        """The snapshot could not be read. What was emitted stays in force; read again."""
        self._need_snapshot = True

    def on_compacted(self) -> None:
        """The revision to watch from is gone."""
        self._need_snapshot = True

    def on_broken(self) -> None:
        """The watch ended, or could not be started."""
        self._need_snapshot = True


def _fingerprint(item: KeyValue) -> int:
    """Return the mod revision and a hash of the value, as one integer."""
    return item.revision << _HASH_BITS | hash(item.value) & _HASH_MASK
