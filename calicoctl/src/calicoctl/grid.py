"""Tables with borders, as Go's tablewriter sets them: headings centred, numbers right, the rest left."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?%?$")


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], *, between: bool = False) -> str:
    """Return the table, without a line end.

    Args:
        between: draw a line after each row (for cells of several lines).
    """
    split = [[cell.split("\n") for cell in row] for row in rows]
    widths = [
        max(
            len(line)
            for row in ([[title]], *([row[at]] for row in split))
            for cell in row
            for line in cell
        )
        for at, title in enumerate(header)
    ]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [
        border,
        _line([_centred(cell, w) for cell, w in zip(header, widths, strict=True)]),
        border,
    ]
    for row in split:
        lines += _row(row, widths)
        lines += [border] if between else []
    return "\n".join(lines if between and rows else [*lines, border])


def _row(row: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    height = max(len(cell) for cell in row)
    filled = [[*cell, *[""] * (height - len(cell))] for cell in row]
    return [
        _line([_placed(cell[at], width) for cell, width in zip(filled, widths, strict=True)])
        for at in range(height)
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _centred(cell: str, width: int) -> str:
    return f"{' ' * ((width - len(cell)) // 2)}{cell}".ljust(width)


def _placed(cell: str, width: int) -> str:
    return cell.rjust(width) if _NUMBER.match(cell) else cell.ljust(width)
