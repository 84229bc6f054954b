"""Two forms of one object → what differs, field by field. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from calicoctl import printers
from libcalico.resources.model import ResourceId

Document = Mapping[str, Any]
Word = Literal["created", "changed", "deleted", "unchanged", "refused"]


class _Nothing:
    """Stands for a field that is not there."""


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field (``spec.ingress[0].action``) and its two values; NOTHING where it is not there."""

    path: str
    before: Any
    after: Any

    def text(self) -> str:
        """Return it in one line."""
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Change:
    """An object before and after; None where it does not exist.

    Attributes:
        refused: whether something that was to become of it will not.
    """

    which: ResourceId
    before: Document | None
    after: Document | None
    refused: bool = False

    @property
    def word(self) -> Word:
        """What became of it."""
        if self.before == self.after:
            return "refused" if self.refused else "unchanged"
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "changed"


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Yield what differs, as deep down as possible, in the order of the fields' names."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            yield from differences(before.get(name, NOTHING), after.get(name, NOTHING), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one, other = ((side[index : index + 1] or [NOTHING])[0] for side in (before, after))
            yield from differences(one, other, f"{path}[{index}]")
    elif not _same(before, after):
        yield Difference(path, before, after)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _shown(value: Any) -> str:
    return "(none)" if value is NOTHING else json.dumps(value, ensure_ascii=False)


def report(changes: Sequence[Change]) -> str:
    """Return what would become of each object, and how many there are of each sort."""
    lines: list[str] = []
    for change in changes:
        lines.append(f"{change.word:<11}{change.which}")
        if change.word == "changed":
            lines += [f"  {d.text()}" for d in differences(change.before, change.after)]
    words: list[Word] = ["created", "changed", "unchanged"]
    words += ["refused"] if any(change.word == "refused" for change in changes) else []
    counts = ", ".join(f"{sum(c.word == word for c in changes)} {word}" for word in words)
    return "\n".join([*lines, f"Dry run: {counts}; nothing was written"])


def unified(change: Change) -> str:
    """Return the difference of an object as ``diff -u`` shows it; empty if there is none."""
    before, after = (
        [] if side is None else printers.as_yaml(dict(side)).splitlines(keepends=True)
        for side in (change.before, change.after)
    )
    names = (f"datastore: {change.which}", f"manifest: {change.which}")
    return "".join(difflib.unified_diff(before, after, *names))
