"""The commit that a release names, and what takes its place elsewhere."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from calicoctl import revision

ROOT = Path(__file__).parents[3]
FILE = "calicoctl/src/calicoctl/revision.py"


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True)
    return done.stdout


def test_a_working_copy_has_none():
    assert revision.commit() == "unknown"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a clone")
def test_an_archive_has_the_commit_it_was_made_of():
    head = git("rev-parse", "HEAD").decode().strip()
    archive = io.BytesIO(git("archive", "HEAD", FILE))
    with tarfile.open(fileobj=archive) as tar:
        text = tar.extractfile(FILE).read().decode()
    names = {}
    exec(compile(text, FILE, "exec"), names)
    assert names["commit"]() == head
