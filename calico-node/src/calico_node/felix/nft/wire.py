"""Operations → the bytes of one nfnetlink batch, and what the kernel sends → values.

No handle of the kernel is ever needed: rules go by flushing their chain, everything else has a
name or a key. So nothing has to be read back before it can be changed. Where the handle of a rule is
known from the kernel's echo, the rule can be exchanged by itself.

Source: Linux uapi/linux/netfilter/nf_tables.h and nfnetlink.h, net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from calico_node.felix.nft.expressions import RuleBody, encode_rule, verdict
from calico_node.felix.nft.keys import KeyType, pad
from calico_node.felix.nft.model import BaseHook, Rule, Set, Verdict, VerdictMap
from calico_node.felix.nft.operations import (
    AddElements,
    AddRule,
    AddVerdicts,
    CreateChain,
    CreateSet,
    CreateTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DestroyTable,
    FlushChain,
    Operation,
    ReplaceRule,
)
from libcalico.errors import NetlinkError
from libcalico.netlink import codec
from libcalico.netlink.codec import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_ECHO,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    attr,
    be32,
    nested,
)

NFNL_SUBSYS_NFTABLES: Final = 10
BATCH_BEGIN, BATCH_END = 16, 17
NEWTABLE, DELTABLE = 0, 2
NEWCHAIN, GETCHAIN, DELCHAIN = 3, 4, 5
NEWRULE, GETRULE, DELRULE = 6, 7, 8
NEWSET, GETSET, DELSET = 9, 10, 11
NEWSETELEM, GETSETELEM, DELSETELEM = 12, 13, 14
NEWGEN, GETGEN = 15, 16
DESTROYTABLE, DESTROYSETELEM = 26, 30

_SUBSYSTEM: Final = NFNL_SUBSYS_NFTABLES << 8
#: Numbers of families: linux/netfilter.h.
NFPROTO_INET, NFPROTO_IPV4, NFPROTO_ARP, NFPROTO_IPV6 = 1, 2, 3, 10
_INET: Final = bytes((NFPROTO_INET, 0, 0, 0))
"""nfgenmsg of our messages: family inet, version 0, no resource."""
_FRAME: Final = bytes((0, 0, 0, NFNL_SUBSYS_NFTABLES))
"""nfgenmsg of a batch's begin and end: they name the subsystem."""

_LIST_BYTES: Final = 60_000
"""Room taken in an element list; the attribute's own length field ends at 65535."""
_HOOKS: Final = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
SET_ANONYMOUS, _SET_CONSTANT, _SET_INTERVAL, SET_MAP = 1, 2, 4, 8
_INTERVAL_END: Final = 1
VERDICT_TYPE: Final = 0xFFFFFF00
_TYPE_BITS: Final = 6  # of a concatenation's type number, for each of its fields
_ORDER_UNKNOWN, _ORDER_HOST, _ORDER_BIG = 0, 1, 2
_HOST_ORDER_TYPES: Final = frozenset(
    {KeyType.IFNAME, KeyType.MARK, KeyType.CT_STATE, KeyType.CT_STATUS, KeyType.FIB_ADDRTYPE}
)

#: Where a base chain hangs: its type, the hook's number, the priority.
Place: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch ready to be sent in one piece.

    Args:
        data: the bytes.
        operation_by_seq: for each sequence number, the index of the operation its message belongs
            to; -1 for the batch's own frame.
    """

    data: bytes
    operation_by_seq: list[int]


class UnencodableError(ValueError):
    """An operation has no form in bytes: a value does not fit its type, or is too long.

    Attributes:
        index: of the operation.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def encode_batch(
    operations: Sequence[Operation | ReplaceRule], *, destroys: bool = True, echoes: bool = False
) -> Batch:
    """Return the operations as one atomic batch; the last message asks for an acknowledgement.

    Args:
        operations: in order.
        echoes: whether the kernel shall send every new rule back, with the handle that it got.
        destroys: whether the kernel knows the DESTROY requests (Linux 6.3), which let what is
            absent be removed. Otherwise absent elements are refused with ENOENT.

    Raises:
        UnencodableError: a rule or an element cannot be encoded; names the operation.
    """
    writer = _Writer(destroys, NLM_F_ECHO if echoes else 0)
    for index, operation in enumerate(operations):
        writer.index = index
        try:
            _WRITE[type(operation)](writer, operation)
        except (ValueError, OverflowError, struct.error, NetlinkError) as error:
            raise UnencodableError(index, str(error)) from error
    return writer.finish()


def encode_get_generation() -> bytes:
    """Return the request for the number of the last commit, not yet numbered."""
    return codec.request(_SUBSYSTEM | GETGEN, 0, _INET)


def encode_dump_elements(table: str, set_: str) -> bytes:
    """Return the request for all elements of a set or map, not yet numbered."""
    return codec.request(_SUBSYSTEM | GETSETELEM, 0, _INET + _text(1, table) + _text(2, set_))


def encode_dump_chains(family: int = NFPROTO_INET) -> bytes:
    """Return the request for the chains of all tables of a family, not yet numbered."""
    return codec.request(_SUBSYSTEM | GETCHAIN, 0, bytes((family, 0, 0, 0)))


def encode_dump_rules(family: int, table: str, chain: str) -> bytes:
    """Return the request for the rules of a chain, in order, not yet numbered."""
    place = _text(1, table) + _text(2, chain)
    return codec.request(_SUBSYSTEM | GETRULE, 0, bytes((family, 0, 0, 0)) + place)


def encode_dump_sets(table: str) -> bytes:
    """Return the request for the sets and maps of a table, without elements, not yet numbered."""
    return codec.request(_SUBSYSTEM | GETSET, 0, _INET + _text(1, table))


def place_of(hook: BaseHook) -> Place:
    """Return where a chain hangs, as the kernel says it."""
    return hook.type, _HOOKS[hook.hook], hook.priority


@dataclass(slots=True)
class _Writer:
    """Collects messages; each gets the next sequence number."""

    destroys: bool
    echo: int = 0
    messages: list[bytes] = field(default_factory=list)
    operation_by_seq: list[int] = field(default_factory=list)
    index: int = -1
    last_set: int = 0

    def __post_init__(self) -> None:
        self._frame(BATCH_BEGIN)

    def add(self, kind: int, flags: int, body: bytes) -> None:
        """Append a request of the current operation."""
        seq = len(self.operation_by_seq)
        message = codec.message(_SUBSYSTEM | kind, NLM_F_REQUEST | flags, seq, _INET + body)
        self.messages.append(message)
        self.operation_by_seq.append(self.index)

    def next_set(self) -> bytes:
        """Return the number of a new set within the batch, as it goes into attributes."""
        self.last_set += 1
        return self.last_set.to_bytes(4, "big")

    def finish(self) -> Batch:
        """Return the batch; its last request asks for an acknowledgement."""
        if len(self.messages) > 1:
            self.messages[-1] = _acknowledged(self.messages[-1])
        self.index = -1
        self._frame(BATCH_END)
        return Batch(b"".join(self.messages), self.operation_by_seq)

    def _frame(self, kind: int) -> None:
        seq = len(self.operation_by_seq)
        self.messages.append(codec.message(kind, NLM_F_REQUEST, seq, _FRAME))
        self.operation_by_seq.append(-1)


def _acknowledged(message: bytes) -> bytes:
    size, type_, flags, seq, port = codec.HEADER.unpack_from(message)
    header = codec.HEADER.pack(size, type_, flags | NLM_F_ACK, seq, port)
    return header + message[codec.HEADER_BYTES :]


def _create_table(writer: _Writer, operation: CreateTable) -> None:
    writer.add(NEWTABLE, NLM_F_CREATE, _text(1, operation.table) + be32(2, 0))


def _destroy_table(writer: _Writer, operation: DestroyTable) -> None:
    name = _text(1, operation.table)
    if writer.destroys:
        writer.add(DESTROYTABLE, 0, name)
    else:
        writer.add(NEWTABLE, NLM_F_CREATE, name + be32(2, 0))
        writer.add(DELTABLE, 0, name)


def _create_chain(writer: _Writer, operation: CreateChain) -> None:
    body = _text(1, operation.table) + _text(3, operation.chain)
    writer.add(NEWCHAIN, NLM_F_CREATE, body + _hook(operation.hook) if operation.hook else body)


@lru_cache(maxsize=64)
def _hook(hook: BaseHook) -> bytes:
    place = be32(1, _HOOKS[hook.hook]) + be32(2, hook.priority & 0xFFFFFFFF)
    return nested(4, place) + be32(5, int(hook.policy == "accept")) + _text(7, hook.type)


def _flush_chain(writer: _Writer, operation: FlushChain) -> None:
    writer.add(DELRULE, 0, _text(1, operation.table) + _text(2, operation.chain))


def _delete_chain(writer: _Writer, operation: DeleteChain) -> None:
    writer.add(DELCHAIN, 0, _text(1, operation.table) + _text(3, operation.chain))


def _add_rule(writer: _Writer, operation: AddRule) -> None:
    place = _text(1, operation.table) + _text(2, operation.chain)
    attributes_ = _rule_attributes(writer, operation)
    writer.add(NEWRULE, NLM_F_CREATE | NLM_F_APPEND | writer.echo, place + attributes_)


def _replace_rule(writer: _Writer, operation: ReplaceRule) -> None:
    place = _text(1, operation.table) + _text(2, operation.chain)
    place += attr(3, operation.handle.to_bytes(8, "big"))
    attributes_ = _rule_attributes(writer, operation)
    writer.add(NEWRULE, NLM_F_REPLACE | writer.echo, place + attributes_)


def _rule_attributes(writer: _Writer, operation: AddRule | ReplaceRule) -> bytes:
    """Create the anonymous sets of a rule, and return its attributes."""
    body = _rule_body(operation.rule)
    if body.sets:
        return _create_anonymous_sets(writer, operation.table, body)
    return body.attributes


@lru_cache(maxsize=16384)
def _rule_body(rule: Rule) -> RuleBody:
    return encode_rule(rule)


def _create_anonymous_sets(writer: _Writer, table: str, body: RuleBody) -> bytes:
    """Create the sets of a rule and return its attributes with their numbers."""
    numbered = bytearray(body.attributes)
    for offset, anonymous in body.sets:
        number = writer.next_set()
        flags = SET_ANONYMOUS | _SET_CONSTANT | (_SET_INTERVAL if anonymous.interval else 0)
        place = _text(1, table) + _text(2, "__set%d")
        size = 0 if anonymous.interval else len(anonymous.elements)
        writer.add(
            NEWSET, NLM_F_CREATE, place + _set(anonymous.key, flags, size) + attr(10, number)
        )
        for elements in _element_lists(anonymous.elements, interval=anonymous.interval):
            writer.add(NEWSETELEM, NLM_F_CREATE, place + attr(4, number) + elements)
        numbered[offset : offset + 4] = number
    return bytes(numbered)


def _create_set(writer: _Writer, operation: CreateSet) -> None:
    new = operation.set
    interval = _SET_INTERVAL if isinstance(new, Set) and new.interval else 0
    flags = SET_MAP if isinstance(new, VerdictMap) else interval
    size = 0 if flags & _SET_INTERVAL else new.size
    body = _text(1, operation.table) + _text(2, new.name) + _set(new.key, flags, size)
    writer.add(NEWSET, NLM_F_CREATE, body + attr(10, writer.next_set()))


def key_shape(key: tuple[KeyType, ...]) -> tuple[int, int]:
    """Return the number that stands for the types of a key, and its bytes."""
    number, width = 0, 0
    for type_ in key:
        number = number << _TYPE_BITS | type_.number
        width += type_.size if len(key) == 1 else len(pad(bytes(type_.size)))
    return number, width


@lru_cache(maxsize=1024)
def _set(key: tuple[KeyType, ...], flags: int, size: int) -> bytes:
    (number, width), order = key_shape(key), _ORDER_UNKNOWN
    if len(key) == 1:
        order = _ORDER_HOST if key[0] in _HOST_ORDER_TYPES else _ORDER_BIG
    body = be32(3, flags) + be32(4, number) + be32(5, width)
    if flags & SET_MAP:
        body += be32(6, VERDICT_TYPE) + be32(7, 16)
    if size:
        body += nested(9, be32(1, size))
    return body + attr(13, struct.pack("=BBI", 0, 4, order))


def _delete_set(writer: _Writer, operation: DeleteSet) -> None:
    writer.add(DELSET, 0, _text(1, operation.table) + _text(2, operation.set))


def _add_elements(writer: _Writer, operation: AddElements) -> None:
    place = _text(1, operation.table) + _text(2, operation.set)
    for elements in _element_lists(operation.keys, interval=operation.interval):
        writer.add(NEWSETELEM, NLM_F_CREATE, place + elements)


def _delete_elements(writer: _Writer, operation: DeleteElements) -> None:
    place = _text(1, operation.table) + _text(2, operation.set)
    kind = DESTROYSETELEM if writer.destroys else DELSETELEM
    for elements in _element_lists(operation.keys, interval=operation.interval):
        writer.add(kind, 0, place + elements)


def _add_verdicts(writer: _Writer, operation: AddVerdicts) -> None:
    place = _text(1, operation.table) + _text(2, operation.map)
    items = [_element(key, _element_verdict(value)) for key, value in operation.verdicts.items()]
    for elements in _split(items):
        writer.add(NEWSETELEM, NLM_F_CREATE, place + elements)


@lru_cache(maxsize=16384)
def _element_verdict(value: Verdict) -> bytes:
    return nested(2, verdict(value))


_WRITE: Final[dict[type[Operation | ReplaceRule], Callable[[_Writer, Any], None]]] = {
    CreateTable: _create_table,
    DestroyTable: _destroy_table,
    CreateChain: _create_chain,
    FlushChain: _flush_chain,
    AddRule: _add_rule,
    ReplaceRule: _replace_rule,
    DeleteChain: _delete_chain,
    CreateSet: _create_set,
    DeleteSet: _delete_set,
    AddElements: _add_elements,
    DeleteElements: _delete_elements,
    AddVerdicts: _add_verdicts,
}


def _element_lists(keys: Collection[bytes], *, interval: bool) -> Iterator[bytes]:
    """Yield NFTA_SET_ELEM_LIST_ELEMENTS for the keys, each within the attribute's limit.

    The kernel loads sorted intervals faster; the order of plain keys makes no difference.

    Raises:
        ValueError: keys are of different widths.
    """
    ordered = sorted(keys) if interval else list(keys)
    if not ordered:
        return
    width = len(ordered[0])
    if set(map(len, ordered)) != {width}:
        raise ValueError(f"keys of one set differ in width, the first has {width} bytes")
    if interval:
        yield from _interval_lists(ordered, width // 2)
        return
    head, tail = _element_frame(width)
    step = _LIST_BYTES // (len(head) + width + len(tail))
    between = tail + head
    for start in range(0, len(ordered), step):
        yield nested(3, head + between.join(ordered[start : start + step]) + tail)


def _interval_lists(keys: list[bytes], width: int) -> Iterator[bytes]:
    """Yield the two elements the kernel keeps for each interval: its start, and what follows its end.

    One that ends with the last key there is has no end.
    """
    head, middle, tail = _interval_frame(width)
    open_end = b"\xff" * width
    step = _LIST_BYTES // (len(head) + 2 * width + len(middle) + len(tail))
    for at in range(0, len(keys), step):
        yield nested(
            3,
            *(
                head + key[:width] + middle + _successor(key[width:]) + tail
                if key[width:] != open_end
                else _element(key[:width])
                for key in keys[at : at + step]
            ),
        )


def _successor(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") + 1).to_bytes(len(key), "big")


def _element(key: bytes, *attributes: bytes) -> bytes:
    return nested(1, nested(1, attr(1, key)), *attributes)


@lru_cache(maxsize=64)
def _element_frame(width: int) -> tuple[bytes, bytes]:
    """Return what stands before and behind the key in an element."""
    empty = _element(bytes(width))
    tail = -width % 4
    return empty[: len(empty) - width - tail], bytes(tail)


@lru_cache(maxsize=64)
def _interval_frame(width: int) -> tuple[bytes, bytes, bytes]:
    """Return what stands before, between and behind the two keys of an interval."""
    head, pad_ = _element_frame(width)
    end_flag = be32(3, _INTERVAL_END)
    end = _element(bytes(width), end_flag)
    return head, pad_ + end[: len(head)], pad_ + end_flag


def _split(items: Iterable[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for item in items:
        if size + len(item) > _LIST_BYTES:
            yield nested(3, b"".join(chunk))
            chunk, size = [], 0
        chunk.append(item)
        size += len(item)
    if chunk:
        yield nested(3, b"".join(chunk))


@lru_cache(maxsize=16384)
def _text(type_: int, text: str) -> bytes:
    return codec.text(type_, text)
