"""The packages of a tree, as their ``pyproject.toml`` files describe them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class MetadataError(Exception):
    """A package's metadata cannot be used; the text names file and field."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package.

    Attributes:
        folder: name of its folder in the tree.
        needs: names of the distributions that it depends on, of this tree or not.
        requirements: the same as written, with ranges.
    """

    folder: str
    name: str
    version: str
    needs: frozenset[str]
    requirements: tuple[str, ...] = ()


def read(root: Path) -> dict[str, Package]:
    """Return distribution name → package for every folder of ``root`` with a ``pyproject.toml``.

    Raises:
        MetadataError: there is none; a file is unreadable or lacks a field; two have one name.
    """
    packages: dict[str, Package] = {}
    for path in sorted(root.glob("*/pyproject.toml")):
        try:
            package = parse(path.parent.name, path.read_text(encoding="utf-8"))
        except (OSError, ValueError, MetadataError) as error:
            raise MetadataError(f"{path}: {error}") from error
        if package.name in packages:
            raise MetadataError(f"{path}: {package.name} is also {packages[package.name].folder}")
        packages[package.name] = package
    if not packages:
        raise MetadataError(
            f"{root}: no packages are here; run it at the top of a clone of the tree"
        )
    return packages


def parse(folder: str, text: str) -> Package:
    """Return the package that the text of a ``pyproject.toml`` describes.

    Raises:
        MetadataError: a field is missing or of the wrong type.
        tomllib.TOMLDecodeError: it is no TOML.
    """
    project = tomllib.loads(text).get("project")
    if not isinstance(project, Mapping):
        raise MetadataError("there is no [project] table")
    needs = project.get("dependencies", [])
    if not isinstance(needs, Sequence) or isinstance(needs, str):
        raise MetadataError("project.dependencies is no list")
    return Package(
        folder,
        _text(project, "name"),
        _text(project, "version"),
        frozenset(distribution(need) for need in needs),
        tuple(needs),
    )


def _text(project: Mapping[str, object], field: str) -> str:
    value = project.get(field)
    if not isinstance(value, str) or not value:
        raise MetadataError(f"project.{field} is missing or no text")
    return value


def distribution(requirement: object) -> str:
    """Return the normalised name of the distribution that a requirement asks for.

    Raises:
        MetadataError: it names none.
    """
    match = _NAME.match(requirement) if isinstance(requirement, str) else None
    if match is None:
        raise MetadataError(f"project.dependencies: {requirement!r} names no distribution")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def in_order(packages: Mapping[str, Package]) -> list[Package]:
    """Return the packages so that each comes after those it needs.

    Raises:
        MetadataError: packages need each other in a circle.
    """
    waiting = dict(sorted(packages.items()))
    ordered: list[Package] = []
    while waiting:
        free = [p for p in waiting.values() if not p.needs & waiting.keys()]
        if not free:
            raise MetadataError(f"packages need each other in a circle: {', '.join(waiting)}")
        ordered += free
        for package in free:
            del waiting[package.name]
    return ordered
