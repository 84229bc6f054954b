"""Installs each wheel alone, with what it declares and nothing else, and asks it who it is."""

from __future__ import annotations

import configparser
import sys
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from calico_release import build, packages
from calico_release.commands import ReleaseError, run

#: How a command is asked for its version, where it is not ``--version``.
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "calicoctl": ("version", "--client"),
    "calico-node": ("version",),
}
_ENTRY_POINTS = ".dist-info/entry_points.txt"
_METADATA = ".dist-info/METADATA"


def verify(
    out: Path, only: Collection[str] = (), *, dry_run: bool, say: Callable[[str], None]
) -> None:
    """Verify what was built.

    Args:
        out: the folder of the built files.
        only: names of packages; all that were built when empty.
        dry_run: say what would be done.
        say: tells a person.

    Raises:
        ReleaseError: a wheel does not install, or does not answer with its version.
    """
    manifest = build.read(out)
    wheels = {name: build.wheel(out, manifest, name) for name in manifest.files}
    unknown = sorted(set(only) - wheels.keys())
    if unknown:
        raise ReleaseError(f"{out}: not built: {', '.join(unknown)}")
    for name in only or wheels:
        alone = closure(name, wheels)
        if dry_run:
            say(f"{name}: would install {', '.join(path.name for path in alone)}")
            continue
        say(f"{name}: {_install_and_ask(wheels[name], alone)}")


def closure(name: str, wheels: Mapping[str, Path]) -> list[Path]:
    """Return a package's wheel and those of the siblings that it needs, directly or not.

    They are handed to pip by path: a package of the same name on an index never takes their place.
    """
    found: list[str] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.append(current)
            waiting += [need for need in _needs(wheels[current]) if need in wheels]
    return [wheels[member] for member in found]


def _needs(wheel: Path) -> list[str]:
    lines = _read(wheel, _METADATA).splitlines()
    needs = [
        line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist:")
    ]
    return [packages.distribution(need) for need in needs]


def _install_and_ask(wheel: Path, alone: list[Path]) -> str:
    with TemporaryDirectory(prefix="calico-release-") as folder:
        run([sys.executable, "-m", "venv", folder])
        binaries = Path(folder) / "bin"
        pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "--quiet", *map(str, alone)])
        run([*pip, "check"])
        version = wheel.name.split("-")[1]
        answers = [_ask(binaries, command, version) for command in commands(wheel)]
        return ", ".join(answers or [_import(binaries, wheel, version)])


def commands(wheel: Path) -> list[str]:
    """Return the commands that a wheel installs."""
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string(_read(wheel, _ENTRY_POINTS))
    return list(parser["console_scripts"]) if parser.has_section("console_scripts") else []


def modules(wheel: Path) -> list[str]:
    """Return the top packages that a wheel installs."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist() if name.endswith(".py")}
    return sorted(tops)


def _ask(binaries: Path, command: str, version: str) -> str:
    question = QUESTIONS.get(command, ("--version",))
    answer = run([str(binaries / command), *question], cwd=Path("/"))
    if version not in answer.split():
        raise ReleaseError(f"{command} {' '.join(question)} says {answer.strip()!r}, not {version}")
    return f"{command} {' '.join(question)} says {version}"


def _import(binaries: Path, wheel: Path, version: str) -> str:
    tops = modules(wheel)
    distribution = wheel.name.split("-")[0]
    ask = f"import {', '.join(tops)}, importlib.metadata as m; print(m.version({distribution!r}))"
    answer = run([str(binaries / "python"), "-c", ask], cwd=Path("/")).strip()
    if answer != version:
        raise ReleaseError(f"{distribution} says {answer!r}, not {version}")
    return f"import {', '.join(tops)} works, version {version}"


def _read(wheel: Path, ending: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(ending):
                return archive.read(name).decode()
    return ""
