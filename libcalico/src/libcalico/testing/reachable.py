"""What an object holds: for tests that what came and went leaves nothing behind."""

from __future__ import annotations

import gc
from collections import Counter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Final

#: What everybody shares; of numbers only large ones are objects of their own.
_SHARED: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, int, float)


def reachable(*roots: object) -> Counter[str]:
    """Count, by the name of their type, all objects that are reached from some, after a collection."""
    gc.collect()
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, _SHARED):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
            if isinstance(one, dict):
                waiting += one  # the collector passes over keys that are strings
    return Counter(type(one).__name__ for one in seen.values())
