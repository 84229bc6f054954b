"""The interfaces that routes lead through, followed by the kernel's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from calico_node.felix.messages import IPIP_DEVICE, VXLAN_DEVICES
from calico_node.felix.routes.plan import Link
from libcalico.netlink import links

_TUNNELS: Final = frozenset((*VXLAN_DEVICES.values(), IPIP_DEVICE))


class RouteLinks:
    """Interfaces by name: workloads', tunnels', and aliases for the host's own.

    Attributes:
        by_name: what routes may lead through.
        prefixes: names of workloads' interfaces begin so.
    """

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self.by_name: dict[str, Link] = {}
        self.prefixes = prefixes
        self._names: dict[int, str] = {}
        self._others: dict[int, Link] = {}
        self._aliases: dict[str, int] = {}

    def read(self, present: Iterable[links.Link]) -> None:
        """Forget what was known; these are all links there are."""
        self.by_name.clear()
        self._names.clear()
        self._others.clear()
        for link in present:
            self.take(link, is_gone=False)

    def take(self, link: links.Link, *, is_gone: bool) -> set[str]:
        """Note a link; return the names under which one appears, vanishes, or goes up or down."""
        changed: set[str] = set()
        index, seen = link.ifindex, Link(link.ifindex, link.is_up)
        old_name = self._names.get(index)
        if old_name is not None and (is_gone or old_name != link.name):
            changed.add(old_name)
            self._names.pop(index)
            if self.by_name.get(old_name, Link(0, is_up=False)).index == index:
                del self.by_name[old_name]
        if not is_gone and self.is_followed(link.name):
            if self.by_name.get(link.name) != seen:
                changed.add(link.name)
            self.by_name[link.name] = seen
            self._names[index] = link.name
        return changed | self._take_other(index, None if is_gone else seen)

    def are_up(self, names: Iterable[str]) -> dict[str, bool]:
        """Return whether interfaces are up; one that is not there is not."""
        links = {name: self.by_name.get(name) for name in names}
        return {name: link is not None and link.is_up for name, link in links.items()}

    def is_followed(self, name: str) -> bool:
        """Whether it is a workload's interface, or a tunnel."""
        return self.is_workload(name) or name in _TUNNELS

    def is_workload(self, name: str) -> bool:
        """Whether it is a workload's interface."""
        return name.startswith(self.prefixes)

    def name(self, index: int) -> str:
        """Return the name of a workload's interface or tunnel; empty for another."""
        return self._names.get(index, "")

    def call(self, aliases: Mapping[str, int]) -> set[str]:
        """Call links by these names, too; return the names that have another meaning now."""
        changed = {n for n in self._aliases.keys() | aliases.keys() if self._differs(n, aliases)}
        self._aliases = dict(aliases)
        for name in changed:
            self._resolve(name)
        return changed

    def _differs(self, name: str, aliases: Mapping[str, int]) -> bool:
        return self._aliases.get(name) != aliases.get(name)

    def _take_other(self, index: int, seen: Link | None) -> set[str]:
        if seen is None:
            self._others.pop(index, None)
        else:
            self._others[index] = seen
        named = {name for name, target in self._aliases.items() if target == index}
        return {name for name in named if self._resolve(name)}

    def _resolve(self, name: str) -> bool:
        """Bring an alias up to date; return whether it changed."""
        before, now = self.by_name.get(name), self._others.get(self._aliases.get(name, 0))
        if now is None:
            self.by_name.pop(name, None)
        else:
            self.by_name[name] = now
        return before != now
