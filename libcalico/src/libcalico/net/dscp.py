"""Differentiated services code points: six bits of an IP header that ask routers for a treatment.

Source: RFC 2474 (class selectors), 2597 (assured forwarding), 3246 (EF), 5865 (VA), 8622 (LE).
"""

from __future__ import annotations

from typing import Final

from libcalico.errors import ValidationError

_LAST: Final = 63

#: Name → code point.
NAMES: Final[dict[str, int]] = {
    "DF": 0,
    "LE": 1,
    "EF": 46,
    "VA": 44,
    **{f"CS{n}": 8 * n for n in range(8)},
    **{f"AF{row}{column}": 8 * row + 2 * column for row in range(1, 5) for column in range(1, 4)},
}


def parse_dscp(value: int | str) -> int:
    """Return the code point that a number, its digits or a name (in any case) stands for.

    Raises:
        ValidationError: it is none.
    """
    found = NAMES.get(value.upper()) if isinstance(value, str) else value
    if found is None and isinstance(value, str) and value.isascii() and value.isdigit():
        found = int(value)
    if found is None or not 0 <= found <= _LAST:
        raise ValidationError(
            f"{value!r} is no DSCP; use 0 to 63, or a name such as EF, CS1 or AF41"
        )
    return found
