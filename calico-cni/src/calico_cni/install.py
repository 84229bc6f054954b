"""What is installed, and where: two executables and a network configuration list.

Everything is written beside its place and renamed into it, so that a runtime that calls at that moment
finds the old one or the new one, whole. Installing again changes nothing; uninstalling removes only
what was installed.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from libcalico.errors import ConfigError
from libcalico.workload.cni import parse
from libcalico.workload.cni.errors import CniError
from libcalico.workload.cni.model import CALICO, CALICO_IPAM

#: Told apart from other plugins by this line.
MARK = "# Installed by calico-cni."
_PLUGINS = (CALICO, CALICO_IPAM)
#: Longest first line that Linux reads. Source: execve(2).
_SHEBANG_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network configuration to write.

    Attributes:
        etcd: keys of the configuration, ``etcd_endpoints`` and so on.
        pools4: names or CIDRs; empty lets IPAM choose. ``pools6`` likewise.
        assign6: whether workloads get an IPv6 address.
    """

    name: str
    cni_version: str
    etcd: Mapping[str, str] = field(default_factory=dict)
    mtu: int = 0
    nodename: str = ""
    nodename_file: str = ""
    assign4: bool = True
    assign6: bool = False
    pools4: Sequence[str] = ()
    pools6: Sequence[str] = ()
    log_level: str = "info"


def conflist(network: Network) -> dict[str, Any]:
    """Return the configuration list."""
    ipam = {"type": CALICO_IPAM, "assign_ipv4": _text(network.assign4)}
    ipam |= {"assign_ipv6": _text(network.assign6)}
    pools = {"ipv4_pools": list(network.pools4), "ipv6_pools": list(network.pools6)}
    optional = {
        "mtu": network.mtu,
        "nodename": network.nodename,
        "nodename_file": network.nodename_file,
    }
    plugin = {"type": CALICO, "log_level": network.log_level, "datastore_type": "etcdv3"}
    plugin |= dict(network.etcd) | _set_ones(optional)
    return {
        "name": network.name,
        "cniVersion": network.cni_version,
        "plugins": [plugin | {"ipam": ipam | _set_ones(pools)}],
    }


def _text(flag: bool) -> str:
    return "true" if flag else "false"


def _set_ones(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def check(document: Any) -> None:
    """Refuse a configuration list that our plugin would refuse.

    Raises:
        ConfigError: what is wrong with it.
    """
    if not isinstance(document, dict):
        raise ConfigError("network configuration list: must be an object")
    plugins = document.get("plugins")
    ours = [p for p in plugins if _type_of(p) == CALICO] if isinstance(plugins, list) else []
    if not ours:
        raise ConfigError("network configuration list: plugins: none is of type 'calico'")
    head = {key: document.get(key) for key in ("name", "cniVersion")}
    for plugin in ours:
        try:
            parse.net_conf(json.dumps(plugin | head).encode(), "ADD")
        except CniError as error:
            raise ConfigError(str(error)) from error


def _type_of(plugin: Any) -> Any:
    return plugin.get("type") if isinstance(plugin, dict) else None


def executable(plugin: str, socket: Path, interpreter: Path) -> str:
    """Return the text of an installed executable.

    Args:
        interpreter: for the shim; it needs no packages, so it is the one below the virtual environment.

    Raises:
        ConfigError: the interpreter's path is too long for a first line.
    """
    first = f"#!{interpreter} -IS"
    if len(os.fsencode(first)) > _SHEBANG_BYTES or " " in str(interpreter):
        raise ConfigError(f"{interpreter}: a program's first line cannot name such a path")
    source = files("calico_cni").joinpath("shim.py").read_text(encoding="utf-8")
    fallback = (sys.executable, "-I", "-m", "calico_cni.plugin", plugin)
    for name, value in (
        ("SOCKET", str(socket)),
        ("PLUGIN", _PLUGINS.index(plugin)),
        ("FALLBACK", fallback),
    ):
        source = _with_constant(source, name, value)
    return f"{first}\n{MARK}\n{source}"


def _with_constant(source: str, name: str, value: object) -> str:
    lines = source.splitlines(keepends=True)
    (index,) = (n for n, line in enumerate(lines) if line.startswith(f"{name} = "))
    lines[index] = f"{name} = {value!r}\n"
    return "".join(lines)


def interpreter() -> Path:
    """Return the interpreter that runs us, below any virtual environment."""
    return Path(sys.executable).resolve()


def write_executables(folder: Path, socket: Path) -> list[str]:
    """Write the executables; return a sentence for each."""
    below = interpreter()
    return [
        _write(folder / plugin, executable(plugin, socket, below), 0o755) for plugin in _PLUGINS
    ]


def write_conflist(path: Path, document: Mapping[str, Any]) -> str:
    """Write the configuration list; return a sentence. Raises ConfigError if it is wrong."""
    check(document)
    return _write(path, json.dumps(document, indent=2) + "\n", 0o644)


def _write(path: Path, text: str, mode: int) -> str:
    """Put a file in its place in one step, unless it is there already."""
    try:
        if _holds(path, text, mode):
            return f"{path} is up to date"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        fresh = Path(name)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.chmod(mode)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return f"wrote {path}"


def _holds(path: Path, text: str, mode: int) -> bool:
    try:
        same_mode = stat.S_IMODE(path.stat().st_mode) == mode
        return same_mode and path.read_text(encoding="utf-8") == text
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def remove(bin_folder: Path, conf: Path) -> list[str]:
    """Remove what was installed; return a sentence for each. What is not ours stays."""
    done = []
    for path in (*(bin_folder / plugin for plugin in _PLUGINS), conf):
        try:
            done.append(_remove(path))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be removed: {error.strerror}") from error
    return done


def _remove(path: Path) -> str:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return f"{path} is not there"
    if not _is_ours(text):
        return f"{path} is not ours and stays"
    path.unlink()
    return f"removed {path}"


def _is_ours(text: bytes) -> bool:
    if MARK.encode() in text[:4096]:
        return True
    try:
        plugins = json.loads(text).get("plugins", ())
    except (ValueError, AttributeError):
        return False
    return any(_type_of(plugin) == CALICO for plugin in plugins)
