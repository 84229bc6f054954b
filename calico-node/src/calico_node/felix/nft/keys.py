"""Keys of sets and maps: their types, how values are packed, and intervals of them.

Elements are packed bytes, exactly the key as the kernel compares it, because sets of 100,000 must
be cheap. A plain element is the packed key; :func:`pack` makes one for a concatenation, each field
padded to four bytes. An element of an interval set is its lowest and its highest key, both
included, one after the other: 8 bytes for an IPv4 prefix, 32 for IPv6 (:func:`interval_of`). The
intervals of a set must be disjoint: the kernel refuses others (:func:`merge_prefixes`).

Source: include/datatype.h of nft 1.0.6 for the numbers of the data types.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

IFNAME_BYTES: Final = 16
"""Width of an interface name key, NUL padded (IFNAMSIZ)."""

Atom: TypeAlias = int | str | bytes
"""One value: packed bytes for an address, text for an interface name, a number for the rest."""


class KeyType(Enum):
    """A data type of set keys: nft's name and number, width in bytes, byte order of numbers."""

    IPV4_ADDR = ("ipv4_addr", 7, 4, "big")
    IPV6_ADDR = ("ipv6_addr", 8, 16, "big")
    IFNAME = ("ifname", 41, IFNAME_BYTES, "big")
    NF_PROTO = ("nf_proto", 2, 1, "big")
    INET_PROTO = ("inet_proto", 12, 1, "big")
    INET_SERVICE = ("inet_service", 13, 2, "big")
    ICMP_TYPE = ("icmp_type", 14, 1, "big")
    ICMP_CODE = ("icmp_code", 32, 1, "big")
    ICMPV6_TYPE = ("icmpv6_type", 29, 1, "big")
    ICMPV6_CODE = ("icmpv6_code", 33, 1, "big")
    MARK = ("mark", 19, 4, sys.byteorder)
    CT_STATE = ("ct_state", 26, 4, sys.byteorder)
    CT_DIRECTION = ("ct_dir", 27, 1, "big")
    CT_STATUS = ("ct_status", 28, 4, sys.byteorder)
    FIB_ADDRTYPE = ("fib_addrtype", 38, 4, sys.byteorder)
    BOOLEAN = ("boolean", 39, 4, "little")  # the kernel fills the first byte of a register

    def __init__(
        self, text: str, number: int, size: int, byteorder: Literal["big", "little"]
    ) -> None:
        self.text = text
        self.number = number
        self.size = size
        self.byteorder: Literal["big", "little"] = byteorder

    def pack(self, value: Atom) -> bytes:
        """Return the key of one value, exactly :attr:`size` bytes.

        Raises:
            ValueError: the value does not fit the type.
        """
        if isinstance(value, int):
            if self.is_address or self is KeyType.IFNAME:
                raise ValueError(f"{self.text} takes no number, got {value!r}")
            if not 0 <= value < 1 << 8 * self.size:
                raise ValueError(f"{self.text} has no {value}")
            return int(value).to_bytes(self.size, self.byteorder)
        packed = (
            value.encode().ljust(IFNAME_BYTES - 1, b"\0") + b"\0"
            if isinstance(value, str)
            else value
        )
        if len(packed) != self.size or isinstance(value, str) != (self is KeyType.IFNAME):
            raise ValueError(f"{value!r} is not of type {self.text}")
        return packed

    @property
    def is_address(self) -> bool:
        """Whether values are IP addresses in packed bytes."""
        return self in (KeyType.IPV4_ADDR, KeyType.IPV6_ADDR)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Addresses that share their first ``length`` bits; the bits after them are zero."""

    address: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Range:
    """Values from ``low`` to ``high``, both included."""

    low: int | bytes
    high: int | bytes


def pack(types: Sequence[KeyType], values: Sequence[Atom]) -> bytes:
    """Return the key of an element: of one type its bytes alone; of several each padded to four bytes.

    Raises:
        ValueError: a value does not fit its type.
    """
    if len(types) == 1:
        return types[0].pack(values[0])
    return b"".join(pad(type_.pack(value)) for type_, value in zip(types, values, strict=True))


def pad(key: bytes) -> bytes:
    """Return one field of a concatenation as the kernel keeps it: in whole registers of 4 bytes."""
    return key + bytes(-len(key) % 4)


def interval_of(prefix: Prefix) -> bytes:
    """Return the element of an interval set for a prefix: its first and its last address."""
    size = len(prefix.address)
    host_bits = 8 * size - prefix.length
    low = int.from_bytes(prefix.address, "big")
    return prefix.address + (low | (1 << host_bits) - 1).to_bytes(size, "big")


def merge_intervals(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same numbers as disjoint intervals that do not touch, sorted, both ends included."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def merge_prefixes(prefixes: Iterable[Prefix]) -> list[Prefix]:
    """Return the prefixes that no other one contains, sorted: disjoint, and the same addresses.

    Neighbours are not joined, so that adding or removing one prefix changes few elements. All
    must be of one address family.
    """
    kept: list[Prefix] = []
    last_high = b""
    for prefix in sorted(set(prefixes), key=lambda p: (p.address, p.length)):
        interval = interval_of(prefix)
        high = interval[len(interval) // 2 :]
        if high > last_high:
            kept.append(prefix)
            last_high = high
    return kept
