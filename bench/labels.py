"""The label index against the walk of the expression, over the same endpoints."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from bench.measure import Report, Scale, timed
from libcalico.selector import parse
from libcalico.selector.index import LabelIndex

_SELECTOR = "role == 'db' && env in {'prod', 'stage'} && !has(quarantine)"
_SCALES = (1_000, 10_000, 100_000)


def run(report: Report) -> None:
    """Measure a new selector over all endpoints, and one relabelled endpoint under 1,000 selectors."""
    for scale in _SCALES:
        endpoints = _endpoints(scale)
        index: LabelIndex[int, str] = LabelIndex()
        for number, labels in enumerate(endpoints):
            index.on_item(number, labels)
        over_all = partial(_select_anew, index)
        name = f"labels: new selector over {scale} endpoints"
        by_index = report.add(
            f"{name}, index", "ms", timed(over_all, 200), scale=_point("index", scale)
        )
        walk = timed(partial(_walk, endpoints), max(5, 200_000 // scale))
        by_walk = report.add(f"{name}, walk", "ms", walk, scale=_point("walk", scale))
        report.ratio(f"labels: walk over index, {scale} endpoints", by_walk, by_index)
        _relabel(report, index, endpoints, scale)


def _point(line: str, scale: int) -> Scale:
    return Scale("labels: new selector", line, scale, "endpoints")


def _select_anew(index: LabelIndex[int, str]) -> None:
    index.on_selector("s", parse(_SELECTOR))
    index.on_selector_removed("s")


def _walk(endpoints: list[Mapping[str, str]]) -> int:
    return sum(map(parse(_SELECTOR).evaluate, endpoints))


def _relabel(
    report: Report, index: LabelIndex[int, str], endpoints: list[Mapping[str, str]], scale: int
) -> None:
    selectors = [
        parse(f"role == 'r{n % 40}' && env == 'e{n % 25}' && app == 'a{n}'") for n in range(1000)
    ]
    for number, selector in enumerate(selectors):
        index.on_selector(f"s{number}", selector)
    index.drain()
    turn = iter(range(1_000_000))

    def relabel() -> None:
        number = next(turn)
        index.on_item(number % scale, {**endpoints[number % scale], "app": f"a{number % 1000}"})
        index.drain()

    name = f"one endpoint relabelled under 1000 selectors, {scale} endpoints"
    by_index = report.add(f"labels: {name}, index", "ms", timed(relabel, 500))
    labels = endpoints[0]
    by_walk = report.add(
        f"labels: {name}, walk", "ms", timed(lambda: [s.evaluate(labels) for s in selectors], 100)
    )
    report.ratio(f"labels: walk over index, relabel, {scale} endpoints", by_walk, by_index)


def _endpoints(count: int) -> list[Mapping[str, str]]:
    """Return labels of endpoints: ten each, of which the selector picks about two in a hundred."""
    chance = random.Random(count)
    made: list[Mapping[str, str]] = []
    for _ in range(count):
        labels = {f"k{n}": f"v{chance.randrange(20)}" for n in range(7)}
        labels["role"] = chance.choice(("db", *(f"r{n}" for n in range(19))))
        labels["env"] = chance.choice(("prod", "stage", "test", "dev"))
        labels["app"] = f"a{chance.randrange(1000)}"
        made.append(labels)
    return made
