"""Samples → p50, p95, and the list of results."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a result lies on a curve: results of one curve and line differ in ``size`` alone.

    Attributes:
        curve: what is drawn in one picture, e.g. ``felix: cold start``.
        line: names the line in it.
        size: how much there is, and ``of`` what, e.g. 1000 of ``endpoints``.
    """

    curve: str
    line: str
    size: float
    of: str


@dataclass(frozen=True, slots=True)
class Result:
    """One line of ``build/bench.json``."""

    name: str
    unit: str
    p50: float
    p95: float
    n: int
    note: str = ""
    scale: Scale | None = None


class Report:
    """Collects results, printing each as it comes."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def add(
        self,
        name: str,
        unit: str,
        samples: Sequence[float],
        note: str = "",
        scale: Scale | None = None,
    ) -> Result:
        """Add the percentiles of some samples."""
        ordered = sorted(samples)
        p50, p95 = (
            statistics.median(ordered),
            ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        )
        result = Result(name, unit, round(p50, 4), round(p95, 4), len(ordered), note, scale)
        self.results.append(result)
        print(
            f"{name:62} p50 {p50:10.3f}  p95 {p95:10.3f} {unit:5} n={len(ordered):<5} {note}",
            flush=True,
        )
        return result

    def ratio(
        self,
        name: str,
        result: Result,
        baseline: Result,
        note: str = "",
        scale: Scale | None = None,
    ) -> Result:
        """Add how many times the baseline a result is."""
        p50, p95 = result.p50 / baseline.p50, result.p95 / baseline.p95
        entry = Result(name, "x", round(p50, 4), round(p95, 4), result.n, note, scale)
        self.results.append(entry)
        print(f"{name:62} p50 {p50:10.2f}  p95 {p95:10.2f} x     {note}", flush=True)
        return entry

    def write(self, path: Path) -> None:
        """Write all results as JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([asdict(result) for result in self.results], indent=2) + "\n")


@contextmanager
def without_gc() -> Iterator[None]:
    """Keep the garbage collector out of the samples."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Return how long each call took, in milliseconds."""
    samples = []
    with without_gc():
        for _ in range(times):
            began = time.perf_counter_ns()
            call()
            samples.append((time.perf_counter_ns() - began) / 1e6)
    return samples
