"""When what is programmed is compared with the kernel though nothing told of a change.

Notifications tell of nearly everything at once; an audit is for what they cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Audit = Literal["nftables", "routes", "interfaces"]


class Schedule:
    """Which audits are due, given the seconds between two of a kind (0: none)."""

    def __init__(self) -> None:
        self._last_s: dict[Audit, float] = {}

    def due(self, now_s: float, intervals_s: Mapping[Audit, float]) -> list[Audit]:
        """Return what is due now, and take it for done. Each is due when first asked for.

        Args:
            now_s: seconds of a clock that never goes back.
            intervals_s: between two audits.
        """
        found = [
            audit
            for audit, interval_s in intervals_s.items()
            if interval_s and now_s - self._last_s.get(audit, now_s - interval_s) >= interval_s
        ]
        self._last_s |= dict.fromkeys(found, now_s)
        return found
