"""Builds a source distribution and a wheel of each package, from a commit, never from a dirty tree.

What was built is on record in ``manifest.json`` beside it; a run after an interrupted one builds only what
is missing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from calico_release import packages
from calico_release.commands import ReleaseError, run
from calico_release.git import Git
from calico_release.packages import Package

MANIFEST = "manifest.json"


@dataclass(slots=True)
class Manifest:
    """What a folder of built files holds.

    Attributes:
        commit: what they were built from.
        files: distribution name → file name → SHA-256 of the file, in hexadecimal.
    """

    commit: str
    files: dict[str, dict[str, str]] = field(default_factory=dict)


def read(out: Path) -> Manifest:
    """Return the record of a folder.

    Raises:
        ReleaseError: there is none, it is unreadable, or a file is not what was built.
    """
    path = out / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ReleaseError(f"{path}: {error.strerror}; run calico-release build") from error
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"{path}: {error}; remove {out} and build again") from error
    for files in manifest.files.values():
        for name, digest in files.items():
            if not _is(out / name, digest):
                raise ReleaseError(f"{out / name} is not the file that was built; build again")
    return manifest


def wheel(out: Path, manifest: Manifest, name: str) -> Path:
    """Return the path of a package's wheel."""
    return out / next(file for file in manifest.files[name] if file.endswith(".whl"))


def build(
    root: Path,
    out: Path,
    revision: str,
    only: Collection[str] = (),
    *,
    dry_run: bool,
    say: Callable[[str], None],
) -> None:
    """Build and check the packages of a revision.

    Args:
        root: root of the clone.
        out: where the files go; files of another commit there are removed.
        revision: what to build, a tag or ``HEAD``.
        only: names of packages; all when empty.
        dry_run: say what would be built.
        say: tells a person.

    Raises:
        ReleaseError: there is no such revision or package, or a build or its check failed.
    """
    git = Git(root)
    commit = git.sha(f"{revision}^{{commit}}")
    if commit is None:
        raise ReleaseError(f"{root}: there is no revision {revision}")
    epoch = git("show", "--no-patch", "--format=%ct", commit)
    with TemporaryDirectory(prefix="calico-release-") as folder:
        source = Path(folder) / "source"
        _export(git, commit, source)
        chosen = _chosen(packages.read(source), only)
        manifest = _begin(out, commit, dry_run=dry_run)
        for package in chosen:
            known = manifest.files.get(package.name, {})
            if known and all(_is(out / name, digest) for name, digest in known.items()):
                say(f"{package.name} {package.version}: is built")
            elif dry_run:
                say(f"{package.name} {package.version}: would be built")
            else:
                manifest.files[package.name] = _build(source / package.folder, out, epoch)
                _save(out, manifest)
                say(f"{package.name} {package.version}: {', '.join(manifest.files[package.name])}")


def _export(git: Git, commit: str, source: Path) -> None:
    archive = source.with_suffix(".tar")
    git("archive", "--format=tar", f"--output={archive}", commit)
    source.mkdir()
    run(["tar", "--extract", f"--file={archive}", f"--directory={source}"])


def _chosen(known: dict[str, Package], only: Collection[str]) -> list[Package]:
    unknown = sorted(set(only) - known.keys())
    if unknown:
        raise ReleaseError(f"there is no package {', '.join(unknown)}")
    return [package for package in packages.in_order(known) if not only or package.name in only]


def _begin(out: Path, commit: str, *, dry_run: bool) -> Manifest:
    path = out / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        manifest = Manifest("")
    if manifest.commit == commit:
        return manifest
    if not dry_run:
        # Only what a manifest names is ours to remove.
        for files in manifest.files.values():
            for name in files:
                (out / name).unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    return Manifest(commit)


def _build(package: Path, out: Path, epoch: str) -> dict[str, str]:
    with TemporaryDirectory(prefix="calico-release-") as folder:
        # Without isolation: the builder is a dependency of ours, so its version is known and no index is
        # asked.
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder]
        run([*command, str(package)], env={"SOURCE_DATE_EPOCH": epoch})
        files = sorted(Path(folder).iterdir())
        run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)])
        for file in files:
            shutil.move(file, out / file.name)
    return {file.name: _digest(out / file.name) for file in files}


def _save(out: Path, manifest: Manifest) -> None:
    part = out / f"{MANIFEST}.part"
    part.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    part.replace(out / MANIFEST)


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and _digest(path) == digest


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
