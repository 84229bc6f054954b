"""The functions of templates. Wrong arguments raise :class:`FunctionError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote_plus

from calicoctl import gotext
from calicoctl.gotemplate.formatting import sprintf


class FunctionError(Exception):
    """A function was given what it cannot work with."""


class Missing:
    """What a map says of a key that it has not, and ``.`` in a template without data; prints as Go does."""

    def __str__(self) -> str:
        return "<no value>"


MISSING = Missing()


def truth(value: Any) -> bool:
    """Return whether ``if`` takes the value: it is not false, 0, nil or empty."""
    match value:
        case None | Missing():
            return False
        case bool() | int() | float() | str() | list() | tuple() | Mapping():
            return bool(value)
    return True


def describe(value: Any) -> str:
    """Return a value for messages, with what it is."""
    return f"{gotext.value(value)} ({_type(value)})"


def _type(value: Any) -> str:
    match value:
        case None | Missing():
            return "nil"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "list"
        case Mapping():
            return "map"
    return type(value).__name__


def _len(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, list | tuple | Mapping):
        return len(item)
    raise FunctionError(f"len of {describe(item)}")


def _index(item: Any, *positions: Any) -> Any:
    for position in positions:
        item = _at(item, position)
    return item


def _at(item: Any, position: Any) -> Any:
    if isinstance(item, Mapping):
        if not isinstance(position, str):
            raise FunctionError(f"cannot index map with {describe(position)}")
        return item.get(position, "")
    if not isinstance(item, list | tuple | str):
        raise FunctionError(f"can't index {describe(item)}")
    if isinstance(position, bool) or not isinstance(position, int):
        raise FunctionError(f"cannot index list with {describe(position)}")
    if not 0 <= position < len(item):
        raise FunctionError(f"index out of range: {position}")
    return ord(item[position]) if isinstance(item, str) else item[position]


def _slice(item: Any, *bounds: Any) -> Any:
    if not isinstance(item, list | tuple | str):
        raise FunctionError(f"can't slice {describe(item)}")
    whole = [*bounds, *(0, len(item))[len(bounds) :]]
    if len(bounds) > 2 or any(isinstance(n, bool) or not isinstance(n, int) for n in whole):
        raise FunctionError("slice takes at most two numbers")
    low, high = whole
    if not 0 <= low <= high <= len(item):
        raise FunctionError(f"slice out of range: {low} to {high} of {len(item)}")
    return item[low:high]


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise FunctionError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(one: Any, other: Any) -> bool:
    if "nil" in (_type(one), _type(other)):
        return _type(one) == _type(other)
    if {_type(one), _type(other)} & {"list", "map"}:
        raise FunctionError("lists and maps cannot be compared")
    _comparable(one, other)
    return bool(one == other)


def _comparable(one: Any, other: Any) -> None:
    if _type(one) != _type(other):
        raise FunctionError(f"incompatible types for comparison: {_type(one)} and {_type(other)}")


def _less(one: Any, other: Any) -> bool:
    _comparable(one, other)
    if _type(one) not in ("number", "string"):
        raise FunctionError(f"invalid type for comparison: {_type(one)}")
    return bool(one < other)


def _print(*items: Any) -> str:
    """Go's Sprint: a blank between two that are both no text."""
    return _joined(_nil_for_missing(items))


def _nil_for_missing(items: Sequence[Any]) -> list[Any]:
    return [None if isinstance(item, Missing) else item for item in items]


def _shown(*items: Any) -> str:
    """Return the arguments of ``html`` and ``urlquery``, which tell a missing one as ``{{.}}`` does."""
    return _joined([str(item) if isinstance(item, Missing) else item for item in items])


def _joined(items: Sequence[Any]) -> str:
    parts: list[str] = []
    for position, item in enumerate(items):
        if position and not isinstance(item, str) and not isinstance(items[position - 1], str):
            parts.append(" ")
        parts.append(gotext.value(item))
    return "".join(parts)


def _println(*items: Any) -> str:
    return " ".join(map(gotext.value, _nil_for_missing(items))) + "\n"


def _html(text: str) -> str:
    """Go writes quotes by number."""
    return escape(text, quote=False).replace("'", "&#39;").replace('"', "&#34;")


def _printf(form: Any, *items: Any) -> str:
    if not isinstance(form, str):
        raise FunctionError(f"the first argument must be the format, not {describe(form)}")
    return sprintf(form, _nil_for_missing(items))


BUILT_IN: Mapping[str, Callable[..., Any]] = {
    "eq": _eq,
    "ge": lambda one, other: not _less(one, other),
    "gt": lambda one, other: _less(other, one),
    "html": lambda *items: _html(_shown(*items)),
    "index": _index,
    "le": lambda one, other: not _less(other, one),
    "len": _len,
    "lt": _less,
    "ne": lambda one, other: not _same(one, other),
    "not": lambda item: not truth(item),
    "print": _print,
    "printf": _printf,
    "println": _println,
    "slice": _slice,
    "urlquery": lambda *items: quote_plus(_shown(*items)),
}


def join(items: Any, separator: Any) -> str:
    """Calicoctl's ``join``: the members of a list with a separator between them."""
    if items is None or isinstance(items, Missing):
        return ""
    if not isinstance(items, Sequence) or isinstance(items, str) or not isinstance(separator, str):
        raise FunctionError("it takes a list and a separator")
    return separator.join(map(gotext.value, items))


def join_and_truncate(items: Any, separator: Any, longest: Any) -> str:
    """Calicoctl's ``joinAndTruncate``: as join, cut to a length and ended with ``...``."""
    text = join(items, separator)
    if isinstance(longest, bool) or not isinstance(longest, int) or longest < 0:
        raise FunctionError("it takes a list, a separator and a length")
    return text if len(text) <= longest else text[: max(0, longest - 3)] + "..."
