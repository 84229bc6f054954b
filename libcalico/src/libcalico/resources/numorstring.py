"""Values that Calico accepts as a number or as text: ports, protocols, AS numbers.

Numeric text becomes a number on input, as Go's decoders do it; text that is no such value is left
as it is, for validation to name its place. Source: ``api/pkg/lib/numorstring``.
"""

from __future__ import annotations

import re

_DIGITS = re.compile(r"[0-9]{1,10}")
_RANGE = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_DOTTED = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})")


def number_if_numeric(value: int | str) -> int | str:
    """Return ``6`` for ``"6"``; everything else unchanged."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def canonical_port(port: int | str) -> int | str:
    """Return ``80`` for ``"80"`` and ``"80:80"``; everything else unchanged."""
    if isinstance(port, int):
        return port
    if match := _RANGE.fullmatch(port):
        low, high = int(match[1]), int(match[2])
        return low if low == high else f"{low}:{high}"
    return number_if_numeric(port)


def canonical_as_number(value: int | str) -> int | str:
    """Return the number for ``"64512"`` and for the dotted form ``"1.10"``; else unchanged."""
    if isinstance(value, str) and (match := _DOTTED.fullmatch(value)):
        high, low = int(match[1]), int(match[2])
        return (high << 16) + low if high <= 0xFFFF and low <= 0xFFFF else value
    return number_if_numeric(value)
