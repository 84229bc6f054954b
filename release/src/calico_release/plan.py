"""What a release would be: from packages, fragments and what was released, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from calico_release import versions
from calico_release.fragments import Fragment
from calico_release.packages import Package, in_order
from calico_release.versions import Level, VersionError


@dataclass(frozen=True, slots=True)
class State:
    """What a plan is made from.

    Attributes:
        packages: distribution name → package.
        fragments: distribution name → changes that are not released.
        tags: all tags of the repository.
        changed: names of packages whose code changed since their last release.
        number: number of the set of versions that is to be released, from 1.
    """

    packages: Mapping[str, Package]
    fragments: Mapping[str, Sequence[Fragment]]
    tags: Collection[str]
    changed: Collection[str]
    number: int

    def last(self, name: str) -> Version | None:
        """Return the last released version of a package."""
        known = [versions.parse_tag(tag) for tag in self.tags]
        return max((found[1] for found in known if found and found[0] == name), default=None)


@dataclass(frozen=True, slots=True)
class Release:
    """One package's release.

    Attributes:
        package: as it is in the tree.
        last: the version released before, if there is one.
        version: the version to release.
        following: what the tree is called afterwards.
        requirements: requirement as written → as released, where they differ.
        why: for people.
        note: what the changelog is to say where no fragment says it.
    """

    package: Package
    last: Version | None
    version: Version
    following: Version
    requirements: Mapping[str, str]
    why: str
    note: str | None = None

    @property
    def tag(self) -> str:
        """The tag of this release."""
        return versions.tag(self.package.name, self.version)


@dataclass(frozen=True, slots=True)
class Plan:
    """A set of releases, in the order of publishing, and what stands against it."""

    number: int
    releases: tuple[Release, ...]
    problems: tuple[str, ...]
    pins: Mapping[str, str] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        """The branch that keeps the released tree."""
        return f"release-{self.number}"


def plan(state: State, only: Collection[str] = ()) -> Plan:
    """Return the plan.

    Args:
        state: the tree and its history.
        only: leave other packages out, except those that a new version of a sibling forces along.

    A package is due when a fragment tells of a change, or when the new version of a sibling is outside the
    range that it
    claims. What makes a release impossible becomes a problem, never an exception, so that all are seen at
    once.

    Raises:
        MetadataError: packages need each other in a circle.
    """
    problems = [f"there is no package {name}" for name in only if name not in state.packages]
    releases: dict[str, Release] = {}
    for package in in_order(state.packages):
        wanted = not only or package.name in only
        try:
            release = _release(state, package, releases, wanted=wanted)
        except VersionError as error:
            problems.append(f"{package.name}: {error}")
            continue
        if release is not None:
            releases[package.name] = release
            problems += [f"tag {release.tag} exists"] * (release.tag in state.tags)
        elif wanted and package.name in state.changed:
            problems.append(_silent(state, package))
    if not releases and not problems:
        problems.append("nothing to release: no package has fragments")
    return Plan(state.number, tuple(releases.values()), tuple(problems), _pins(state, releases))


def _silent(state: State, package: Package) -> str:
    since = "was never released" if state.last(package.name) is None else "changed"
    return (
        f"{package.name} {since}, and no fragment says what an operator gets:"
        f" write {package.folder}/changes/+slug.KIND.md, or name the other packages with --only"
    )


def _release(
    state: State, package: Package, before: Mapping[str, Release], *, wanted: bool
) -> Release | None:
    fragments = state.fragments.get(package.name, ()) if wanted else ()
    siblings = _siblings(state, package)
    forced = [
        before[name]
        for name, text in siblings.items()
        if name in before and not versions.allows(text, before[name].version)
    ]
    if not fragments and not forced:
        return None
    last = state.last(package.name)
    level = max((fragment.level for fragment in fragments), default=Level.PATCH)
    version = versions.released(versions.development(package.version), last, level)
    needed = ", ".join(f"{other.package.name} {other.version}" for other in forced)
    return Release(
        package,
        last,
        version,
        versions.next_development(version),
        _claims(state, siblings, before),
        _why(fragments, needed),
        None if fragments else f"Needs {needed}.",
    )


def _siblings(state: State, package: Package) -> dict[str, str]:
    parsed = {versions.requirement(text).name: text for text in package.requirements}
    return {name: text for name, text in parsed.items() if name in state.packages}


def _claims(
    state: State, siblings: Mapping[str, str], before: Mapping[str, Release]
) -> dict[str, str]:
    claims = {}
    for name, text in siblings.items():
        available = before[name].version if name in before else state.last(name)
        if available is None:
            raise VersionError(f"it needs {name}, which is not released: release it along")
        if versions.is_below(available, text):
            raise VersionError(
                f"it needs {text}, and {available} is the last: release {name} along"
            )
        if versions.is_provisional(text) or not versions.allows(text, available):
            claims[text] = versions.claim(text, available)
    return claims


def _why(fragments: Sequence[Fragment], needed: str) -> str:
    kinds: dict[str, int] = {}
    for fragment in fragments:
        kinds[fragment.kind] = kinds.get(fragment.kind, 0) + 1
    reasons = [f"{count} {kind}" for kind, count in sorted(kinds.items())]
    return ", ".join(reasons + ([f"needs {needed}"] if needed else []))


def _pins(state: State, releases: Mapping[str, Release]) -> dict[str, str]:
    pins = {}
    for name in sorted(state.packages):
        version = releases[name].version if name in releases else state.last(name)
        if version is not None:
            pins[name] = str(version)
    return pins
