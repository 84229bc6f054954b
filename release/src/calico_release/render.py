"""A plan as a table, as JSON, and as the texts that a release changes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping

from calico_release import packages
from calico_release.packages import MetadataError
from calico_release.plan import Plan, Release

#: Where towncrier writes.
MARKER = "<!-- towncrier release notes start -->\n"
_UNRELEASED = re.compile(r"^Nothing is released yet\..*\n*", re.MULTILINE)
_VERSION = re.compile(r'^version = "[^"]*"$', re.MULTILINE)


def table(plan: Plan) -> str:
    """Return the plan for people: a line per release, and what stands against it."""
    head = ("PACKAGE", "LAST", "RELEASE", "NEXT", "TAG", "WHY")
    rows = [head, *(_row(release) for release in plan.releases)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    text = "\n".join([f"release {plan.number}, branch {plan.branch}", "", *lines])
    if plan.problems:
        text += "\n\n" + "\n".join(f"problem: {problem}" for problem in plan.problems)
    return text


def _row(release: Release) -> tuple[str, ...]:
    return (
        release.package.name,
        str(release.last or "-"),
        str(release.version),
        str(release.following),
        release.tag,
        release.why,
    )


def as_json(plan: Plan) -> str:
    """Return the plan for programs."""
    return json.dumps(
        {
            "number": plan.number,
            "branch": plan.branch,
            "releases": [_object(release) for release in plan.releases],
            "pins": plan.pins,
            "problems": plan.problems,
        },
        indent=2,
    )


def _object(release: Release) -> dict[str, object]:
    return {
        "package": release.package.name,
        "folder": release.package.folder,
        "last": str(release.last) if release.last else None,
        "version": str(release.version),
        "next": str(release.following),
        "tag": release.tag,
        "requirements": dict(release.requirements),
        "why": release.why,
    }


def pyproject(text: str, version: str, requirements: Mapping[str, str]) -> str:
    """Return the text of a ``pyproject.toml`` with another version and other requirements, else untouched.

    Raises:
        MetadataError: the text has a form in which they were not found.
    """
    changed = _VERSION.sub(f'version = "{version}"', text, count=1)
    for old, new in requirements.items():
        changed = changed.replace(json.dumps(old), json.dumps(new))
    package = packages.parse("", changed)
    missing = set(requirements.values()) - set(package.requirements)
    if package.version != version or missing:
        raise MetadataError(
            'write version = "..." on a line of its own, dependencies in double quotes'
        )
    return changed


def changelog(text: str) -> str:
    """Return the changelog with the place where towncrier inserts, and without "nothing is released"."""
    if MARKER in text:
        return text
    title, _, rest = _UNRELEASED.sub("", text).partition("\n")
    return f"{title}\n\n{MARKER}{rest.lstrip()}"


def pinned(text: str, plan: Plan, date: str) -> str:
    """Return ``versions.toml`` with the plan's set of versions at its end."""
    pins = "".join(f'{name} = "{version}"\n' for name, version in plan.pins.items())
    return (
        f"{text.rstrip()}\n\n[[release]]\nnumber = {plan.number}\ndate = {date}\n\n"
        f"[release.packages]\n{pins}"
    )


def next_number(text: str) -> int:
    """Return the number after the last set in ``versions.toml``.

    Raises:
        MetadataError: it is no TOML, or a row has no number.
    """
    try:
        rows = tomllib.loads(text).get("release", [])
        return max((int(row["number"]) for row in rows), default=0) + 1
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise MetadataError(f"release/versions.toml: {error!r}") from error
