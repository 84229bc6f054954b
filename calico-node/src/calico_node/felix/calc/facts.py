"""What is told to the dataplane as it is: pools, hosts, this host's blocks, configuration, readiness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from calico_node.felix.messages import Pool
from libcalico.net.addresses import Cidr, parse_address, parse_cidr, parse_interface
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.felixparams import PARAMS, texts_of
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node
from libcalico.selector import parse

_K = TypeVar("_K")
_V = TypeVar("_V")
_OVERRIDE: Final = "config.projectcalico.org/"
_NODE: Final = "node."


class Told(Generic[_K, _V]):
    """Name → value, and what differs from what was last told."""

    def __init__(self) -> None:
        self._now: dict[_K, _V] = {}
        self._told: dict[_K, _V] = {}
        self._dirty: set[_K] = set()

    def put(self, name: _K, value: _V | None) -> None:
        """The value is now this, or, None, there is none."""
        if value is None:
            self._now.pop(name, None)
        else:
            self._now[name] = value
        self._dirty.add(name)

    def take(self) -> dict[_K, _V | None]:
        """Return what differs since the last call."""
        changes: dict[_K, _V | None] = {}
        for name in self._dirty:
            now = self._now.get(name)
            if now == self._told.get(name):
                continue
            changes[name] = now
            if now is None:
                del self._told[name]
            else:
                self._told[name] = now
        self._dirty.clear()
        return changes


def pool_of(pool: IPPool) -> Pool:
    """Return what the dataplane needs of a pool. Raises ValidationError for a wrong CIDR."""
    spec = pool.spec
    return Pool(
        parse_cidr(spec.cidr, strict=False),
        spec.nat_outgoing,
        spec.ipip_mode or "Never",
        spec.vxlan_mode or "Never",
    )


def addresses_of(node: Node) -> tuple[Cidr, ...]:
    """Return a node's addresses: those of BGP, else internal, else external ones.

    Raises:
        ValidationError: one is no address.
    """
    bgp = node.spec.bgp
    texts = [text for text in (bgp.ipv4_address, bgp.ipv6_address) if text] if bgp else []
    if texts:
        return tuple(parse_interface(text).host() for text in texts)
    for kind in ("InternalIP", "ExternalIP"):
        if found := [a.address for a in node.spec.addresses if a.type == kind]:
            return tuple(parse_address(text) for text in found)
    return ()


class Configuration:
    """Felix's configuration objects, and which of them hold for this node."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._objects: dict[str, FelixConfiguration] = {}
        self._labels: Mapping[str, str] = {}
        self._told: tuple[Mapping[str, str], ...] | None = None

    def put(self, name: str, config: FelixConfiguration | None) -> None:
        """An object is now so, or, None, gone."""
        if config is None:
            self._objects.pop(name, None)
        else:
            self._objects[name] = config

    def label(self, labels: Mapping[str, str]) -> None:
        """This node has these labels."""
        self._labels = labels

    def take(self) -> tuple[Mapping[str, str], ...] | None:
        """Return the texts of global, selected and node's own object, if they changed."""
        now = tuple(
            _texts(self._objects.get(name))
            for name in ("default", self._selected(), f"{_NODE}{self._hostname}")
        )
        if now == self._told:
            return None
        self._told = now
        return now

    def _selected(self) -> str:
        """Return the oldest of the objects whose selector selects this node; empty for none."""
        selecting = sorted(
            (config.metadata.creation_timestamp or "", name)
            for name, config in self._objects.items()
            if name != "default"
            and not name.startswith(_NODE)
            and parse(config.spec.node_selector).evaluate(self._labels)
        )
        return selecting[0][1] if selecting else ""


def _texts(config: FelixConfiguration | None) -> dict[str, str]:
    """Return parameter → text; annotations override fields."""
    if config is None:
        return {}
    overrides = {
        key.removeprefix(_OVERRIDE): value
        for key, value in config.metadata.annotations.items()
        if key.startswith(_OVERRIDE)
    }
    return {**texts_of(config.spec), **{k: v for k, v in overrides.items() if k in PARAMS}}
