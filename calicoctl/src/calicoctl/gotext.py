"""Values and tables as Go prints them, for scripts that read calicoctl's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import astuple

_MINIMUM_WIDTH = 5
_PADDING = 3
_LONGEST_LIST = 80


def value(item: object) -> str:
    """Return a value as Go's ``%v``: nil as ``<nil>``, floats as ``1e+06``, lists as ``[a b]``."""
    match item:
        case None:
            return "<nil>"
        case bool():
            return "true" if item else "false"
        case float():
            return _float(item)
        case list() | tuple():
            return f"[{' '.join(value(member) for member in item)}]"
        case Mapping():
            members = (f"{value(key)}:{value(held)}" for key, held in sorted(item.items()))
            return f"map[{' '.join(members)}]"
        case Struct():
            return f"{{{' '.join(value(held) for held in astuple(item))}}}"
    return str(item)


def _float(number: float) -> str:
    """Return the shortest form; an exponent below -4 or from 6 on is written as such."""
    digits = Decimal(repr(number)).normalize()
    exponent = digits.adjusted()
    if number == 0 or -4 <= exponent < 6:
        return f"{digits:f}"
    mantissa = digits.scaleb(-exponent).normalize()
    return f"{mantissa:f}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def joined(items: Sequence[object]) -> str:
    """Return the items with commas, cut with ``...`` when long."""
    text = ",".join(str(item) for item in items)
    return text if len(text) <= _LONGEST_LIST else text[: _LONGEST_LIST - 3] + "..."


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Go's tabwriter sets it: cells padded by three blanks, blanks at line ends."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [
        max(_MINIMUM_WIDTH, max(len(line[column]) for line in lines) + _PADDING)
        for column in range(len(header))
    ]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + "\n"
        for line in lines
    )
