"""What this host's kernel, tools and files say: the shell around :mod:`.systemchecks` and the diagnostics."""

from __future__ import annotations

import datetime as dt
import gzip
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from libcalico import process
from libcalico.errors import CalicoError, ConfigError, ProcessError

_COMMAND_S = 30.0
#: File in the archive → the command whose output it holds. One that is missing or fails is recorded.
COMMANDS: Mapping[str, Sequence[str]] = {
    "date": ("date",),
    "hostname": ("hostname",),
    "uname": ("uname", "-a"),
    "addresses": ("ip", "-details", "address"),
    "links": ("ip", "-details", "-statistics", "link"),
    "neighbours": ("ip", "neighbour"),
    "routes_v4": ("ip", "-4", "route", "show", "table", "all"),
    "routes_v6": ("ip", "-6", "route", "show", "table", "all"),
    "rules_v4": ("ip", "-4", "rule"),
    "rules_v6": ("ip", "-6", "rule"),
    "nft": ("nft", "-a", "list", "ruleset"),
    "iptables-save": ("iptables-save", "-c"),
    "ip6tables-save": ("ip6tables-save", "-c"),
    "ipset": ("ipset", "list"),
    "sockets": ("ss", "-anp"),
    "netstat": ("netstat", "-an"),
    "sysctl_net": ("sysctl", "-a", "--pattern", "^net\\."),
    "namespaces": ("lsns", "-t", "net"),
    "journal": ("journalctl", "-u", "calico-node", "--no-pager", "-n", "10000"),
    "docker_logs": ("docker", "logs", "--tail", "10000", "calico-node"),
}


def kernel_texts(config: str | None = None) -> tuple[str, list[str], str]:
    """Return the kernel's release, the texts that list its modules, and its configuration.

    Args:
        config: a file to read the configuration from, in place of the usual ones.

    Raises:
        ConfigError: that file cannot be read.
    """
    release = platform.release()
    folder = Path("/lib/modules") / release
    lists = [folder / "modules.dep", folder / "modules.builtin", Path("/proc/modules")]
    if config is not None:
        try:
            return release, [_text(path) for path in lists], _read(Path(config))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{config}: cannot be read: {error}") from error
    usual = [Path("/proc/config.gz"), Path(f"/boot/config-{release}"), folder / "config"]
    return release, [_text(path) for path in lists], "\n".join(_text(path) for path in usual)


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return _read(path)
    return ""


def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def said_by(command: Sequence[str]) -> str:
    """Return what a command prints, or why it could not be asked."""
    try:
        done = process.run(command, check=False, timeout_s=_COMMAND_S)
    except ProcessError as error:
        return f"{error}\n"
    failed = f"exit status {done.returncode}\n" if done.returncode else ""
    return f"{done.stdout}{done.stderr}{failed}"


def bundle(name: str, texts: Mapping[str, str], logs: Path | None = None) -> Path:
    """Write texts and a folder of logs into a new archive that only we can read; return its place.

    Raises:
        CalicoError: the disk is full, or the like.
    """
    now = dt.datetime.now(dt.UTC)
    folder = Path(tempfile.mkdtemp(prefix="calico"))
    place = folder / f"{name}-{now:%Y%m%d_%H%M%S}.tar.gz"
    try:
        with tarfile.open(place, "w:gz") as archive:
            for file, text in texts.items():
                _add(archive, f"diagnostics/{file}", text.encode(errors="replace"), now)
            for path in sorted(logs.rglob("*")) if logs is not None else ():
                if path.is_file() and path.name != "lock":
                    with suppress(OSError):  # a log that was just rotated away
                        archive.add(path, f"diagnostics/logs/{path.relative_to(logs or path)}")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise CalicoError(f"{place}: cannot be written: {error.strerror}") from error
    return place


def _add(archive: tarfile.TarFile, name: str, data: bytes, now: dt.datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), now.timestamp(), 0o600
    archive.addfile(entry, BytesIO(data))
