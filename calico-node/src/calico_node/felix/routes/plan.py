"""Which routes this host needs, and which differ from what the kernel has. Pure.

A workload's address is reached through its interface; what is left of the host's own blocks goes
nowhere, so that a packet to an unassigned address does not leave by the default route and come back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from calico_node.felix.messages import EndpointId, LocalEndpoint
from libcalico.net.addresses import Cidr


@dataclass(frozen=True, slots=True)
class Target:
    """Where packets go: through an interface, or nowhere (an empty name).

    Attributes:
        gateway: address of the router or tunnel end; None to what is on the link itself.
        onlink: the gateway need not be reachable by another route.
    """

    interface: str = ""
    gateway: Cidr | None = None
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface: its index, and whether it is up."""

    index: int
    is_up: bool


@dataclass(frozen=True, slots=True)
class Installed:
    """A route of ours as the kernel has it: index of its interface, 0 for nowhere; and its gateway."""

    index: int
    gateway: Cidr | None = None
    onlink: bool = field(default=False, compare=False)  # the kernel does not tell it for IPv6


@dataclass(frozen=True, slots=True)
class Operation:
    """Make the route to ``destination`` be as given, or, None, remove it."""

    destination: Cidr
    way: Installed | None


class Wanted:
    """Destination → target, kept under change, so that a change costs its own size.

    Of two endpoints with one address the one with the lowest identity has it, among those with interfaces
    that are up, if any is: what was not cleaned up does not stand in the way of what took its place. What a
    local endpoint has is not looked for elsewhere. A block of one single address needs no route to nowhere.
    Floating addresses count while they are enabled.
    """

    def __init__(self, *, has_floating: bool = False) -> None:
        self._has_floating = has_floating
        self.targets: dict[Cidr, Target] = {}
        self._endpoints: dict[EndpointId, LocalEndpoint] = {}
        self._claims: dict[Cidr, set[EndpointId]] = {}
        self._blocks: set[Cidr] = set()
        self._remotes: dict[Cidr, Target] = {}
        self._left: set[Cidr] = set()
        self._up: set[str] = set()

    def change(
        self,
        endpoints: Mapping[EndpointId, LocalEndpoint | None],
        blocks: Mapping[Cidr, bool | None],
        remotes: Mapping[Cidr, Target | None],
    ) -> set[Cidr]:
        """Take in changed endpoints, own blocks, and what is at other nodes (None: gone).

        Returns:
            The destinations to look at.
        """
        touched: set[Cidr] = blocks.keys() | remotes.keys()
        for destination, target in remotes.items():
            if target is None:
                self._remotes.pop(destination, None)
            else:
                self._remotes[destination] = target
        for endpoint_id, endpoint in endpoints.items():
            touched |= self._claim(endpoint_id, endpoint)
        for block, is_ours in blocks.items():
            (self._blocks.add if is_ours else self._blocks.discard)(block)
        for destination in touched:
            self._decide(destination)
        return touched

    def enable_floating(self, *, is_enabled: bool) -> None:
        """Endpoints have the floating addresses that they ask for, or have not."""
        if is_enabled == self._has_floating:
            return
        endpoints = dict(self._endpoints)
        touched = {d for i in endpoints for d in self._claim(i, None)}
        self._has_floating = is_enabled
        touched |= {d for i, endpoint in endpoints.items() for d in self._claim(i, endpoint)}
        for destination in touched:
            self._decide(destination)

    def see(self, interfaces: Mapping[str, bool]) -> set[Cidr]:
        """Take in whether interfaces are up; return the destinations to look at."""
        changed = {name for name, is_up in interfaces.items() if is_up != (name in self._up)}
        if not changed:
            return set()
        self._up ^= changed
        concerned = (e for e in self._endpoints.values() if e.interface in changed)
        touched = {address for endpoint in concerned for address in self._addresses(endpoint)}
        for destination in touched:
            self._decide(destination)
        return touched

    def through(self, interface: str) -> set[Cidr]:
        """Return the destinations that lead to an interface."""
        return {d for d, target in self.targets.items() if target.interface == interface}

    def interfaces(self) -> set[str]:
        """Return the interfaces of all endpoints."""
        return {endpoint.interface for endpoint in self._endpoints.values()}

    def _claim(self, endpoint_id: EndpointId, endpoint: LocalEndpoint | None) -> set[Cidr]:
        old = self._endpoints.pop(endpoint_id, None)
        touched = set(self._addresses(old)) if old is not None else set()
        for address in touched:
            self._claims[address].discard(endpoint_id)
        if endpoint is not None:
            self._endpoints[endpoint_id] = endpoint
            for address in self._addresses(endpoint):
                self._claims.setdefault(address, set()).add(endpoint_id)
                touched.add(address)
        return touched

    def _addresses(self, endpoint: LocalEndpoint) -> tuple[Cidr, ...]:
        if not self._has_floating:
            return endpoint.addresses
        return (*endpoint.addresses, *(floating.external for floating in endpoint.floating))

    def take_left(self) -> set[Cidr]:
        """Return the destinations that have left a local interface since the last call."""
        left, self._left = self._left, set()
        return left

    def _decide(self, destination: Cidr) -> None:
        old = self.targets.get(destination)
        self._choose(destination)
        is_local = old is not None and bool(old.interface) and old.gateway is None
        if is_local and self.targets.get(destination) != old:
            self._left.add(destination)

    def _choose(self, destination: Cidr) -> None:
        claims = self._claims.get(destination)
        if claims:
            self.targets[destination] = Target(self._endpoints[self._winner(claims)].interface)
            return
        self._claims.pop(destination, None)
        if destination in self._remotes:
            self.targets[destination] = self._remotes[destination]
        elif destination in self._blocks and not destination.is_address:
            self.targets[destination] = Target()
        else:
            self.targets.pop(destination, None)

    def _winner(self, claims: Collection[EndpointId]) -> EndpointId:
        up = [claim for claim in claims if self._endpoints[claim].interface in self._up]
        return min(up or claims)


def plan(
    wanted: Mapping[Cidr, Target],
    links: Mapping[str, Link],
    installed: Mapping[Cidr, Installed],
    among: Collection[Cidr] | None = None,
) -> list[Operation]:
    """Return what to do so that the kernel has the wanted routes.

    A route through an interface that is missing or down cannot be; it is not wanted for now.

    Args:
        among: destinations to look at; None: all.
    """
    looked_at = wanted.keys() | installed.keys() if among is None else among
    operations = []
    for destination in sorted(looked_at):
        way = _way(wanted.get(destination), links)
        there = installed.get(destination)
        if way != there:
            operations.append(Operation(destination, way))
    return operations


def _way(target: Target | None, links: Mapping[str, Link]) -> Installed | None:
    if target is None:
        return None
    if not target.interface:
        return Installed(0)
    link = links.get(target.interface)
    if link is None or not link.is_up:
        return None
    return Installed(link.index, target.gateway, target.onlink)
