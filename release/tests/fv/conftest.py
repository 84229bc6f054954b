"""A small tree of two packages in a clone with a remote, both on disk."""

import shutil
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

SERVER = """
import pathlib, sys
from wsgiref.simple_server import make_server
import pypiserver
from passlib.apache import HtpasswdFile

folder, passwords = map(pathlib.Path, sys.argv[1:])
file = HtpasswdFile(passwords, new=True)
file.set_password("user", "secret")
file.save()
app = pypiserver.app(
    roots=[folder],
    authenticate=["update", "list", "download"],
    password_file=str(passwords),
    disable_fallback=True,
)
with make_server("127.0.0.1", 0, app) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
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

    def references(self) -> set[str]:
        """All references of clone and remote: what a refused step must not change."""
        return {
            f"{where}:{line}"
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


@pytest.fixture(scope="session", autouse=True)
def _author():
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        yield


def make_clone(folder: Path) -> Clone:
    root, remote = folder / "clone", folder / "remote.git"
    made = Clone(root, remote)
    made.git("init", "-q", "--bare", "-b", "main", str(remote), at=folder)
    made.git("init", "-q", "-b", "main", str(root), at=folder)
    made.git("remote", "add", "origin", "../remote.git")
    make_package(root, "alpha-lib")
    make_package(root, "beta-tool", '"alpha-lib>=0.1.0.dev0,<0.2"', SCRIPT, MAIN)
    (root / "release").mkdir()
    (root / "release" / "versions.toml").write_text("# Sets of versions.\n")
    (root / ".gitignore").write_text("build/\n")
    made.add_fragment("alpha-lib", "+first.feature.md", "It exists.")
    made.add_fragment("beta-tool", "+first.feature.md", "It says its version.")
    made.commit("a tree")
    return made


def copied(clone: Clone, folder: Path) -> Clone:
    """The same clone and remote at another place: the remote is beside the clone."""
    for source in (clone.root, clone.remote):
        shutil.copytree(source, folder / source.name, symlinks=True)
    return Clone(folder / clone.root.name, folder / clone.remote.name)


@pytest.fixture(scope="session")
def _new_once(tmp_path_factory):
    return make_clone(tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="session")
def _built_once(_new_once, tmp_path_factory):
    made = copied(_new_once, tmp_path_factory.mktemp("built"))
    made.release("cut", "--date", "2026-01-31")
    made.release("build", "--revision", "release-1")
    return made


@pytest.fixture
def clone(_new_once, tmp_path):
    """A clone of two packages, of which nothing is released."""
    return copied(_new_once, tmp_path)


@pytest.fixture
def built(_built_once, tmp_path):
    """The same after the first release, built into its ``build/release``."""
    return copied(_built_once, tmp_path)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The addresses of an index on the loopback interface that asks for a password, and its folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    command = [sys.executable, "-c", SERVER, str(folder), str(tmp_path / "passwords")]
    monkeypatch.setenv("TWINE_USERNAME", "user")
    monkeypatch.setenv("TWINE_PASSWORD", "secret")
    with (
        open(tmp_path / "index.log", "w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        port = server.stdout.readline().strip()
        assert port, (tmp_path / "index.log").read_text()
        try:
            yield f"http://127.0.0.1:{port}", folder
        finally:
            server.kill()
