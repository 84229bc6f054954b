"""Cuts a release: a branch with versions, changelogs and tags; the next versions on the main branch.

Everything is prepared as git objects that nothing refers to yet, beside the working tree. Then the intent
is written
down, all references of the remote are moved in one atomic push, and those of the clone after it. Killed
before the
intent, nothing has happened; killed after it, the next run completes exactly that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from calico_release import fragments, packages, plan, render
from calico_release.commands import ReleaseError, run
from calico_release.git import Git, head, tag_reference
from calico_release.plan import Plan, Release, State

VERSIONS = "release/versions.toml"
_CONFIG = Path(__file__).with_name("towncrier.toml")
_INTENT = "calico-release.json"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a release goes.

    Attributes:
        remote: name of the remote in the clone.
        main: the branch that is released.
    """

    remote: str = "origin"
    main: str = "main"


@dataclass(frozen=True, slots=True)
class Intent:
    """The references that are to be moved, at the remote and in the clone."""

    remote: str
    main: str
    references: dict[str, str]


def state(root: Path) -> State:
    """Return what a plan of this tree is made from.

    Raises:
        ReleaseError: it is no git repository.
        MetadataError, FragmentError: a file of the tree cannot be used.
    """
    git, known = Git(root), packages.read(root)
    tags = git.tags()
    found = State(
        known,
        {name: fragments.read(root / package.folder) for name, package in known.items()},
        tags,
        (),
        render.next_number(_text(root / VERSIONS)),
    )
    changed = [name for name, package in known.items() if _changed(git, found, package)]
    return State(known, found.fragments, tags, changed, found.number)


def _changed(git: Git, known: State, package: packages.Package) -> bool:
    last = known.last(package.name)
    if last is None:
        return True
    return git.changed_since(f"{package.name}-v{last}", f"{package.folder}/src")


def cut(
    root: Path,
    target: Target,
    date: str,
    only: Collection[str] = (),
    *,
    dry_run: bool,
    say: Callable[[str], None],
) -> None:
    """Cut the release, or complete one that was interrupted.

    Args:
        root: root of the clone.
        target: remote and branch.
        date: for the changelogs, ISO 8601.
        only: see :func:`.plan.plan`.
        dry_run: prepare everything, ask the remote whether it would take it, and change nothing.
        say: tells a person.

    Raises:
        ReleaseError: it must not be cut; the text says why, and nothing has changed.
    """
    git = Git(root)
    intent = _pending(git)
    if intent is not None:
        say(f"completing the cut that was interrupted: {', '.join(intent.references)}")
        _complete(git, intent, dry_run=dry_run)
        return
    _must_be_ready(git, target)
    made = plan.plan(state(root), only)
    say(render.table(made))
    if made.problems:
        raise ReleaseError("nothing was cut; the problems are listed above")
    _must_be_free(git, target, made)
    intent = Intent(target.remote, target.main, _prepare(git, target, made, date, say))
    if dry_run:
        git.push(intent.remote, intent.references, dry_run=True)
        say("dry run: nothing was changed")
        return
    _write(git.common(_INTENT), json.dumps(asdict(intent)))
    _complete(git, intent, dry_run=False)
    say(f"cut: branch {made.branch}, {len(made.releases)} tags, {target.main} moved on")


def _must_be_ready(git: Git, target: Target) -> None:
    if git.branch() != target.main:
        raise ReleaseError(f"{git.root}: check out {target.main} first; a release is cut from it")
    changes = git.changes()
    if changes:
        raise ReleaseError(
            f"{git.root}: the working tree has changes; commit or remove them:\n"
            + "\n".join(changes)
        )


def _must_be_free(git: Git, target: Target, made: Plan) -> None:
    there = git.remote_references(target.remote)
    wanted = [head(made.branch), *(tag_reference(release.tag) for release in made.releases)]
    taken = [name for name in wanted if name in there or git.sha(name)]
    if taken:
        raise ReleaseError(f"exists already: {', '.join(taken)}; get the tags: git fetch --tags")
    upstream, here = there.get(head(target.main)), git.sha("HEAD")
    if upstream is not None and upstream != here:
        raise ReleaseError(
            f"{target.main} here is not {target.main} of {target.remote}: pull and push, then cut again"
        )


def _prepare(
    git: Git, target: Target, made: Plan, date: str, say: Callable[[str], None]
) -> dict[str, str]:
    names = ", ".join(f"{r.package.name} {r.version}" for r in made.releases)
    with git.worktree("HEAD") as tree:
        for release in made.releases:
            _release_texts(tree.root, release, date)
        pins = tree.root / VERSIONS
        _write(pins, render.pinned(_text(pins), made, date))
        released = _commit(tree, f"Release {made.number}: {names}")
        say(tree("show", "--stat", "--format=%n%s%n", released))
        for release in made.releases:
            _rewrite(tree.root, release, str(release.following), {})
        following = _commit(tree, f"Development goes on after release {made.number}")
    tags = {
        tag_reference(r.tag): git.make_tag(r.tag, released, f"{r.package.name} {r.version}")
        for r in made.releases
    }
    return {head(made.branch): released, head(target.main): following, **tags}


def _release_texts(root: Path, release: Release, date: str) -> None:
    folder = root / release.package.folder
    _rewrite(root, release, str(release.version), release.requirements)
    log = folder / "CHANGELOG.md"
    _write(log, render.changelog(_text(log)))
    if release.note is not None:
        (folder / fragments.FOLDER).mkdir(exist_ok=True)
        _write(folder / fragments.FOLDER / "+needs.fix.md", release.note + "\n")
    command = [
        sys.executable,
        "-m",
        "towncrier",
        "build",
        "--yes",
        "--config",
        str(_CONFIG),
        "--dir",
        str(folder),
    ]
    details = ["--name", release.package.name, "--version", str(release.version), "--date", date]
    run([*command, *details], cwd=root)


def _rewrite(root: Path, release: Release, version: str, requirements: Mapping[str, str]) -> None:
    path = root / release.package.folder / "pyproject.toml"
    try:
        _write(path, render.pyproject(_text(path), version, requirements))
    except packages.MetadataError as error:
        raise ReleaseError(f"{release.package.folder}/pyproject.toml: {error}") from error


def _commit(tree: Git, message: str) -> str:
    tree("add", "--all")
    tree("commit", "--quiet", "--no-verify", "-m", message)
    return tree("rev-parse", "HEAD")


def _complete(git: Git, intent: Intent, *, dry_run: bool) -> None:
    if not _is_pushed(git, intent):
        try:
            git.push(intent.remote, intent.references, dry_run=dry_run)
        except ReleaseError:
            # Refused as a whole: there is nothing to complete. If the remote cannot say so, the intent stays.
            if not _is_pushed(git, intent):
                git.common(_INTENT).unlink(missing_ok=True)
            raise
    if dry_run:
        return
    main = head(intent.main)
    git.move({name: sha for name, sha in intent.references.items() if name != main})
    git("merge", "--quiet", "--ff-only", intent.references[main])
    git.common(_INTENT).unlink(missing_ok=True)


def _is_pushed(git: Git, intent: Intent) -> bool:
    there = git.remote_references(intent.remote)
    main = head(intent.main)  # may have moved on since
    return all(there.get(name) == sha for name, sha in intent.references.items() if name != main)


def _pending(git: Git) -> Intent | None:
    path = git.common(_INTENT)
    if not path.exists():
        return None
    try:
        return Intent(**json.loads(_text(path)))
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"{path}: {error}; remove it if no cut was interrupted") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write(path: Path, text: str) -> None:
    # In one step, for a half-written intent would be none.
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
