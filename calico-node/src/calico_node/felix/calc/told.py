"""What the dataplane knows, and what it must be told."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Told(Generic[_K, _V]):
    """Name → value, and what differs from what was last told."""

    def __init__(self) -> None:
        self._now: dict[_K, _V] = {}
        self._told: dict[_K, _V] = {}
        self._dirty: dict[_K, None] = {}

    def __bool__(self) -> bool:
        """Return whether anything has a value now."""
        return bool(self._now)

    def names(self) -> AbstractSet[_K]:
        """Return the names that have a value now."""
        return self._now.keys()

    def __len__(self) -> int:
        """Return how many have a value now."""
        return len(self._now)

    def get(self, name: _K) -> _V | None:
        """Return the value as it is now, told or not."""
        return self._now.get(name)

    def put(self, name: _K, value: _V | None) -> None:
        """The value is now this, or, None, there is none."""
        if value is None:
            self._now.pop(name, None)
        else:
            self._now[name] = value
        self._dirty[name] = None

    def take(self) -> dict[_K, _V | None]:
        """Return what differs since the last call; None: gone."""
        changes: dict[_K, _V | None] = {}
        for name in self._dirty:
            now = self._now.get(name)
            if now == self._told.get(name):
                continue
            changes[name] = now
            if now is None:
                del self._told[name]
            else:
                self._told[name] = now
        self._dirty.clear()
        return changes
