"""Which routes and peers pools need, as a function of pools, nodes, and what is at them. Pure.

A destination of an encapsulated pool that is at another node is reached through the tunnel: with VXLAN by way
of that node's tunnel address, with IPIP by way of the node's own. With CrossSubnet a node in our own subnet
is reached directly; so it is without encapsulation, where such routes are asked of Felix at all. Nodes
elsewhere are then the business of the network between them.

Source: calico-dataplane reference, sections 3.2 to 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from calico_node.felix.messages import IPIP_DEVICE, VXLAN_DEVICES, NodeNetwork, Pool, Tunnel, Vtep
from calico_node.felix.routes.plan import Target
from libcalico.net.addresses import Cidr

#: What stands in a target for the interface that has the node's own address, by IP version.
NODE_LINKS: Final = {4: "(IPv4 of the node)", 6: "(IPv6 of the node)"}

_ANY_INTERFACE: Final = "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)"

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """What the overlay depends on beside the datastore's objects. Defaults are Felix's.

    Attributes:
        hostname: this node.
        vni: VXLAN network identifier.
        port: UDP port, of all hosts.
        mtus: of the devices by IP version; 0 or absent: what the host's interfaces leave.
        mtu_interfaces: what the names of the host's own interfaces match.
        versions: of IP.
        ipip_mtu: of the IPIP device; 0: what the host's interfaces leave.
        vxlan: whether VXLAN is in use at all; None: if a pool asks for it. ``ipip`` likewise.
        has_unencapsulated: whether the routes of pools without encapsulation are ours, too, not BIRD's.
    """

    hostname: str = ""
    vni: int = 4096
    port: int = 4789
    mtus: Mapping[int, int] = field(default_factory=dict)
    mtu_interfaces: str = _ANY_INTERFACE
    versions: tuple[int, ...] = (4, 6)
    ipip_mtu: int = 0
    vxlan: bool | None = None
    ipip: bool | None = None
    has_unencapsulated: bool = False

    def programs(self, pool: Pool) -> bool:
        """Whether the routes of a pool are ours. Those of tunnels always are: BIRD cannot make them."""
        match pool.tunnel:
            case "VXLAN":
                return self.vxlan is not False
            case "IPIP":
                return self.ipip is not False
        return self.has_unencapsulated


class Peer(NamedTuple):
    """Another node's end of the overlay: tunnel address, its MAC, and the node's own address."""

    address: Cidr
    mac: bytes
    host: Cidr


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed of an overlay: pools by name, nodes by name, destinations that are at other nodes."""

    pools: Mapping[str, Pool | None]
    nodes: Mapping[str, NodeNetwork | None]
    remotes: Mapping[Cidr, str | None]


class Overlay:
    """Kept under change: a change costs its own size, unless it is of a pool or of this node.

    Args:
        settings: what it depends on beside.
    """

    def __init__(self, settings: OverlaySettings) -> None:
        self._settings = settings
        self._pools: dict[str, Pool] = {}
        self._nodes: dict[str, NodeNetwork] = {}
        self._remotes: dict[Cidr, str] = {}
        self._by_node: dict[str, set[Cidr]] = {}

    @property
    def own(self) -> NodeNetwork:
        """How this node is reached."""
        return self._nodes.get(self._settings.hostname, NodeNetwork())

    def change(self, changed: Changed) -> dict[Cidr, Target | None]:
        """Take in what changed; return the targets of all destinations that it may concern."""
        touched = set(changed.remotes)
        _update(self._pools, changed.pools)
        _update(self._nodes, changed.nodes)
        for destination, node in changed.remotes.items():
            self._move(destination, node)
        if changed.pools or self._settings.hostname in changed.nodes:
            touched |= self._remotes.keys()
        else:
            touched.update(*(self._by_node.get(node, ()) for node in changed.nodes))
        return {destination: self._target(destination) for destination in touched}

    def reconfigure(self, settings: OverlaySettings) -> dict[Cidr, Target | None]:
        """Take over another configuration; return the targets of all destinations."""
        self._settings = settings
        return {destination: self._target(destination) for destination in self._remotes}

    def is_wanted(self, version: int) -> bool:
        """Whether a family needs a VXLAN device."""
        if self._settings.vxlan is False:
            return False
        is_switched_on = bool(self._settings.vxlan) and self.own.vtep(version) is not None
        return is_switched_on or any(p.cidr.version == version for p in self._pools_in("VXLAN"))

    @property
    def is_ipip_wanted(self) -> bool:
        """Whether the IPIP device is needed."""
        if self._settings.ipip is False:
            return False
        is_switched_on = bool(self._settings.ipip) and self.own.ipip is not None
        return is_switched_on or bool(self._pools_in("IPIP"))

    @property
    def ipip_pools(self) -> list[str]:
        """The names of the pools that are encapsulated in IPIP."""
        return sorted(name for name, pool in self._pools.items() if pool.tunnel == "IPIP")

    def peers(self, version: int) -> set[Peer]:
        """Return the other nodes' ends. Of two with one tunnel address or MAC the first by name has it."""
        found: dict[Cidr, Peer] = {}
        macs: set[bytes] = set()
        for name in sorted(self._nodes):
            network = self._nodes[name]
            peer = _peer(network.vtep(version), network.address(version))
            if name == self._settings.hostname or peer is None:
                continue
            if peer.address not in found and peer.mac not in macs:
                found[peer.address] = peer
                macs.add(peer.mac)
        return set(found.values())

    def _move(self, destination: Cidr, node: str | None) -> None:
        if (old := self._remotes.pop(destination, None)) is not None:
            self._by_node[old].discard(destination)
        if node is not None:
            self._remotes[destination] = node
            self._by_node.setdefault(node, set()).add(destination)

    def _target(self, destination: Cidr) -> Target | None:
        node, pool = self._remotes.get(destination), self._pool(destination)
        if node is None or pool is None or not self._settings.programs(pool):
            return None
        version, network = destination.version, self._nodes.get(node, NodeNetwork())
        if pool.mode != "Always" and (near := self._near(network, version)) is not None:
            return Target(NODE_LINKS[version], near)
        return _through(pool.tunnel, network, version)

    def _near(self, network: NodeNetwork, version: int) -> Cidr | None:
        """Return the address of a node that is in our own subnet."""
        own, other = self.own.address(version), network.address(version)
        if own is None or other is None or not own.masked().contains(other.host()):
            return None
        return other.host()

    def _pools_in(self, tunnel: Tunnel) -> list[Pool]:
        return [pool for pool in self._pools.values() if pool.tunnel == tunnel]

    def _pool(self, destination: Cidr) -> Pool | None:
        """Return the pool that holds a destination: the smallest, should they overlap."""
        holding = [p for p in self._pools.values() if p.cidr.contains(destination)]
        return max(holding, key=lambda pool: pool.cidr.prefix, default=None)


def _through(tunnel: Tunnel | None, network: NodeNetwork, version: int) -> Target | None:
    """Return what leads to a node through a tunnel; None if there is none, or the node has no end of it."""
    address = network.address(version)
    match tunnel, version:
        case "IPIP", 4:
            return None if address is None else Target(IPIP_DEVICE, address.host(), onlink=True)
        case "VXLAN", _:
            peer = _peer(network.vtep(version), address)
            return peer and Target(VXLAN_DEVICES[version], peer.address, onlink=True)
    return None


def _peer(vtep: Vtep | None, address: Cidr | None) -> Peer | None:
    if vtep is None or address is None:
        return None
    return Peer(vtep.address, vtep.mac, address.host())


def _update(kept: dict[_K, _V], changes: Mapping[_K, _V | None]) -> None:
    for name, value in changes.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
