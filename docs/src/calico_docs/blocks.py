"""The fenced blocks of a page, and what a test is to do with each.

A comment above a fence says it, invisible to readers::

    <!-- test: run host2 -->            run it in the shell of that host; no command of it may fail
    <!-- test: until -->                the same, again and again until nothing fails and the output below
    is seen
    <!-- test: output -->               these lines are in what the block above printed, in this order
    <!-- test: file policy.yaml -->     what the reader writes into a file, in the shell's directory
    <!-- test: needs podman -->         not run: the tests have none
    <!-- test: none the reason -->      not to be run

A comment without a fence below describes the lab: ``<!-- test: lab hosts=2 etcd -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Languages of blocks that a reader types; each needs a mark.
SHELLS = frozenset({"bash", "sh", "shell", "console"})
#: What a mark can be, and whether words may or must follow it.
MARKS = frozenset({"run", "until", "output", "file", "needs", "none", "lab"})
_MARK = re.compile(r"^ *<!-- test: *(.*?) *-->\s*$")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*(\S*).*$")


class MarkError(Exception):
    """A mark cannot be understood, or is missing; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        file: the page.
        line: number of the line of its fence, from 1.
        language: the word after the fence; empty if there is none.
        mark: the words of its mark; empty without one.
        text: what is between the fences.
    """

    file: Path
    line: int
    language: str
    mark: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        """Return the place, for people."""
        return f"{self.file}:{self.line}"

    @property
    def action(self) -> str:
        """The first word of the mark."""
        return self.mark[0] if self.mark else ""


def blocks(file: Path, text: str) -> list[Block]:
    """Return the blocks of a page, in order.

    Raises:
        MarkError: a mark is unknown, a shell block has none, or a fence is not closed.
    """
    found: list[Block] = []
    lines = list(enumerate(text.splitlines(), start=1))
    mark: tuple[str, ...] = ()
    while lines:
        number, line = lines.pop(0)
        if match := _MARK.match(line):
            mark = _mark(file, number, match[1])
        elif fence := _FENCE.match(line):
            body = _body(file, number, fence, lines)
            found.append(_checked(Block(file, number, fence[3], mark, body)))
            mark = ()
        elif line.strip():
            mark = ()
    return found


def lab(file: Path, text: str) -> dict[str, str] | None:
    """Return the words of the page's ``lab`` mark as key → value; None if it has none."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _MARK.match(line)
        if match and (mark := _mark(file, number, match[1]))[0] == "lab":
            return {key: value for key, _, value in (word.partition("=") for word in mark[1:])}
    return None


def _mark(file: Path, line: int, text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    if not words or words[0] not in MARKS:
        raise MarkError(f"{file}:{line}: a mark is one of {', '.join(sorted(MARKS))}, not {text!r}")
    if words[0] in {"file", "needs", "none"} and len(words) == 1:
        raise MarkError(f"{file}:{line}: {words[0]!r} needs a word that says which, or why")
    return words


def _body(file: Path, number: int, fence: re.Match[str], lines: list[tuple[int, str]]) -> str:
    indent, ticks = len(fence[1]), fence[2]
    body: list[str] = []
    while lines:
        _, line = lines.pop(0)
        if line.strip().startswith(ticks) and not line.strip().strip(ticks[0]):
            return "".join(f"{kept[indent:]}\n" for kept in body)
        body.append(line)
    raise MarkError(f"{file}:{number}: the fence is not closed")


def _checked(block: Block) -> Block:
    if block.language in SHELLS and not block.mark:
        raise MarkError(
            f"{block}: a {block.language} block needs a mark that says how it is tested"
        )
    return block


def pages(folder: Path) -> Iterator[Path]:
    """Yield the Markdown files below a folder, by name."""
    yield from sorted(folder.rglob("*.md"))


def missing(output: str, expected: str) -> Sequence[str]:
    """Return the expected lines that are not in the output, in order; ``...`` stands for anything.

    Blanks count as one, because the width of columns depends on values.
    """
    seen = [_squeezed(line) for line in output.splitlines()]
    for position, line in enumerate(expected.splitlines()):
        pattern = re.compile(".*".join(re.escape(part) for part in _squeezed(line).split("...")))
        index = next((i for i, text in enumerate(seen) if pattern.fullmatch(text)), None)
        if index is None:
            return expected.splitlines()[position:]
        seen = seen[index + 1 :]
    return []


def _squeezed(line: str) -> str:
    return " ".join(line.split())
