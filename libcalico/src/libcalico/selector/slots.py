"""Sets of small numbers: tuples while they are small, bits of one integer when they grow.

A bitset over 100,000 slots takes 12.5 kB, so that a value that few carry must not have one; and a
tuple of one number takes a fifth of a set of one. Never form ``~x``: negative integers are several
times slower; a complement is ``everything ^ x``. Source: ``kernel-costs.md`` 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress, count
from typing import Final

#: A set stays a tuple up to this many members, and one more for each 512 slots.
_FEW: Final = 64
_FEW_SHIFT: Final = 9
_LOOP: Final = 24
_TRUTH: Final = bytes.maketrans(b"01", b"\0\1")


def slots_in(mask: int) -> list[int]:
    """Return the numbers of the bits that are set; lowest first."""
    if mask.bit_count() > _LOOP:
        return list(compress(count(), bin(mask)[:1:-1].encode().translate(_TRUTH)))
    slots = []
    while mask:
        highest = mask.bit_length() - 1
        slots.append(highest)
        mask ^= 1 << highest
    slots.reverse()
    return slots


def mask_of(slots: Iterable[int]) -> int:
    """Return the integer that has these bits set."""
    members = tuple(slots)
    if len(members) < 2:
        return 1 << members[0] if members else 0
    buffer = bytearray((max(members) >> 3) + 1)
    for slot in members:
        buffer[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(buffer, "little")


class SlotSet:
    """A set of slots. ``count`` is its size."""

    __slots__ = ("_bits", "_few", "count")

    def __init__(self) -> None:
        self._few: tuple[int, ...] | None = ()
        self._bits = 0
        self.count = 0

    def add(self, slot: int) -> None:
        """Add a slot that is not a member."""
        self.count += 1
        if self._few is None:
            self._bits |= 1 << slot
            return
        self._few += (slot,)
        if self.count > _FEW + (slot >> _FEW_SHIFT):
            self._bits, self._few = mask_of(self._few), None

    def discard(self, slot: int) -> None:
        """Remove a slot that is a member."""
        self.count -= 1
        if self._few is not None:
            place = self._few.index(slot)
            self._few = self._few[:place] + self._few[place + 1 :]
            return
        self._bits ^= 1 << slot
        if self.count <= _FEW // 2:
            self._few, self._bits = tuple(slots_in(self._bits)), 0

    def include(self, mask: int) -> None:
        """Add the bits of the mask."""
        self._become(self.mask() | mask)

    def exclude(self, mask: int) -> None:
        """Remove the bits of the mask."""
        members = self.mask()
        self._become(members ^ (members & mask))

    def _become(self, mask: int) -> None:
        self.count = mask.bit_count()
        if self.count <= _FEW:
            self._few, self._bits = tuple(slots_in(mask)), 0
        else:
            self._few, self._bits = None, mask

    def mask(self) -> int:
        """Return the set as an integer."""
        return self._bits if self._few is None else mask_of(self._few)


def union(sets: Iterable[SlotSet]) -> int:
    """Return the members of all the sets as an integer; any number of small sets costs one pass."""
    mask = 0
    loose: list[int] = []
    for members in sets:
        if members._few is None:
            mask |= members._bits
        else:
            loose.extend(members._few)
    return mask | mask_of(loose)
