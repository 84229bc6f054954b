"""What a datastore asks of a node, as ``nft`` text. Pure: nothing of the kernel is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from calico_node.felix import config as felix_config
from calico_node.felix.calc.graph import Calculation
from calico_node.felix.config import Source
from calico_node.felix.messages import Changes
from calico_node.felix.nft import text
from calico_node.felix.program.program import Program
from calico_node.felix.settings import rule_settings
from libcalico.datastore import keys
from libcalico.errors import ConfigError
from libcalico.resources.model import ResourceId


@dataclass(frozen=True, slots=True)
class Rendering:
    """The table of a node.

    Attributes:
        text: what ``nft -f`` would take, and what Felix would program.
        problems: objects and settings that cannot be used, one text each.
    """

    text: str
    problems: tuple[str, ...]


class _EndpointSpec(msgspec.Struct):
    node: str = ""


class _Endpoint(msgspec.Struct):
    spec: _EndpointSpec = msgspec.field(default_factory=_EndpointSpec)


_endpoint_decoder = msgspec.json.Decoder(_Endpoint)


def render(
    hostname: str, stored: Iterable[tuple[str, bytes]], local: Sequence[Source]
) -> Rendering:
    """Return what Felix on a node would program for this datastore.

    Args:
        hostname: the node's name.
        stored: key → value, as stored.
        local: settings of the node's file and environment, low to high.

    Raises:
        ConfigError: the datastore has nothing of that node, or a setting without which Felix does not run
            is bad.
    """
    entries = list(stored)
    _require(hostname, entries)
    calculation = Calculation(hostname)
    for key, value in entries:
        calculation.on_update(key, value)
    changes = calculation.flush()
    config = felix_config.resolve((*felix_config.from_stored(hostname, changes.config), *local))
    program = Program(rule_settings(config))
    program.apply(changes)
    return Rendering(text.render(program.table()), (*config.problems, *_problems(changes)))


def _problems(changes: Changes) -> list[str]:
    found = [problem for problem in changes.problems.values() if problem is not None]
    return [f"{problem.subject} cannot be used: {problem.message}" for problem in found]


def _require(hostname: str, entries: Iterable[tuple[str, bytes]]) -> None:
    """Refuse a node that nobody has heard of: its table would look as if nothing were wrong."""
    known = nodes(entries)
    if hostname not in known:
        there = f"there are: {', '.join(sorted(known))}" if known else "there are no nodes at all"
        raise ConfigError(f"node {hostname!r} is not in this datastore; {there}")


def nodes(entries: Iterable[tuple[str, bytes]]) -> set[str]:
    """Return the names of the nodes that a datastore knows: Nodes, and those that endpoints name."""
    found = set()
    for key, value in entries:
        match keys.parse(key):
            case ResourceId("Node", _, name):
                found.add(name)
            case ResourceId("WorkloadEndpoint" | "HostEndpoint"):
                found.add(_node_of(value))
    return found - {""}


def _node_of(endpoint: bytes) -> str:
    try:
        return _endpoint_decoder.decode(endpoint).spec.node
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
