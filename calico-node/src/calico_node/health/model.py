"""When an agent is live and when it is ready. Pure: the clock is handed in.

An agent has reporters, one for each part that can fail on its own (the watch, the dataplane). Each
reports its state; a reporter with a timeout that falls silent counts as neither live nor ready, which
finds tasks that hang. The agent is live if all that speak for liveness are, and ready likewise.

Source: Felix's health endpoints; 204 says yes without words, 503 says no and shows the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Setting(NamedTuple):
    """A file that a parameter names; ``path`` is empty where it names none."""

    parameter: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """What an endpoint speaks TLS with.

    Attributes:
        certificate, key: its own.
        authority: who has signed the certificates of clients.
        clients: whether they need one.
    """

    certificate: Setting
    key: Setting
    authority: Setting
    clients: Literal["none", "optional", "required"] = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a part of the agent says of itself, and what to tell a person."""

    live: bool = True
    ready: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """A part of the agent.

    Attributes:
        speaks_for_liveness, speaks_for_readiness: whether the agent's answer depends on it.
        timeout_s: longest silence; None for a part that only reports changes.
    """

    name: str
    speaks_for_liveness: bool = True
    speaks_for_readiness: bool = True
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One reporter's line in the table."""

    name: str
    live: bool | None
    ready: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The answer of the whole agent, and the lines that it follows from."""

    live: bool
    ready: bool
    rows: tuple[Row, ...]

    def table(self) -> str:
        """Return the lines as a table for people."""
        cells = [("COMPONENT", "LIVE", "READY", "DETAIL")]
        cells += [(r.name, _word(r.live), _word(r.ready), r.detail) for r in self.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(3)]
        lines = (
            "  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]).rstrip()
            for row in cells
        )
        return "\n".join(lines) + "\n"


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[value]


@dataclass(slots=True)
class Aggregator:
    """Collects reports; ``clock`` returns monotonic seconds.

    A reporter that has not reported yet is live but not ready.
    """

    clock: Callable[[], float]
    _reporters: dict[str, Reporter] = field(default_factory=dict)
    _reports: dict[str, tuple[float, Report]] = field(default_factory=dict)
    _timeouts_s: Mapping[str, float] = field(default_factory=dict)

    def register(self, reporter: Reporter) -> None:
        """Make the agent's answer depend on a reporter; its silence counts from now."""
        self._reporters[reporter.name] = reporter
        self._reports[reporter.name] = (self.clock(), Report(ready=False, detail="starting"))

    def set_timeouts(self, timeouts_s: Mapping[str, float]) -> None:
        """Judge the silence of the reporters named by these seconds from now on; 0: by none."""
        self._timeouts_s = dict(timeouts_s)

    def report(self, name: str, report: Report) -> None:
        """Record the state of a registered reporter, and that it is not silent."""
        if name not in self._reporters:
            raise KeyError(name)
        self._reports[name] = (self.clock(), report)

    def summary(self) -> Summary:
        """Return the answer as of now."""
        now = self.clock()
        rows = tuple(self._row(name, now) for name in sorted(self._reporters))
        return Summary(
            live=all(row.live is not False for row in rows),
            ready=all(row.ready is not False for row in rows),
            rows=rows,
        )

    def _row(self, name: str, now: float) -> Row:
        reporter = self._reporters[name]
        at, report = self._reports[name]
        timeout_s = self._timeouts_s.get(name, reporter.timeout_s)
        silent = bool(timeout_s) and now - at > (timeout_s or 0)
        detail = f"silent for {now - at:.0f}s; last: {report.detail}" if silent else report.detail
        return Row(
            name,
            (report.live and not silent) if reporter.speaks_for_liveness else None,
            (report.ready and not silent) if reporter.speaks_for_readiness else None,
            detail,
        )
