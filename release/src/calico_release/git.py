"""What releases need of git: facts of a clone, commits beside the working tree, atomic updates of refs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from calico_release.commands import ReleaseError, run

_WORKTREE = "calico-release-tree"
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


class Git:
    """One clone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run git and return what it printed, without the last line end."""
        return run(["git", *arguments], cwd=self.root, stdin=stdin).rstrip("\n")

    def sha(self, revision: str) -> str | None:
        """Return the object that a revision names; None if there is none."""
        try:
            return self("rev-parse", "--verify", "--quiet", revision)
        except ReleaseError:
            return None

    def branch(self) -> str:
        """Return the branch that is checked out; empty when none is."""
        return self("branch", "--show-current")

    def tags(self) -> frozenset[str]:
        """Return the tags of the clone."""
        return frozenset(self("tag", "--list").split())

    def changes(self) -> list[str]:
        """Return what the working tree has beyond the last commit, ignored files left out."""
        return self("status", "--porcelain").splitlines()

    def changed_since(self, revision: str, folder: str) -> bool:
        """Say whether committed files of the folder changed since the revision."""
        return bool(self("diff", "--name-only", revision, "HEAD", "--", folder))

    def common(self, name: str) -> Path:
        """Return the path of a file in the repository's own folder."""
        return self.root / self("rev-parse", "--git-common-dir") / name

    def remote_references(self, remote: str) -> dict[str, str]:
        """Return reference → object of a remote.

        Raises:
            ReleaseError: it cannot be reached.
        """
        lines = (line.split("\t") for line in self("ls-remote", remote).splitlines())
        return {name: sha for sha, name in lines}

    def make_tag(self, name: str, commit: str, message: str) -> str:
        """Write an annotated tag's object, without a reference to it, and return its name."""
        tagger = self("var", "GIT_COMMITTER_IDENT")
        text = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}\n"
        return self("mktag", stdin=text)

    def move(self, references: Mapping[str, str]) -> None:
        """Set references, all or none."""
        commands = "".join(f"update {name} {sha}\n" for name, sha in references.items())
        self("update-ref", "--stdin", stdin=f"start\n{commands}prepare\ncommit\n")

    def push(self, remote: str, references: Mapping[str, str], *, dry_run: bool) -> None:
        """Set references of a remote, all or none; never one that is not an ancestor of the new value."""
        flags = ["--dry-run"] if dry_run else []
        pairs = [f"{sha}:{name}" for name, sha in references.items()]
        self("push", "--quiet", "--atomic", *flags, remote, *pairs)

    @contextmanager
    def worktree(self, revision: str) -> Iterator[Git]:
        """Check a revision out inside the repository's own folder, for as long as the context lasts.

        What a killed process left of an earlier one is removed first.
        """
        path = self.common(_WORKTREE).resolve()
        self._remove(path)
        self("worktree", "add", "--quiet", "--detach", str(path), revision)
        try:
            yield Git(path)
        finally:
            self._remove(path)

    def _remove(self, worktree: Path) -> None:
        if worktree.exists():
            shutil.rmtree(worktree)
        self("worktree", "prune")


def head(name: str) -> str:
    """Return the reference of a branch."""
    return _HEADS + name


def tag_reference(name: str) -> str:
    """Return the reference of a tag."""
    return _TAGS + name
