"""All packages of this tree are built, and each wheel installs alone and answers; with ``make st-full``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from calico_release.packages import in_order, read

ROOT = Path(__file__).parents[3]
NAMES = [package.name for package in in_order(read(ROOT))]
pytestmark = pytest.mark.skipif(
    os.environ.get("CALICO_TEST_FULL") != "1",
    reason="takes minutes and a package index: CALICO_TEST_FULL=1",
)


def release(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "calico_release.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    assert len(release("build", "--out", str(folder))) == len(NAMES)
    return str(folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_of_this_tree_installs_alone_and_answers(out, name):
    answer = release("verify", "--out", out, "--only", name)
    assert len(answer) == 1
    assert answer[0].startswith(f"{name}: ")
