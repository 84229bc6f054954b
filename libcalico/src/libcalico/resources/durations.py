"""Go duration texts (``1m30s``, ``50ms``) ⇄ seconds. Calico stores all durations in this form.

Source: Go's ``time.ParseDuration`` and ``Duration.String``.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from libcalico.errors import ValidationError

_SECONDS_BY_UNIT = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")


#: Marks texts that Go reads as durations, and writes in its own form whatever form they were given in.
GO_DURATION: Final = "Go duration"
GoDuration = Annotated[str, GO_DURATION]


def canonical_duration(text: str) -> str:
    """Return a duration as Go writes it (``1m30s`` for ``90s``); what is none stays, for validation."""
    try:
        return render_duration(parse_duration(text))
    except ValidationError:
        return text


def parse_duration(text: str) -> float:
    """Return the seconds that a Go duration text means.

    Raises:
        ValidationError: the text is no duration.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValidationError(f"{text!r} is no duration; write it as 90s, 1m30s or 50ms")
    seconds = sum(float(number) * _SECONDS_BY_UNIT[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds


def render_duration(seconds: float) -> str:
    """Return the text that Go prints for a duration: ``0s``, ``50ms``, ``1.5s``, ``1m30s``, ``24h0m0s``."""
    nanos = round(abs(seconds) * 1_000_000_000)
    sign = "-" if seconds < 0 and nanos else ""
    if nanos < 1_000_000_000:
        return sign + _render_below_second(nanos)
    whole, nanos = divmod(nanos, 1_000_000_000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(whole * 1_000_000_000 + nanos, 9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _render_below_second(nanos: int) -> str:
    if nanos == 0:
        return "0s"
    for unit, digits in (("ms", 6), ("µs", 3)):
        if nanos >= 10**digits:
            return f"{_decimal(nanos, digits)}{unit}"
    return f"{nanos}ns"


def _decimal(value: int, digits: int) -> str:
    """Return ``value / 10**digits`` without trailing zeros."""
    whole, rest = divmod(value, 10**digits)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
