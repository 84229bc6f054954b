"""Who reaches whom: expected against observed, and how to show it. Values without I/O.

A cell is one source trying one destination in one way over one family. An expectation says for every cell
what is to be seen: True means OPEN, False means TIMEOUT, the silence of a dropped packet. A refusal is
*not* a denial: it is also what a server that does not listen looks like, so whoever expects it must say so
(``Outcome.REFUSED``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from calico_test.probes import SYMBOLS, Outcome, Probe

FAMILIES = (4, 6)
_WIDTH = 100


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One source, one destination, one way, one family (4 or 6)."""

    source: str
    destination: str
    probe: Probe
    family: int

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.probe} over IPv{self.family}"


Verdict = bool | Outcome
Expectation = Callable[[str, str, Probe], Verdict] | Mapping[tuple[str, str], Iterable[Probe]]
"""Either a function of source, destination and probe, or what is open per (source, destination): the rest
is denied."""


def cells(
    names: Sequence[str], probes: Sequence[Probe], families: Sequence[int] = FAMILIES
) -> list[Cell]:
    """All cells of different source and destination, in the order of the tables."""
    return [
        Cell(source, destination, probe, family)
        for probe, family, source, destination in product(probes, families, names, names)
        if source != destination
    ]


def expect(expectation: Expectation, wanted: Iterable[Cell]) -> dict[Cell, Outcome]:
    """What is to be seen in each of these cells."""
    return {cell: _verdict(expectation, cell) for cell in wanted}


def _verdict(expectation: Expectation, cell: Cell) -> Outcome:
    if callable(expectation):
        verdict = expectation(cell.source, cell.destination, cell.probe)
    else:
        verdict = cell.probe in expectation.get((cell.source, cell.destination), ())
    if isinstance(verdict, Outcome):
        return verdict
    return Outcome.OPEN if verdict else Outcome.TIMEOUT


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen, beside what was expected.

    Attributes:
        observed: cell → outcome.
        expected: cell → outcome, for the cells about which something was expected.
    """

    observed: Mapping[Cell, Outcome]
    expected: Mapping[Cell, Outcome]

    @property
    def differences(self) -> list[Cell]:
        """The cells that are not as expected, sorted."""
        return sorted(
            cell for cell, wanted in self.expected.items() if self.observed[cell] != wanted
        )

    def render(self) -> str:
        """Tables by probe and family, rows from and columns to; a difference shows as seen!expected."""
        groups = dict.fromkeys(cell.probe for cell in self.observed)
        blocks = [_beside(self._tables(probe)) for probe in groups]
        return "\n\n".join([*blocks, self._legend()])

    def _tables(self, probe: Probe) -> list[list[str]]:
        families = sorted({cell.family for cell in self.observed if cell.probe == probe})
        return [self._table(probe, family) for family in families]

    def _table(self, probe: Probe, family: int) -> list[str]:
        own = [cell for cell in self.observed if (cell.probe, cell.family) == (probe, family)]
        sources = list(dict.fromkeys(cell.source for cell in own))
        destinations = list(
            dict.fromkeys(sorted((c.destination for c in own), key=_order(sources)))
        )
        head = [f"{probe} IPv{family}", *destinations]
        rows = [
            [source, *(self._mark(Cell(source, to, probe, family)) for to in destinations)]
            for source in sources
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return ["  ".join(map(str.ljust, row, widths)) for row in [head, *rows]]

    def _mark(self, cell: Cell) -> str:
        if cell not in self.observed:
            return "·"
        seen, wanted = self.observed[cell], self.expected.get(cell)
        mark = SYMBOLS[seen]
        return mark if wanted in {None, seen} else f"{mark}!{SYMBOLS[wanted]}"

    def _legend(self) -> str:
        seen = set(self.observed.values()) | set(self.expected.values())
        symbols = "  ".join(f"{SYMBOLS[o]} {o}" for o in Outcome if o in seen)
        count = len(self.differences)
        return f"{symbols}  seen!expected: {count} difference{'' if count == 1 else 's'}"


class Mismatch(AssertionError):  # noqa: N818  reads as what it is in a test's output
    """What was seen is not what was expected; the message is the table.

    Attributes:
        report: for a closer look.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = (
            f"  {cell}: {report.observed[cell]}, expected {report.expected[cell]}"
            for cell in report.differences
        )
        super().__init__(
            "\n".join(["who reaches whom is not as expected", *lines, report.render()])
        )


def _order(names: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    place = {name: index for index, name in enumerate(names)}
    return lambda name: (place.get(name, len(place)), name)


def _beside(tables: list[list[str]]) -> str:
    """Put tables next to each other if they fit into the width, else below each other."""
    rows = ["   │ ".join(row).rstrip() for row in zip(*tables, strict=False)]
    same_height = len({len(table) for table in tables}) == 1
    if same_height and max(map(len, rows)) <= _WIDTH:
        return "\n".join(rows)
    return "\n\n".join("\n".join(line.rstrip() for line in table) for table in tables)
