"""Values that pass between a store and its readers. Keys are text paths, values are bytes."""

from __future__ import annotations

from typing import NewType

from msgspec import Struct

#: A revision of the whole store (etcd: the cluster-wide counter). 0 means "not stored".
Revision = NewType("Revision", int)


class KeyValue(Struct, frozen=True):
    """A key as stored.

    Attributes:
        revision: the key's mod revision, which compare-and-swap is made on.
    """

    key: str
    value: bytes
    revision: Revision


class Snapshot(Struct, frozen=True):
    """All keys under the prefixes asked for, as of one store revision."""

    revision: Revision
    items: tuple[KeyValue, ...]


class Event(Struct, frozen=True):
    """One change of one key. ``value`` is None for a deletion."""

    key: str
    value: bytes | None
    revision: Revision


class EventBatch(Struct, frozen=True):
    """Changes of the watched prefixes in store order, and the store revision reached.

    Events may be empty: then the batch only tells progress.
    """

    revision: Revision
    events: tuple[Event, ...]


class Put(Struct, frozen=True):
    """Write ``key``. ``if_revision``: None = always, 0 = only if absent, n = only if its mod revision is n.

    ``ttl_s``: the key is attached to a new lease of that many seconds.
    """

    key: str
    value: bytes
    if_revision: Revision | None = None
    ttl_s: int | None = None


class Delete(Struct, frozen=True):
    """Delete exactly ``key``. ``if_revision``: None = if it exists, n = only if its mod revision is n."""

    key: str
    if_revision: Revision | None = None


Write = Put | Delete
