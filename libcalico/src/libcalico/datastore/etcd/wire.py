"""etcd v3 requests and replies ⇄ values. No I/O.

Keys travel as UTF-8; bytes that are not UTF-8 survive both ways (``surrogateescape``), so a foreign
key never stops a reader. The order of keys in etcd (bytes) is the order of text by code point.

Source: etcd's ``rpc.proto``; message classes from ``pyetcd.etcdrpc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyetcd.etcdrpc import kv_pb2, rpc_pb2

from libcalico.datastore.model import Delete, Event, KeyValue, Put, Revision, Write

#: Protobuf messages; the generated classes carry no types.
Message = Any

#: "From this key to the last one", and the first key there can be.
_ZERO = b"\0"


def encode_key(key: str) -> bytes:
    """Return a key as etcd stores it."""
    return key.encode("utf-8", "surrogateescape")


def decode_key(raw: bytes) -> str:
    """Return a stored key as text."""
    return raw.decode("utf-8", "surrogateescape")


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """Return the half-open range of keys that start with the prefix.

    The end is one zero byte when no key can come after them, as etcd wants it.
    """
    start = encode_key(prefix)
    stem = start.rstrip(b"\xff")
    if not stem:
        return start or _ZERO, _ZERO
    return start, stem[:-1] + bytes([stem[-1] + 1])


def cover_range(prefixes: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the smallest half-open range that holds every key of all the prefixes."""
    ranges = [prefix_range(prefix) for prefix in prefixes]
    ends = [end for _, end in ranges]
    return min(start for start, _ in ranges), _ZERO if _ZERO in ends else max(ends)


def disjoint(prefixes: Iterable[str]) -> list[str]:
    """Return the prefixes sorted, without those that lie within another one."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def key_value(kv: Message) -> KeyValue:
    """Decode one stored key."""
    return KeyValue(decode_key(kv.key), kv.value, Revision(kv.mod_revision))


def event(message: Message) -> Event:
    """Decode one change."""
    kv = message.kv
    value = None if message.type == kv_pb2.Event.DELETE else kv.value
    return Event(decode_key(kv.key), value, Revision(kv.mod_revision))


def get_request(key: str, revision: int = 0) -> Message:
    """Ask for one key, at a revision (0: now)."""
    return rpc_pb2.RangeRequest(key=encode_key(key), revision=revision)


def page_request(ranges: Sequence[tuple[bytes, bytes]], revision: Revision, limit: int) -> Message:
    """Ask for the first ``limit`` keys of each range, all at one revision (0: now)."""
    operations = [
        rpc_pb2.RequestOp(
            request_range=rpc_pb2.RangeRequest(
                key=start, range_end=end, limit=limit, revision=revision
            )
        )
        for start, end in ranges
    ]
    return rpc_pb2.TxnRequest(success=operations)


def transaction_request(writes: Sequence[Write], leases: dict[str, int]) -> Message:
    """Do all writes if all conditions hold; else return each key as it is.

    Args:
        writes: one per key.
        leases: key → lease to attach it to.
    """
    return rpc_pb2.TxnRequest(
        compare=[_condition(write) for write in writes if write.if_revision is not None],
        success=[_write(write, leases) for write in writes],
        failure=[rpc_pb2.RequestOp(request_range=get_request(write.key)) for write in writes],
    )


def _condition(write: Write) -> Message:
    return rpc_pb2.Compare(
        result=rpc_pb2.Compare.EQUAL,
        target=rpc_pb2.Compare.MOD,
        key=encode_key(write.key),
        mod_revision=write.if_revision,
    )


def _write(write: Write, leases: dict[str, int]) -> Message:
    key = encode_key(write.key)
    match write:
        case Put():
            put = rpc_pb2.PutRequest(key=key, value=write.value, lease=leases.get(write.key, 0))
            return rpc_pb2.RequestOp(request_put=put)
        case Delete():
            return rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))


def found_keys(reply: Message) -> dict[str, KeyValue]:
    """Decode what the failure branch of :func:`transaction_request` read: key → as stored."""
    items = (key_value(kv) for answer in reply.responses for kv in answer.response_range.kvs)
    return {item.key: item for item in items}


def deleted_count(reply: Message) -> int:
    """Return how many keys a transaction that succeeded has deleted."""
    return sum(int(answer.response_delete_range.deleted) for answer in reply.responses)


def lease_request(ttl_s: int) -> Message:
    """Ask for a new lease."""
    return rpc_pb2.LeaseGrantRequest(TTL=ttl_s)


def authenticate_request(username: str, password: str) -> Message:
    """Ask for a token."""
    return rpc_pb2.AuthenticateRequest(name=username, password=password)


def watch_request(start: bytes, end: bytes, revision: int) -> Message:
    """Watch a range of keys from a revision on, with progress notices.

    Messages are not fragmented: the client takes any size, and a revision's events then always
    arrive in one piece.
    """
    create = rpc_pb2.WatchCreateRequest(
        key=start, range_end=end, start_revision=revision, progress_notify=True
    )
    return rpc_pb2.WatchRequest(create_request=create)
