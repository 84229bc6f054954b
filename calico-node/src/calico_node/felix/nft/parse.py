"""What the kernel's nftables sends → values: elements of sets, the generation, errors, events.

Source: Linux uapi/linux/netfilter/nf_tables.h, uapi/linux/netlink.h.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from calico_node.felix.nft import wire
from calico_node.felix.nft.model import Verdict, VerdictKind
from libcalico.errors import NetlinkError
from libcalico.netlink.codec import Message, as_be32, as_text, parse_attr_list, parse_attrs

GENERIC_HEADER: Final = 4
"""Size of nfgenmsg, with which every message's payload begins."""
_SUBSYSTEM: Final = 10 << 8
_NEWGEN: Final = 15
_NEWRULE: Final = 6
_RULE_HANDLE: Final = 3  # NFTA_RULE_HANDLE
_FAMILIES: Final = {1: "inet", 2: "ip", 10: "ip6"}
_CHANGES: Final = {  # message → nft's word, and the attribute that holds the object's name
    0: ("newtable", 0),
    2: ("deltable", 0),
    3: ("newchain", 3),
    5: ("delchain", 3),
    6: ("newrule", 2),
    8: ("delrule", 2),
    9: ("newset", 2),
    11: ("delset", 2),
    12: ("newsetelem", 2),
    14: ("delsetelem", 2),
}
_INTERVAL_END: Final = 1
_KIND_BY_NUMBER: Final = {kind.number & 0xFFFFFFFF: kind for kind in VerdictKind}


@dataclass(frozen=True, slots=True)
class Generation:
    """One commit: its number, and the process that made it."""

    number: int
    process_id: int
    process: str


@dataclass(frozen=True, slots=True)
class Change:
    """One notification: what was done, and to what.

    Args:
        verb: nft's word, for example ``delrule``.
        table: name of the table.
        name: of the chain, set or map; empty for the table itself.
        family: nft's word for the table's family.
    """

    verb: str
    table: str
    name: str
    family: str = "inet"


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set or map, without its elements.

    Args:
        shape: number of its key's types, and the key's bytes.
        is_verdict_map: whether its elements lead to verdicts.
    """

    shape: tuple[int, int]
    is_verdict_map: bool


def chains(messages: Iterable[Message], table: str) -> dict[str, wire.Place | None]:
    """Return the chains of a table, from NEWCHAIN messages of all tables: name → where it hangs."""
    found = (parse_attrs(message.payload, GENERIC_HEADER) for message in messages)
    return {
        as_text(_need(chain, 3)): _place(chain)
        for chain in found
        if as_text(_need(chain, 1)) == table
    }


def _place(chain: dict[int, bytes]) -> wire.Place | None:
    if 4 not in chain:
        return None
    hook = parse_attrs(chain[4])
    priority = int.from_bytes(_need(hook, 2), "big", signed=True)
    return as_text(_need(chain, 7)), as_be32(_need(hook, 1)), priority


def sets(messages: Iterable[Message]) -> dict[str, FoundSet]:
    """Return the sets and maps that NEWSET messages tell of, but those of a single rule."""
    found: dict[str, FoundSet] = {}
    for message in messages:
        told = parse_attrs(message.payload, GENERIC_HEADER)
        flags = as_be32(told.get(3, bytes(4)))
        if flags & wire.SET_ANONYMOUS:
            continue
        shape = as_be32(told.get(4, bytes(4))), as_be32(_need(told, 5))
        leads_to = as_be32(told.get(6, bytes(4)))
        is_verdict_map = bool(flags & wire.SET_MAP) and leads_to == wire.VERDICT_TYPE
        found[as_text(_need(told, 2))] = FoundSet(shape, is_verdict_map)
    return found


def is_new_generation(message: Message) -> bool:
    """Tell whether the message ends the notifications of one commit."""
    return message.type == _SUBSYSTEM | _NEWGEN


def change(message: Message) -> Change | None:
    """Return what a notification says; None if it is about another family, or of no known kind."""
    verb, name_attribute = _CHANGES.get(message.type - _SUBSYSTEM, ("", 0))
    family = _FAMILIES.get(message.payload[0]) if message.payload else None
    if not verb or family is None:
        return None
    found = parse_attrs(message.payload, GENERIC_HEADER)
    table, name = as_text(found.get(1, b"")), as_text(found.get(name_attribute, b""))
    return Change(verb, table, name, family)


def generation(message: Message) -> Generation:
    """Return the content of a NEWGEN message."""
    found = parse_attrs(message.payload, GENERIC_HEADER)
    return Generation(
        as_be32(_need(found, 1)),
        as_be32(found.get(2, bytes(4))),
        as_text(found.get(3, b"")),
    )


def elements(messages: Iterable[Message]) -> frozenset[bytes]:
    """Return the keys of a plain set's NEWSETELEM messages."""
    return frozenset(_key(element) for element in _elements(messages))


def verdicts(messages: Iterable[Message]) -> dict[bytes, Verdict]:
    """Return key → verdict of a verdict map's NEWSETELEM messages."""
    return {_key(element): _verdict(element) for element in _elements(messages)}


def intervals(messages: Iterable[Message]) -> frozenset[bytes]:
    """Return the elements of an interval set: lowest and highest key of each, both included.

    The kernel keeps an interval as its start and the first key behind it; a start without such an
    end reaches to the last key there is.
    """
    bounds = sorted((_key(element), not _is_end(element)) for element in _elements(messages))
    found: list[bytes] = []
    low: bytes | None = None
    for key, is_start in bounds:
        if is_start:
            low = key
        elif low is not None:
            last = int.from_bytes(key, "big") - 1
            found.append(low + last.to_bytes(len(key), "big"))
            low = None
    if low is not None:
        found.append(low + b"\xff" * len(low))
    return frozenset(found)


def _elements(messages: Iterable[Message]) -> Iterator[dict[int, bytes]]:
    for message in messages:
        found = parse_attrs(message.payload, GENERIC_HEADER)
        for _, element in parse_attr_list(found.get(3, b"")):
            yield parse_attrs(element)


def _need(found: dict[int, bytes], type_: int) -> bytes:
    if type_ not in found:
        raise NetlinkError(f"nftables: the kernel sent no attribute {type_}", errno.EBADMSG)
    return found[type_]


def _key(element: dict[int, bytes]) -> bytes:
    return _need(parse_attrs(_need(element, 1)), 1)


def _is_end(element: dict[int, bytes]) -> bool:
    return bool(as_be32(element.get(3, bytes(4))) & _INTERVAL_END)


def _verdict(element: dict[int, bytes]) -> Verdict:
    data = parse_attrs(_need(parse_attrs(_need(element, 2)), 2))
    number = as_be32(_need(data, 1))
    kind = _KIND_BY_NUMBER.get(number)
    if kind is None:
        raise NetlinkError(f"nftables: the kernel sent verdict {number:#x}", errno.EBADMSG)
    return Verdict(kind, as_text(data.get(2, b"")))


def new_rule(message: Message) -> int | None:
    """Return the handle of the rule that a message tells of; None if it tells of none."""
    if message.type != _SUBSYSTEM | _NEWRULE:
        return None
    for kind, payload in parse_attr_list(message.payload, GENERIC_HEADER):
        if kind == _RULE_HANDLE:
            return int.from_bytes(payload, "big")
    return None
