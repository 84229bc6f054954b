"""Relative links in Markdown files, and whether what they lead to exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the file and line that it stands in, and its target as written."""

    file: Path
    line: int
    target: str

    def __str__(self) -> str:
        """Return the place and the target, for people."""
        return f"{self.file}:{self.line}: {self.target}"


def links(file: Path, text: str) -> Iterator[Link]:
    """Yield the links of a Markdown text; what looks like one inside code is none."""
    without_code = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for match in _LINK.finditer(without_code):
        yield Link(file, without_code.count("\n", 0, match.start()) + 1, match[1])


def broken(root: Path, files: Iterator[Path]) -> list[Link]:
    """Return the relative links that lead to no file or folder inside ``root``."""
    return [
        link
        for file in files
        for link in links(file, file.read_text(encoding="utf-8"))
        if not _ELSEWHERE.match(link.target) and not _leads_somewhere(root, link)
    ]


def _leads_somewhere(root: Path, link: Link) -> bool:
    path, _, _ = link.target.partition("#")
    if not path:
        return True
    target = (link.file.parent / path).resolve()
    return target.exists() and target.is_relative_to(root.resolve())
