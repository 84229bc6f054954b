"""Sets of small numbers: tuples while they are small, bits of one integer when they grow.

A bitset over 100,000 slots takes 12.5 kB, so that a value that few carry must not have one; and a
tuple of one number takes a fifth of a set of one. To set one bit of an integer copies it, so that
changes are collected and made together when the integer is asked for. Never form ``~x``: negative
integers are several times slower; a complement is ``everything ^ x``. Source: ``kernel-costs.md`` 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import compress, count
from typing import Final

#: A set stays a tuple up to this many members, and one more for each 512 slots.
_FEW: Final = 64
_FEW_SHIFT: Final = 9
#: Up to this many bits are taken off one by one.
_LOOP: Final = 16
#: Fewer than one bit in so many is scarce: then bytes that are not zero are searched.
_SCARCE: Final = 16
_TRUTH: Final = bytes.maketrans(b"01", b"\0\1")
_NOT_ZERO: Final = re.compile(rb"[^\0]", re.DOTALL)
_BITS_BY_BYTE: Final = tuple(tuple(b for b in range(8) if byte >> b & 1) for byte in range(256))


def slots_in(mask: int) -> list[int]:
    """Return the numbers of the bits that are set; lowest first."""
    size = mask.bit_count()
    if size <= _LOOP:
        return _taken_off(mask)
    length = mask.bit_length()
    if size > length // _SCARCE:
        return list(compress(count(), bin(mask)[:1:-1].encode().translate(_TRUTH)))
    packed = mask.to_bytes((length + 7) >> 3, "little")
    return [
        (found.start() << 3) + bit
        for found in _NOT_ZERO.finditer(packed)
        for bit in _BITS_BY_BYTE[packed[found.start()]]
    ]


def _taken_off(mask: int) -> list[int]:
    slots = []
    while mask:
        highest = mask.bit_length() - 1
        slots.append(highest)
        mask ^= 1 << highest
    slots.reverse()
    return slots


def mask_of(slots: Iterable[int]) -> int:
    """Return the integer that has these bits set; a slot that occurs twice is not."""
    members = tuple(slots)
    if len(members) < 2:
        return 1 << members[0] if members else 0
    buffer = bytearray((max(members) >> 3) + 1)
    for slot in members:
        buffer[slot >> 3] ^= 1 << (slot & 7)
    return int.from_bytes(buffer, "little")


class SlotSet:
    """A set of slots. ``count`` is its size.

    The members are the bits, with those of the loose slots turned over: a set of few has no bits
    and its members loose; a set of many has bits, and as loose slots the latest changes.
    """

    __slots__ = ("_bits", "_loose", "count")

    def __init__(self) -> None:
        self._bits = 0
        self._loose: tuple[int, ...] = ()
        self.count = 0

    def add(self, slot: int) -> None:
        """Add a slot that is not a member."""
        self.count += 1
        self._loose += (slot,)
        if len(self._loose) > _FEW + (slot >> _FEW_SHIFT):
            self._become(self.mask())

    def discard(self, slot: int) -> None:
        """Remove a slot that is a member."""
        self.count -= 1
        if self._bits:
            self._loose += (slot,)
            if len(self._loose) > _FEW + (slot >> _FEW_SHIFT):
                self._become(self.mask())
            return
        place = self._loose.index(slot)
        self._loose = self._loose[:place] + self._loose[place + 1 :]

    def include(self, mask: int) -> None:
        """Add the bits of the mask."""
        self._become(self.mask() | mask)

    def exclude(self, mask: int) -> None:
        """Remove the bits of the mask."""
        members = self.mask()
        self._become(members ^ (members & mask))

    def mask(self) -> int:
        """Return the set as an integer."""
        if not self._loose:
            return self._bits
        mask = self._bits ^ mask_of(self._loose)
        if self._bits:
            self._bits, self._loose = mask, ()
        return mask

    def loose(self) -> tuple[int, ...]:
        """Return the members if they are few, else nothing."""
        return () if self._bits else self._loose

    def _become(self, mask: int) -> None:
        self.count = mask.bit_count()
        if self.count <= _FEW:
            self._bits, self._loose = 0, tuple(slots_in(mask))
        else:
            self._bits, self._loose = mask, ()


def union(sets: Iterable[SlotSet]) -> int:
    """Return the members of disjoint sets as an integer; any number of small sets costs one pass."""
    mask = 0
    loose: list[int] = []
    for members in sets:
        if few := members.loose():
            loose += few
        else:
            mask |= members.mask()
    return mask | mask_of(loose)
