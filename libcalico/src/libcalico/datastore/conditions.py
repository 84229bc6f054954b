"""What a write demands of the key it writes, and who is to blame when that does not hold.

Shared by every driver, so that all of them refuse the same writes in the same words. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libcalico.datastore.model import Delete, Put, Revision, Write
from libcalico.errors import CompactedError, ConflictError, DatastoreError, NotFoundError

#: Revision of a key that is not stored.
ABSENT = Revision(0)


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse what no store could do.

    Raises:
        ValueError: one key is written twice, or a time to live is below one second.
    """
    keys: set[str] = set()
    for write in writes:
        if write.key in keys:
            raise ValueError(f"one transaction writes key {write.key!r} twice")
        keys.add(write.key)
        if isinstance(write, Put) and write.ttl_s is not None:
            check_ttl(write.key, write.ttl_s)


def check_ttl(key: str, ttl_s: int) -> None:
    """Raise ValueError if a lease cannot last that long."""
    if ttl_s < 1:
        raise ValueError(f"key {key!r}: time to live must be at least 1 second, not {ttl_s}")


def unmet(writes: Sequence[Write], revision_of: Callable[[str], Revision]) -> list[str]:
    """Return one sentence for each write whose condition does not hold.

    Args:
        writes: those of one transaction.
        revision_of: key → its mod revision, :data:`ABSENT` if it is not stored.
    """
    return [
        explain(write.key, write.if_revision, revision_of(write.key))
        for write in writes
        if write.if_revision is not None and write.if_revision != revision_of(write.key)
    ]


def explain(key: str, expected: Revision, found: Revision) -> str:
    """Say how the key differs from what the writer expected."""
    if found == ABSENT:
        return f"key {key!r}: does not exist, expected revision {expected}"
    if expected == ABSENT:
        return f"key {key!r}: exists already, at revision {found}"
    return f"key {key!r}: changed since it was read: revision {found}, expected {expected}"


def conflict(problems: Sequence[str]) -> ConflictError:
    """Return the error for a transaction whose conditions do not hold."""
    return ConflictError("; ".join(problems) or "a condition did not hold a moment ago")


def not_found(key: str) -> NotFoundError:
    """Return the error for a key that had to exist."""
    return NotFoundError(f"key {key!r}: does not exist")


def stale(write: Put | Delete, found: Revision) -> DatastoreError:
    """Return the error of a single compare-and-swap that lost against what was found."""
    if found == ABSENT:
        return not_found(write.key)
    return conflict([explain(write.key, write.if_revision or ABSENT, found)])


def compacted(start: Revision, until: Revision) -> CompactedError:
    """Return the error for a revision before what the store still knows."""
    text = f"revision {start} is compacted away: the store keeps what came after {until}"
    return CompactedError(text, until)


def backwards_text(start: Revision, revision: Revision) -> str:
    """Say that a watch starts after what the store ever reached."""
    return (
        f"revision {start} is unknown: the store is at revision {revision}; "
        "it was restored from a backup"
    )
