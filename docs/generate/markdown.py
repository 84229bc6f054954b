"""Pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_ROLE = re.compile(r":[a-z:]+:`~?([^`]*)`")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown."""
    lines = [list(head), ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Escape what would end the cell; inside code it would not, and the escape would be seen."""
    parts = text.replace("\n", " ").split("`")
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)


def code(text: object) -> str:
    """Return the text as code; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def prose(thing: object) -> str:
    """Return the first paragraph of a docstring as Markdown, without Sphinx' roles."""
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return _ROLE.sub(r"`\1`", text).replace("``", "`").replace("\n", " ")
