"""What the Makefile says of packages that are not there."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def make(*arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES", "PKG")}
    command = ["make", "--dry-run", "--no-print-directory", "-C", str(ROOT), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("package", "said"),
    [("calico-nod", "unknown package calico-nod; known are libcalico"), ("", "PKG= is empty")],
)
def test_packages_that_are_not_there_are_an_error_and_nothing_is_tested(package, said):
    done = make("layers", f"PKG={package}")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_folder_may_end_as_a_shell_completes_it():
    done = make("--old-file=.venv/.installed", "types", "PKG=calico-cni/")
    assert (done.returncode, done.stderr) == (0, "")
    assert "for p in calico-cni;" in done.stdout
