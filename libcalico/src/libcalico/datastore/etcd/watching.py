"""One watch stream: its request, and what each reply means. No I/O.

Order over several prefixes: etcd promises order, completeness and whole transactions *within one
watcher*, not between the watchers of a stream; one that fell behind is served later, and a quiet one
says nothing. So all prefixes are watched by one watcher over the smallest range that covers them,
and foreign changes are dropped here, before they become values. Calico's keys make the
cover small: ``/calico/resources/v3/projectcalico.org/`` and ``/calico/ipam/v2/`` are neighbours.
Whoever watches far-apart keys of which most are foreign opens two watches.

Where a batch ends: a reply that carries events has reached the revision of its last event; its header
may name a later one while a watcher catches up. Only a reply without events has reached
its header's revision.

Start: the watch begins one revision before the one asked for, and that revision's events are dropped.
etcd accepts a start *at* its compaction revision though a deletion made there is forgotten; asking
for one more makes it say so.
"""

from __future__ import annotations

from collections.abc import Sequence

from libcalico.datastore import conditions
from libcalico.datastore.etcd import wire
from libcalico.datastore.etcd.wire import Message
from libcalico.datastore.model import EventBatch, Revision
from libcalico.errors import CompactedError, UnauthorizedError, UnavailableError

#: Foreign revisions after which an empty batch tells the reader how far the watch got.
_SILENT_REVISIONS = 1000

#: Parts of etcd's reasons for ending a watch that a log-in may heal.
_DENIALS = ("permission denied", "invalid auth token", "user name is empty")


class WatchStream:
    """What one stream has delivered so far.

    Attributes:
        created: the store has confirmed the watch.
        start: first revision of interest.
    """

    def __init__(self, prefixes: Sequence[str], start: Revision) -> None:
        if not prefixes:
            raise ValueError("a watch needs at least one prefix")
        self._prefixes = tuple(prefixes)
        self.start = start
        self.created = False
        self._told = Revision(start - 1)

    @property
    def first_key(self) -> str:
        """A key that the watch covers."""
        return wire.decode_key(wire.cover_range(self._prefixes)[0])

    def request(self) -> Message:
        """Return the message that creates the watch."""
        return wire.watch_request(*wire.cover_range(self._prefixes), max(1, self.start - 1))

    def on_created(self, reply: Message) -> bool:
        """Take the first reply. Return whether the cluster's revision must be checked.

        A member that lags may be behind ``start``; so may a store restored from a backup, which
        would stay silent for long. :meth:`on_revision` tells them apart.

        Raises:
            UnauthorizedError: the user may not read these keys, or the token has expired.
            CompactedError: see :meth:`on_reply`.
        """
        if reply.canceled:
            self._on_canceled(reply)
        self.created = True
        return self.start > int(reply.header.revision) + 1

    def on_revision(self, revision: Revision) -> None:
        """Take the cluster's revision. Raises CompactedError if ``start`` is beyond it."""
        if self.start > revision + 1:
            raise CompactedError(conditions.backwards_text(self.start, revision))

    def on_reply(self, reply: Message) -> EventBatch | None:
        """Return what is to be delivered, None if nothing.

        Raises:
            CompactedError: the start, or where a slow reader got to, is compacted away.
            UnavailableError: the store ended the watch.
        """
        if reply.canceled:
            self._on_canceled(reply)
        if reply.created:
            return None
        raw = reply.events
        reached = Revision(raw[-1].kv.mod_revision if raw else reply.header.revision)
        events = tuple(
            event
            for event in map(wire.event, raw)
            if event.revision >= self.start and event.key.startswith(self._prefixes)
        )
        quiet = not events and raw and reached - self._told < _SILENT_REVISIONS
        if quiet or reached < self.start or (not events and reached <= self._told):
            return None
        self._told = reached
        return EventBatch(reached, events)

    def _on_canceled(self, reply: Message) -> None:
        if reply.compact_revision:
            compacted = Revision(reply.compact_revision)
            raise conditions.compacted(self.start, compacted)
        if any(reason in reply.cancel_reason for reason in _DENIALS):
            raise UnauthorizedError(f"watch of {self._prefixes}: {reply.cancel_reason}")
        raise UnavailableError(
            f"the datastore ended the watch: {reply.cancel_reason or 'no reason'}"
        )
