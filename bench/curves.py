"""Draws the results that lie on a curve: one picture for each curve, p50 as a line, p95 as its shadow."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.measure import Result, Scale

_INCHES = (8.0, 4.5)
_DOTS_PER_INCH = 120
#: Values so many times apart are drawn on a logarithmic axis.
_DECADES = 30

Lines = dict[str, list[tuple[Scale, Result]]]


def draw(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write ``bench-CURVE.png`` files; return their paths."""
    curves: defaultdict[str, Lines] = defaultdict(dict)
    for result in results:
        if result.scale is not None:
            lines = curves[result.scale.curve]
            lines.setdefault(result.scale.line, []).append((result.scale, result))
    return [_picture(curve, lines, folder) for curve, lines in curves.items()]


def _picture(curve: str, lines: Lines, folder: Path) -> Path:
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.add_subplot(title=curve, xscale="log")
    for line, points in lines.items():
        points.sort(key=lambda point: point[0].size)
        sizes = [scale.size for scale, _ in points]
        medians = [result.p50 for _, result in points]
        axes.plot(sizes, medians, marker="o", label=line)
        axes.fill_between(sizes, medians, [result.p95 for _, result in points], alpha=0.15)
    scale, result = next(iter(lines.values()))[0]
    axes.set(xlabel=scale.of, ylabel=result.unit)
    medians = [result.p50 for points in lines.values() for _, result in points]
    if max(medians) > _DECADES * min(medians) > 0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / f"bench-{re.sub('[^a-z0-9]+', '-', curve.lower())}.png"
    figure.savefig(path, dpi=_DOTS_PER_INCH)
    return path
