"""Go's Sprintf, for the values that templates have."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from calicoctl import gotext

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\d+|\*)?(?:(?P<dot>\.)(?P<precision>\d+|\*)?)?(?P<verb>.)?",
    re.DOTALL,
)
_WIDEST = 10_000
_BASES = {"b": "b", "o": "o", "x": "x", "X": "X", "d": "d"}


def sprintf(form: str, items: Sequence[Any]) -> str:
    """Return the text; what does not fit is said in it, as Go does (``%!d(string=a)``)."""
    rest = list(items)
    text = _VERB.sub(lambda match: _one(match, rest), form)
    if rest:
        extra = ", ".join(f"{_go_type(item)}={gotext.value(item)}" for item in rest)
        text += f"%!(EXTRA {extra})"
    return text


def _one(match: re.Match[str], rest: list[Any]) -> str:
    verb = match["verb"]
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    try:
        width = _number(match["width"], rest, "%!(BADWIDTH)")
        precision = _number(match["precision"], rest, "%!(BADPREC)")
    except _BadNumber as error:
        return str(error)
    if match["dot"] and precision is None:
        precision = 0
    if not rest:
        return f"%!{verb}(MISSING)"
    item = rest.pop(0)
    text = _formatted(verb, item, match["flags"], precision)
    return _padded(text, match["flags"], width, numeric=_is_number(item))


class _BadNumber(Exception):  # noqa: N818 - a text to print, not an error
    """``*`` stands for what is no number."""


def _number(text: str | None, rest: list[Any], complaint: str) -> int | None:
    if text is None:
        return None
    if text != "*":
        return min(int(text[:6]), _WIDEST)
    item = rest.pop(0) if rest else None
    if not isinstance(item, int) or isinstance(item, bool) or item < 0:
        raise _BadNumber(complaint)
    return min(item, _WIDEST)


def _is_whole(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _is_number(item: Any) -> bool:
    return isinstance(item, float) or _is_whole(item)


def _formatted(verb: str, item: Any, flags: str, precision: int | None) -> str:
    text: str | None = None
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if verb == "v" or (verb == "s" and not _is_number(item) and not isinstance(item, bool)):
        text = gotext.value(item)[: precision if isinstance(item, str) else None]
    elif verb == "q" and isinstance(item, str):
        text = json.dumps(item[:precision], ensure_ascii=False)
    elif verb == "t" and isinstance(item, bool):
        text = gotext.value(item)
    elif verb == "T":
        text = _go_type(item)
    elif _is_whole(item):
        text = _whole(verb, item, flags, sign)
    elif isinstance(item, float) and verb in "feEgG":
        text = f"{item:{sign}.{6 if precision is None else min(precision, 100)}{verb}}"
        if verb in "gG" and precision is None:
            text = gotext.value(item)
    elif isinstance(item, str) and verb in "xX":
        text = item.encode().hex() if verb == "x" else item.encode().hex().upper()
    return f"%!{verb}({_go_type(item)}={gotext.value(item)})" if text is None else text


def _whole(verb: str, item: int, flags: str, sign: str) -> str | None:
    if verb in _BASES:
        return f"{item:{sign}{'#' if '#' in flags and verb != 'd' else ''}{_BASES[verb]}}"
    if verb in "cqU" and 0 <= item <= 0x10FFFF:
        return {"c": chr(item), "q": f"'{chr(item)}'", "U": f"U+{item:04X}"}[verb]
    return None


def _padded(text: str, flags: str, width: int | None, *, numeric: bool) -> str:
    if width is None:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and numeric:
        return text.zfill(width)
    return text.rjust(width)


def _go_type(item: Any) -> str:
    match item:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case list() | tuple():
            return "[]interface {}"
    return type(item).__name__
