"""What this host itself tells Felix: its name, and the settings of its file and environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from calico_node.felix import config as felix_config
from calico_node.felix.config import Source
from calico_node.paths import FELIX_CONFIG_FILE, Paths
from libcalico.errors import ConfigError


class UnknownHostnameError(ConfigError):
    """Nothing tells this node's name."""


def sources(environ: Mapping[str, str], places: Paths) -> list[Source]:
    """Return the settings of file and environment, low to high.

    Raises:
        ConfigError: the file cannot be read or is no INI file; or it was named and is not there.
    """
    file = _file(places.felix_config)
    if not file and environ.get(FELIX_CONFIG_FILE):
        raise ConfigError(f"{FELIX_CONFIG_FILE}: there is no file {places.felix_config}")
    return [*file, felix_config.from_environment(environ)]


def hostname(environ: Mapping[str, str], places: Paths) -> str:
    """Return this node's name: Felix's own setting, the node's, or what start-up wrote.

    Raises:
        UnknownHostnameError: none of them is there.
        ConfigError: file or environment cannot be used.
    """
    own = felix_config.resolve(sources(environ, places))["FelixHostname"]
    if name := own or environ.get("NODENAME", "").strip():
        return str(name)
    try:
        return places.nodename.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnknownHostnameError(
            f"the node's name is not known: set NODENAME, or run calico-node startup, which writes it to"
            f" {places.nodename}"
        ) from error


def _file(path: Path) -> list[Source]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return [felix_config.from_file(text, str(path))]
