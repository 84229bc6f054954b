"""Builds the site and checks it: warnings are errors, and no link leads nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from calico_docs import blocks, links


class SiteError(Exception):
    """The site cannot be built, or something in it is wrong; the text says what."""


def check_links(root: Path) -> int:
    """Follow the relative links of all Markdown files under version control; return how many files there are.

    Raises:
        SiteError: a link leads nowhere, or git cannot list the files.
    """
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], root)
    files = [root / name for name in listed.splitlines() if (root / name).exists()]
    # Pages link to pages that are made when the site is built: MkDocs checks theirs.
    pages = root / "docs" / "pages"
    outside = [file for file in files if not file.is_relative_to(pages)]
    broken = links.broken(root, iter(outside))
    if broken:
        raise SiteError("links that lead nowhere:\n" + "\n".join(map(str, broken)))
    return len(files)


def check_marks(root: Path) -> int:
    """Look whether every block that a reader types says how it is tested; return how many blocks there are.

    Raises:
        SiteError: one does not.
    """
    try:
        return sum(
            len(blocks.blocks(path, path.read_text(encoding="utf-8")))
            for path in blocks.pages(root / "docs" / "pages")
        )
    except blocks.MarkError as error:
        raise SiteError(str(error)) from error


def build(root: Path, out: Path) -> None:
    """Build the site into a folder.

    Raises:
        SiteError: MkDocs warned or failed.
    """
    config = root / "docs" / "mkdocs.yml"
    # Not --quiet: MkDocs counts only the warnings that it prints.
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    _run([*argv, "--config-file", str(config), "--site-dir", str(out.resolve())], root)


def _run(argv: list[str], root: Path) -> str:
    # The variable silences an announcement of the theme, which would count as output.
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(f"{' '.join(argv)}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout
