"""Fragments: one file per user-visible change, ``PACKAGE/changes/+slug.KIND.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calico_release.versions import Level

#: kind → (heading in the changelog, what it raises), in the order of the changelog.
KINDS: Mapping[str, tuple[str, Level]] = {
    "security": ("Security", Level.PATCH),
    "removal": ("Removals", Level.MAJOR),
    "feature": ("Features", Level.MINOR),
    "fix": ("Fixes", Level.PATCH),
    "doc": ("Documentation", Level.PATCH),
}
FOLDER = "changes"
_NAME = re.compile(r"(?P<issue>\+?[A-Za-z0-9_-]+)\.(?P<kind>[a-z]+)(\.\d+)?\.md")


class FragmentError(Exception):
    """A fragment cannot be used; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One change: its file's name, its kind and its text."""

    file: str
    kind: str
    text: str

    @property
    def level(self) -> Level:
        """What the change raises."""
        return KINDS[self.kind][1]


def parse(file: str, text: str) -> Fragment:
    """Return the fragment in a file.

    Raises:
        FragmentError: the name has another form, the kind is unknown, or the text is empty.
    """
    match = _NAME.fullmatch(file)
    if match is None:
        raise FragmentError(f"{file}: name it +slug.KIND.md; KIND is one of {', '.join(KINDS)}")
    if match["kind"] not in KINDS:
        raise FragmentError(
            f"{file}: the kind {match['kind']!r} is none of {', '.join(KINDS)}; rename the file"
        )
    if not text.strip():
        raise FragmentError(f"{file}: it is empty; write one sentence for the operator")
    return Fragment(file, match["kind"], text.strip())


def read(package: Path) -> list[Fragment]:
    """Return the fragments of a package's folder, by name.

    Raises:
        FragmentError: a file is none, or cannot be read.
    """
    found = []
    for path in sorted((package / FOLDER).glob("[!.]*")):
        try:
            found.append(parse(path.name, path.read_text(encoding="utf-8")))
        except FragmentError as error:
            raise FragmentError(f"{path.parent}/{error}") from error
        except (OSError, UnicodeError) as error:
            raise FragmentError(f"{path}: {error}") from error
    return found
