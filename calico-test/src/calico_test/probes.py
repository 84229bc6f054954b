"""What is probed, and what can be seen: values without I/O."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Outcome(StrEnum):
    """How a probe ended."""

    OPEN = "open"
    """The destination answered, and was the one that was meant."""
    TIMEOUT = "timeout"
    """Silence: what a dropped packet looks like."""
    REFUSED = "refused"
    """The destination, or a rejecting rule, said no: RST or ICMP unreachable."""
    UNREACHABLE = "unreachable"
    """No way there: the source has no route, or a router said that it has none."""
    STRANGER = "stranger"
    """Somebody else answered under that address."""


SYMBOLS = {
    Outcome.OPEN: "✓",
    Outcome.TIMEOUT: "✗",
    Outcome.REFUSED: "R",
    Outcome.UNREACHABLE: "U",
    Outcome.STRANGER: "S",
}


@dataclass(frozen=True, slots=True, order=True)
class Probe:
    """One way to try a destination: ``tcp`` or ``udp`` to a port, or ``icmp`` echo (port 0)."""

    kind: str
    port: int = 0

    def __post_init__(self) -> None:
        if self.kind not in {"tcp", "udp", "icmp"}:
            raise ValueError(f"probe: unknown kind {self.kind!r}, one of tcp, udp, icmp")
        if (self.port == 0) != (self.kind == "icmp") or not 0 <= self.port <= 65535:
            raise ValueError(f"probe: {self.kind} cannot have port {self.port}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` writes: ``tcp80``, ``udp53``, ``icmp``.

        Raises:
            ValueError: it is something else.
        """
        kind = text.rstrip("0123456789")
        return cls(kind, int(text[len(kind) :] or 0))

    def __str__(self) -> str:
        return f"{self.kind}{self.port or ''}"


ICMP = Probe("icmp")


@dataclass(frozen=True, slots=True)
class Observation:
    """What one probe saw.

    Attributes:
        outcome: how it ended.
        took_us: from the first packet to the decision.
        name: who answered, by its own words; None when it did not say.
        peer: the source address that the destination saw.
        detail: of an error.
    """

    outcome: Outcome
    took_us: int = 0
    name: str | None = None
    peer: str | None = None
    detail: str = ""
