"""Find in logs what nobody announced: tracebacks, and lines of level ERROR or worse."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from calico_test.errors import HarnessError

_TRACEBACK = "Traceback (most recent call last):"
# Text logs of services and supervisord; BIRD (<ERR>, <FATAL>, <BUG>); JSON logs of etcd and others.
_SEVERE = re.compile(
    r"\b(ERROR|CRITICAL|FATAL|PANIC)\b|<(ERR|FATAL|BUG)>|\"level\":\s*\"(error|critical|fatal|panic)\""
    r"|^(Fatal Python error|panic:)"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One traceback or severe line.

    Attributes:
        log: name of the log.
        line: number of its first line, from 1.
        text: the line, or the whole traceback.
    """

    log: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.log}:{self.line}: {self.text}"


class UnannouncedProblems(HarnessError):  # noqa: N818  reads as what it is in a test's output
    """Logs hold problems that the test did not announce."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["the logs hold unannounced problems", *map(str, problems)]))


def find(log: str, text: str, announced: Iterable[str] = ()) -> list[Problem]:
    """Find the problems in a log.

    Args:
        log: its name, for the report.
        text: its contents.
        announced: regular expressions; a problem in which one is found was expected.
    """
    lines = text.splitlines()
    problems: list[Problem] = []
    index = 0
    while index < len(lines):
        end = _end_of_traceback(lines, index) if _TRACEBACK in lines[index] else index + 1
        block = "\n".join(lines[index:end])
        if _TRACEBACK in block or _SEVERE.search(block):
            problems.append(Problem(log, index + 1, block))
        index = end
    patterns = [re.compile(pattern) for pattern in announced]
    return [p for p in problems if not any(pattern.search(p.text) for pattern in patterns)]


def _end_of_traceback(lines: Sequence[str], start: int) -> int:
    """One past the line that names the exception: the first that is not indented deeper than the head."""
    head = lines[start]
    indent = len(head) - len(head.lstrip()) if head.lstrip().startswith("Traceback") else 0
    for index in range(start + 1, len(lines)):
        line = lines[index]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return index + 1
    return len(lines)


def check(paths: Iterable[Path], announced: Iterable[str] = ()) -> None:
    """Raise when one of these logs holds a problem that was not announced.

    Raises:
        UnannouncedProblems: with all of them.
    """
    patterns = list(announced)
    problems = [
        problem
        for path in sorted(paths)
        for problem in find(str(path), path.read_text(encoding="utf-8", errors="replace"), patterns)
    ]
    if problems:
        raise UnannouncedProblems(problems)
