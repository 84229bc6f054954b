"""Which node an address of the cluster is at, as IPAM's blocks say: for routes through tunnels.

A block leads to the node that has an affinity to it. A single address of it that another node has, for a
workload or its tunnel, leads there.

Source: calico-control-plane reference, section 5.2.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from calico_node.felix.calc.decode import Reading
from calico_node.felix.calc.told import Told
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_cidr

_HOST: Final = "host:"


class _Attribute(msgspec.Struct):
    secondary: dict[str, Any] | None = None


class _Block(msgspec.Struct):
    affinity: str | None = None
    allocations: list[int | None] | None = None
    attributes: list[_Attribute | None] | None = None
    deleted: bool = False


_decoder: Final = msgspec.json.Decoder(_Block)


class Remotes:
    """Destination → node, for everything that is at other nodes.

    Args:
        hostname: this node.
    """

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._told: Told[Cidr, str] = Told()
        self._by_block: dict[str, frozenset[Cidr]] = {}

    def put(self, text: str, value: bytes | None) -> str:
        """Take in a block, which leads nowhere if it cannot be read; return what is wrong with it."""
        found = Reading({}) if value is None else destinations(text, value, self._hostname)
        for gone in self._by_block.pop(text, frozenset()) - found.value.keys():
            self._told.put(gone, None)
        for destination, node in found.value.items():
            self._told.put(destination, node)
        if found.value:
            self._by_block[text] = frozenset(found.value)
        return found.problem

    def take(self) -> dict[Cidr, str | None]:
        """Return what differs since the last call; None: gone."""
        return self._told.take()


def destinations(text: str, value: bytes, hostname: str) -> Reading[dict[Cidr, str]]:
    """Read a block: destination → node, without what is at this node."""
    try:
        cidr, block = parse_cidr(text), _decoder.decode(value)
    except (ValidationError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Reading({}, f"{error}; there are no routes to it")
    if block.deleted:
        return Reading({})
    affinity = block.affinity or ""
    owner = affinity.removeprefix(_HOST) if affinity.startswith(_HOST) else ""
    found = {cidr: owner} if owner not in ("", hostname) else {}
    nodes = [_node(attribute) for attribute in block.attributes or ()]
    borrowers = {n: node for n, node in enumerate(nodes) if node not in ("", owner, hostname)}
    if borrowers and not cidr.is_address:
        for ordinal, index in enumerate((block.allocations or ())[: cidr.size]):
            if index in borrowers:
                found[cidr.nth(ordinal)] = borrowers[index]
    return Reading(found)


def _node(attribute: _Attribute | None) -> str:
    node = (attribute.secondary or {}).get("node") if attribute is not None else None
    return node if isinstance(node, str) else ""
