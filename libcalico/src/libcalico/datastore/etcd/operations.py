"""Which messages each operation takes, and what the replies mean. No I/O: both drivers run these.

An operation is a generator. It yields a request, is sent the :class:`Answer`, and returns its result
or raises a CalicoError. Of failures, which ``attempts`` decides on, only CompactedError is thrown
into it, since it may begin again.

Lost answers: a call that is repeated because its answer was lost may find its own first attempt done.
A condition then fails although nobody else wrote. So when an answer is marked ``maybe_repeated`` and
the keys hold exactly what was to be written, all at one revision, the write counts as done. (Another
writer that put the very same bytes from the very same revision meanwhile looks alike; then both
are told that the store holds what they asked for, which is true.)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from libcalico.datastore import conditions
from libcalico.datastore.etcd import wire
from libcalico.datastore.etcd.wire import Message
from libcalico.datastore.model import Delete, KeyValue, Put, Revision, Snapshot, Write
from libcalico.errors import (
    AlreadyExistsError,
    CompactedError,
    ConflictError,
    UnavailableError,
)

T = TypeVar("T")

#: Keys per reply. 100,000 keys take as long in pages as in one piece, and far less memory.
PAGE_KEYS = 10_000

#: What etcd takes for its latest revision.
NOW = Revision(0)

#: etcd refuses transactions of more than 128 operations by default.
_RANGES_PER_PAGE = 100

_READ_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and whether an earlier attempt of the same request may have been carried out too."""

    message: Message
    maybe_repeated: bool = False


Operation = Generator[Message, Answer, T]


def get(key: str, revision: Revision | None = None) -> Operation[KeyValue | None]:
    """Read one key, now or as it was at a revision."""
    answer = yield wire.get_request(key, revision or NOW)
    return next((wire.key_value(kv) for kv in answer.message.kvs), None)


def current_revision(key: str) -> Operation[Revision]:
    """Ask the cluster (not just one member) for its revision, by reading a key we may read."""
    answer = yield wire.get_request(key)
    return Revision(answer.message.header.revision)


def read(
    prefixes: Sequence[str], revision: Revision | None = None, page_keys: int = PAGE_KEYS
) -> Operation[Snapshot]:
    """Read all prefixes, page by page, at a revision: that given, or that of the first page.

    The first request asks a little of every prefix, so small prefixes take one round trip in all.
    Should that revision be compacted between two pages, it begins again.
    """
    if not prefixes:
        raise ValueError("a read needs at least one prefix")
    if revision is not None:
        return (yield from _read_pages(prefixes, revision, page_keys))
    for _ in range(_READ_ATTEMPTS):
        try:
            return (yield from _read_pages(prefixes, NOW, page_keys))
        except CompactedError:
            continue
    raise UnavailableError("datastore: it is compacted faster than its keys can be read")


def _read_pages(prefixes: Sequence[str], revision: Revision, page_keys: int) -> Operation[Snapshot]:
    waiting = [wire.prefix_range(prefix) for prefix in wire.disjoint(prefixes)]
    items: list[KeyValue] = []
    while waiting:
        page, waiting = waiting[:_RANGES_PER_PAGE], waiting[_RANGES_PER_PAGE:]
        answer = yield wire.page_request(page, revision, max(1, page_keys // len(page)))
        revision = revision or Revision(answer.message.header.revision)
        for (_, end), part in zip(page, answer.message.responses, strict=True):
            kvs = part.response_range.kvs
            items += map(wire.key_value, kvs)
            if part.response_range.more:
                waiting.append((kvs[-1].key + b"\0", end))
    return Snapshot(revision, tuple(sorted(items, key=lambda item: item.key)))


def put(key: str, value: bytes, ttl_s: int | None) -> Operation[Revision]:
    """Write one key unconditionally."""
    return transact([Put(key, value, ttl_s=ttl_s)])


def create(key: str, value: bytes) -> Operation[Revision]:
    """Write one key that must not exist."""
    try:
        return (yield from transact([Put(key, value, conditions.ABSENT)]))
    except ConflictError as error:
        raise AlreadyExistsError(*error.args) from None


def update(key: str, value: bytes, revision: Revision) -> Operation[Revision]:
    """Write one key that must not have changed."""
    write = Put(key, value, revision)
    answer = yield wire.transaction_request([write], {})
    if answer.message.succeeded:
        return Revision(answer.message.header.revision)
    found = wire.found_keys(answer.message)
    done = _done_before([write], found, answer)
    if done is None:
        raise conditions.stale(write, _revision_of(found, key))
    return done


def delete(key: str, revision: Revision | None) -> Operation[None]:
    """Delete one key that must exist."""
    write = Delete(key, revision)
    answer = yield wire.transaction_request([write], {})
    if answer.message.succeeded:
        if not wire.deleted_count(answer.message) and not answer.maybe_repeated:
            raise conditions.not_found(key)
        return
    found = wire.found_keys(answer.message)
    if _done_before([write], found, answer) is None:
        raise conditions.stale(write, _revision_of(found, key))


def transact(writes: Sequence[Write]) -> Operation[Revision]:
    """Do all writes or none."""
    conditions.check_writes(writes)
    leases: dict[str, int] = {}
    for write in writes:
        if isinstance(write, Put) and write.ttl_s is not None:
            granted = yield wire.lease_request(write.ttl_s)
            leases[write.key] = granted.message.ID
    answer = yield wire.transaction_request(writes, leases)
    if answer.message.succeeded:
        return Revision(answer.message.header.revision)
    found = wire.found_keys(answer.message)
    done = _done_before(writes, found, answer)
    if done is None:
        problems = conditions.unmet(writes, lambda key: _revision_of(found, key))
        raise conditions.conflict(problems)
    return done


def _revision_of(found: Mapping[str, KeyValue], key: str) -> Revision:
    return found[key].revision if key in found else conditions.ABSENT


def _done_before(
    writes: Sequence[Write], found: Mapping[str, KeyValue], answer: Answer
) -> Revision | None:
    """Return the revision at which a lost attempt has done these writes, None if none has."""
    if not answer.maybe_repeated:
        return None
    revisions = set()
    for write in writes:
        item = found.get(write.key)
        wanted = write.value if isinstance(write, Put) else None
        if (item.value if item else None) != wanted:
            return None
        if item:
            revisions.add(item.revision)
    if not revisions:
        return Revision(answer.message.header.revision)
    return revisions.pop() if len(revisions) == 1 else None
