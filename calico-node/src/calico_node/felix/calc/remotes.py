"""Which node an address of the cluster is at: for routes to other nodes, through tunnels or not.

IPAM's blocks tell it: a block leads to the node that has an affinity to it; a single address of it that
another node has, for a workload or its tunnel, leads there. Where addresses do not come from Calico's IPAM
(``routeSource: WorkloadIPs``), the endpoints of workloads tell it, and the Nodes for their tunnels.

Source: calico-control-plane reference, section 5.2; calico-dataplane reference, section 7 (vxlan).
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from calico_node.felix.calc.decode import Reading
from calico_node.felix.calc.told import Told
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_cidr

RouteSource = Literal["CalicoIPAM", "WorkloadIPs"]
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
        self._by_block: dict[str, dict[Cidr, str]] = {}
        self._workloads = _Workloads()
        self._source: RouteSource = "CalicoIPAM"

    def put(self, text: str, value: bytes | None) -> str:
        """Take in a block, which leads nowhere if it cannot be read; return what is wrong with it."""
        found = Reading({}) if value is None else destinations(text, value, self._hostname)
        old = self._by_block.pop(text, {})
        if found.value:
            self._by_block[text] = found.value
        if self._source == "CalicoIPAM":
            self._tell(old.keys() | found.value.keys(), found.value)
        return found.problem

    def put_workload(self, who: Hashable, node: str, addresses: tuple[Cidr, ...]) -> None:
        """A workload, or a node with the ends of its tunnels, has these addresses; none: it is gone."""
        is_elsewhere = bool(addresses) and node not in ("", self._hostname)
        touched = self._workloads.put(who, (sys.intern(node), addresses) if is_elsewhere else None)
        if self._source == "WorkloadIPs":
            self._tell(touched, {d: self._workloads.node(d) for d in touched})

    def follow(self, source: RouteSource) -> None:
        """Go by blocks (CalicoIPAM), or by workloads and tunnels (WorkloadIPs), from now on."""
        if source == self._source:
            return
        self._source = source
        is_indexed = source == "WorkloadIPs"
        self._workloads.index(is_wanted=is_indexed)
        now = dict(self._workloads.all() if is_indexed else self._of_blocks())
        self._tell({*self._told.names(), *now}, now)

    def take(self) -> dict[Cidr, str | None]:
        """Return what differs since the last call; None: gone."""
        return self._told.take()

    def _tell(self, touched: Iterable[Cidr], now: Mapping[Cidr, str | None]) -> None:
        for destination in touched:
            self._told.put(destination, now.get(destination))

    def _of_blocks(self) -> Iterator[tuple[Cidr, str]]:
        for found in self._by_block.values():
            yield from found.items()


class _Workloads:
    """Who says that addresses are at which node. Of several who claim one, the lowest by name has it.

    There may be a hundred thousand: while nobody asks where an address is, only what they say is kept.
    """

    def __init__(self) -> None:
        self._said: dict[Hashable, tuple[str, tuple[Cidr, ...]]] = {}
        self._claims: dict[Cidr, tuple[Hashable, ...]] | None = None

    def put(self, who: Hashable, said: tuple[str, tuple[Cidr, ...]] | None) -> set[Cidr]:
        """Take in what somebody says; return the addresses whose node it may change, if any are asked for."""
        _, old = self._said.pop(who, ("", ()))
        if said is not None:
            self._said[who] = said
        if self._claims is None:
            return set()
        now = () if said is None else said[1]
        self._claim(self._claims, who, old, now)
        return {*old, *now}

    def index(self, *, is_wanted: bool) -> None:
        """Addresses will be asked for from now on, or no more."""
        self._claims = {} if is_wanted else None
        if self._claims is not None:
            for who, (_, addresses) in self._said.items():
                self._claim(self._claims, who, (), addresses)

    def node(self, address: Cidr) -> str | None:
        """Return the node that an address is at."""
        claimants = (self._claims or {}).get(address)
        return self._said[min(claimants, key=str)][0] if claimants else None

    def all(self) -> Iterator[tuple[Cidr, str | None]]:
        """Yield every address with its node."""
        for address in self._claims or ():
            yield address, self.node(address)

    @staticmethod
    def _claim(
        claims: dict[Cidr, tuple[Hashable, ...]],
        who: Hashable,
        old: Iterable[Cidr],
        now: Iterable[Cidr],
    ) -> None:
        for address in old:
            left = tuple(one for one in claims.pop(address, ()) if one != who)
            if left:
                claims[address] = left
        for address in now:
            claims[address] = (*claims.get(address, ()), who)


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
