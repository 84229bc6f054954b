"""Versions: what a change raises, and which range of a sibling a package may claim.

Versions are semantic, ``X.Y.Z``, with ``.dev0`` between releases. The leftmost number that is not zero is the
one that says "may break": below 1.0 a removal raises the second number and everything else the third.
"""

from __future__ import annotations

import enum
import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

_TAG = re.compile(r"(?P<name>.+)-v(?P<version>\d+\.\d+\.\d+)")
_DEVELOPMENT = re.compile(r"\d+\.\d+\.\d+\.dev0")


class VersionError(Exception):
    """A version or a requirement has no form that a release can start from."""


class Level(enum.IntEnum):
    """How much a change moves what others rely on."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


def development(text: str) -> Version:
    """Return the version between releases that the text is.

    Raises:
        VersionError: it is not of the form ``X.Y.Z.dev0``.
    """
    if not _DEVELOPMENT.fullmatch(text):
        raise VersionError(f"version {text!r} is not of the form X.Y.Z.dev0")
    return Version(text)


def bumped(last: Version, level: Level) -> Version:
    """Return the next version after a released one."""
    major, minor, patch = last.release
    if major == 0:
        level = Level(max(level - 1, Level.PATCH))
    if level is Level.MAJOR:
        return Version(f"{major + 1}.0.0")
    if level is Level.MINOR:
        return Version(f"{major}.{minor + 1}.0")
    return Version(f"{major}.{minor}.{patch + 1}")


def released(now: Version, last: Version | None, level: Level) -> Version:
    """Return the version to release.

    Args:
        now: the ``.dev0`` version in the tree; whoever wants more than the changes ask for raises it by hand.
        last: the last released version, if there is one.
        level: the largest level of the changes since then.
    """
    base = Version(now.base_version)
    return base if last is None else max(base, bumped(last, level))


def next_development(version: Version) -> Version:
    """Return what the tree is called after a release: it stays inside the range of :func:`claim`."""
    return Version(f"{bumped(version, Level.PATCH)}.dev0")


def ceiling(version: Version) -> str:
    """Return the first version that may break what was written for this one."""
    major, minor, _ = version.release
    return f"{major + 1}" if major else f"0.{minor + 1}"


def requirement(text: str) -> Requirement:
    """Return the parsed requirement.

    Raises:
        VersionError: it cannot be parsed.
    """
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise VersionError(f"dependency {text!r}: {error}") from error


def allows(text: str, version: Version) -> bool:
    """Say whether a requirement's range holds the version."""
    return requirement(text).specifier.contains(version, prereleases=True)


def is_provisional(text: str) -> bool:
    """Say whether a requirement names a version between releases, which no index has."""
    return any(Version(part.version).is_prerelease for part in requirement(text).specifier)


def is_below(version: Version, text: str) -> bool:
    """Say whether a requirement asks for more than the version."""
    floors = [
        p.version for p in requirement(text).specifier if p.operator in {">=", ">", "==", "~="}
    ]
    return any(version < Version(floor.removesuffix(".*")) for floor in floors)


def claim(text: str, version: Version) -> str:
    """Return the requirement with the range from ``version`` up to what may break."""
    parsed = requirement(text)
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    marker = f"; {parsed.marker}" if parsed.marker else ""
    return f"{parsed.name}{extras}>={version},<{ceiling(version)}{marker}"


def tag(name: str, version: Version) -> str:
    """Return the tag of a package's release."""
    return f"{name}-v{version}"


def parse_tag(text: str) -> tuple[str, Version] | None:
    """Return name and version of a release's tag; None for any other tag."""
    match = _TAG.fullmatch(text)
    return (match["name"], Version(match["version"])) if match else None
