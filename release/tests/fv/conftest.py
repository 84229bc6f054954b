"""A small tree of two packages in a clone with a remote, both on disk."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """[build-system]
requires = ["hatchling>=1.21"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0.dev0"
description = "A package of a test"
readme = "README.md"
requires-python = ">=3.11"
dependencies = [{needs}]
{more}
[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
SCRIPT = '\n[project.scripts]\nbeta-tool = "beta_tool:main"\n'
MAIN = """from importlib.metadata import version


def main():
    print(version("beta-tool"))
"""


class Clone:
    """A clone and what is done with it."""

    def __init__(self, root: Path, remote: Path) -> None:
        self.root, self.remote = root, remote

    def git(self, *arguments: str, at: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=at or self.root, capture_output=True, text=True, check=True
        ).stdout.strip()

    def release(self, *arguments: str, code: int = 0, env: dict | None = None) -> str:
        """Run calico-release here; return all it said."""
        done = subprocess.run(
            [sys.executable, "-m", "calico_release.cli", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env=env,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def add_fragment(self, package: str, name: str, text: str) -> None:
        (self.root / package / "changes" / name).write_text(text + "\n")

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "main")

    def references(self) -> dict[str, str]:
        """All references of clone and remote: what a refused step must not change."""
        return {
            f"{where}:{line}": ""
            for where in (self.root, self.remote)
            for line in self.git("for-each-ref", at=where).splitlines()
        }

    def show(self, revision: str, path: str) -> str:
        return self.git("show", f"{revision}:{path}")


def make_package(root: Path, name: str, needs: str = "", more: str = "", code: str = "") -> None:
    module, folder = name.replace("-", "_"), root / name
    (folder / "src" / module).mkdir(parents=True)
    (folder / "changes").mkdir()
    (folder / "changes" / ".gitkeep").touch()
    (folder / "src" / module / "__init__.py").write_text(f'"""A test."""\n\n{code}')
    (folder / "README.md").write_text(f"# {name}\n")
    (folder / "CHANGELOG.md").write_text(f"# Changelog of {name}\n\nNothing is released yet.\n")
    (folder / "pyproject.toml").write_text(
        PROJECT.format(name=name, needs=needs, more=more, module=module)
    )


@pytest.fixture
def clone(tmp_path, monkeypatch):
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    root, remote = tmp_path / "clone", tmp_path / "remote.git"
    made = Clone(root, remote)
    made.git("init", "-q", "--bare", "-b", "main", str(remote), at=tmp_path)
    made.git("init", "-q", "-b", "main", str(root), at=tmp_path)
    made.git("remote", "add", "origin", str(remote))
    make_package(root, "alpha-lib")
    make_package(root, "beta-tool", '"alpha-lib>=0.1.0.dev0,<0.2"', SCRIPT, MAIN)
    (root / "release").mkdir()
    (root / "release" / "versions.toml").write_text("# Sets of versions.\n")
    (root / ".gitignore").write_text("build/\n")
    made.add_fragment("alpha-lib", "+first.feature.md", "It exists.")
    made.add_fragment("beta-tool", "+first.feature.md", "It says its version.")
    made.commit("a tree")
    return made
