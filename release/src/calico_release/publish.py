"""Uploads what was built, file by file and in the order of need; what the index has already is left alone."""

from __future__ import annotations

import base64
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import unquote

from packaging.version import Version

from calico_release import build
from calico_release.commands import ReleaseError, run

_FILE = re.compile(r"""href=["'][^"']*?([^/"'#]+)(?:#sha256=([0-9a-f]{64}))?["']""")
_TIMEOUT_S = 30


def publish(
    out: Path,
    upload_url: str,
    simple_url: str,
    only: Collection[str] = (),
    *,
    dry_run: bool,
    say: Callable[[str], None],
) -> None:
    """Publish what was built.

    Args:
        out: the folder of the built files.
        upload_url: where twine uploads to; user and password are in ``TWINE_USERNAME`` and
        ``TWINE_PASSWORD``.
        simple_url: the index's list of files (PEP 503), which says what is there already.
        only: names of packages; all that were built when empty.
        dry_run: say what would be uploaded.
        say: tells a person.

    Raises:
        ReleaseError: a version is between releases, the index has another file of that name, or refuses.
    """
    manifest = build.read(out)
    chosen = {name: files for name, files in manifest.files.items() if not only or name in only}
    unknown = sorted(set(only) - chosen.keys())
    if unknown:
        raise ReleaseError(f"{out}: not built: {', '.join(unknown)}")
    for files in chosen.values():
        _must_be_released(files)
    for name, files in chosen.items():
        there = listed(simple_url, name)
        for file, digest in files.items():
            say(f"{file}: {_upload(out / file, digest, there, upload_url, dry_run=dry_run)}")


def _must_be_released(files: Collection[str]) -> None:
    for file in files:
        version = Version(file.removesuffix(".tar.gz").split("-")[1])
        if version.is_prerelease:
            raise ReleaseError(f"{file} is between releases; cut a release and build its tag")


def _upload(
    path: Path, digest: str, there: dict[str, str | None], upload_url: str, *, dry_run: bool
) -> str:
    if path.name in there:
        if there[path.name] not in (digest, None):
            raise ReleaseError(
                f"the index has another {path.name}; a version is never published twice: release a new one"
            )
        return "is published"
    if dry_run:
        return "would be published"
    command = [
        sys.executable,
        "-m",
        "twine",
        "upload",
        "--non-interactive",
        "--disable-progress-bar",
    ]
    run([*command, "--repository-url", upload_url, str(path)])
    return "published"


def listed(simple_url: str, name: str) -> dict[str, str | None]:
    """Return file name → SHA-256, if the index tells it, of what an index has of a package.

    Raises:
        ReleaseError: the index cannot be asked.
    """
    url = f"{simple_url.rstrip('/')}/{name}/"
    if not url.startswith(("http://", "https://")):
        raise ReleaseError(f"{simple_url}: an index has an http:// or https:// address")
    request = urllib.request.Request(url, headers=_credentials())
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
            page = reply.read().decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise ReleaseError(f"{url}: {error.code} {error.reason}") from error
    except OSError as error:
        raise ReleaseError(f"{url}: {error}") from error
    return parse(page)


def parse(page: str) -> dict[str, str | None]:
    """Return file name → SHA-256, where given, of a page of an index."""
    return {unquote(name): digest or None for name, digest in _FILE.findall(page)}


def _credentials() -> dict[str, str]:
    user, password = os.environ.get("TWINE_USERNAME"), os.environ.get("TWINE_PASSWORD")
    if not user or not password:
        return {}
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}
