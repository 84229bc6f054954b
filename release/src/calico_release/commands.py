"""Runs other programs: git, the builder, pip, twine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ReleaseError(Exception):
    """A step cannot be done; the text says where and what to do. Nothing is half-done."""


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run a program and return what it printed on standard output.

    Args:
        argv: the program and its arguments.
        cwd: where it runs.
        env: variables beside those of this process.
        stdin: what it reads.

    Raises:
        ReleaseError: it is not there, or failed; the text holds what it said.
    """
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ReleaseError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise ReleaseError(f"{' '.join(argv)}: {said}")
    return done.stdout
