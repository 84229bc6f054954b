"""Felix's configuration: which source sets which parameter, and what the result is. Pure.

Precedence, low to high: built-in default, FelixConfiguration ``default``, one selected by the node's
labels, ``node.<name>``, the file ``felix.cfg``, the environment (``FELIX_<name>``). A bad value is
reported, and the next lower source decides, except for parameters without which Felix must not run.

Source: calico-control-plane reference, section 2.9.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from libcalico.errors import ConfigError, ValidationError
from libcalico.resources.felixparams import PARAMS

_PREFIX: Final = "FELIX_"
_BY_LOWER: Final = {name.lower(): name for name in PARAMS}


@dataclass(frozen=True, slots=True)
class Source:
    """One source of settings: its name for people, and parameter name → text."""

    name: str
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Config:
    """Effective values.

    Attributes:
        values: parameter name → value, for every parameter.
        origins: parameter name → the source that set it; absent means the default.
        problems: what was wrong, one text each.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    problems: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """Return the value of a parameter."""
        return self.values[name]


def from_environment(environ: Mapping[str, str]) -> Source:
    """Return the settings of the environment; names are matched in any case."""
    texts = {
        known: value
        for variable, value in environ.items()
        if variable.upper().startswith(_PREFIX)
        and (known := _BY_LOWER.get(variable[len(_PREFIX) :].lower()))
    }
    return Source("environment", texts)


def from_file(text: str, name: str) -> Source:
    """Return the settings of a ``felix.cfg``: INI, section ``global``.

    Raises:
        ConfigError: it is no INI file.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(f"{name}: not an INI file: {error.message}") from error
    found = {
        known: value
        for section in parser.sections()
        if section.lower() == "global"
        for key, value in parser[section].items()
        if (known := _BY_LOWER.get(key.lower()))
    }
    return Source(name, found)


def from_stored(hostname: str, stored: Sequence[Mapping[str, str]] | None) -> list[Source]:
    """Return the settings of the FelixConfigurations that hold for a node, low to high.

    Args:
        hostname: the node's name.
        stored: the texts of the global one, of the one that selects the node, of the node's own.
    """
    names = ("default", "that selects this node", f"node.{hostname}")
    return [
        Source(f"FelixConfiguration {name}", texts)
        for name, texts in zip(names, stored or ({},) * len(names), strict=True)
    ]


def resolve(sources: Sequence[Source]) -> Config:
    """Return the effective configuration of sources given from low to high precedence.

    Raises:
        ConfigError: a parameter without which Felix must not run has a bad value.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for name, param in PARAMS.items():
        values[name] = param.default
        for source in reversed(sources):
            if name not in source.texts:
                continue
            try:
                values[name] = param.parse(source.texts[name])
            except ValidationError as error:
                problem = f"{source.name}: {error}"
                if param.fatal:
                    raise ConfigError(problem) from error
                problems.append(problem)
                continue
            origins[name] = source.name
            break
    return Config(values, origins, tuple(problems))
