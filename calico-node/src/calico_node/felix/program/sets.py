"""IP sets → kernel sets.

Members that are single addresses go to one plain hash set for each family. Wider CIDRs go to a small
interval set beside it, which exists only while there are any: rules then look at both. A change
of a plain set costs the same at any size; one of an interval set grows with it
(calico-dataplane reference, section 12.2). Members with a port are address . protocol . port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from calico_node.felix.messages import Member, PortMember, SetChange, SetId
from calico_node.felix.nft.keys import KeyType, Prefix, interval_of, merge_prefixes, pack
from calico_node.felix.nft.model import Set
from calico_node.felix.program import names
from calico_node.felix.program.pending import Pending
from libcalico.net.addresses import Cidr

_VERSIONS: Final = (4, 6)
_ADDRESS: Final = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}


def _port_key(version: int) -> tuple[KeyType, ...]:
    return _ADDRESS[version], KeyType.INET_PROTO, KeyType.INET_SERVICE


def is_port_set(set_id: SetId) -> bool:
    """Whether the members of a set carry ports; the identity's first letter tells."""
    return set_id.startswith("n:")


class IpSets:
    """Keeps the kernel sets of all IP sets in use."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._nets: dict[tuple[SetId, int], set[Prefix]] = {}
        self._known: set[SetId] = set()

    def has_nets(self, set_id: SetId, version: int) -> bool:
        """Whether the set holds CIDRs wider than one address in that family."""
        return bool(self._nets.get((set_id, version)))

    def change(self, set_id: SetId, change: SetChange) -> bool:
        """Apply one change; return whether rules that name the set must be rendered again."""
        if change.removed:
            self._remove(set_id)
            return False
        if change.created and set_id in self._known:
            self._remove(set_id)
        if set_id not in self._known:
            self._create(set_id)
        if is_port_set(set_id):
            self._change_ports(set_id, change)
            return False
        before = [self.has_nets(set_id, version) for version in _VERSIONS]
        for version in _VERSIONS:
            self._change_addresses(set_id, version, change)
        return before != [self.has_nets(set_id, version) for version in _VERSIONS]

    def _create(self, set_id: SetId) -> None:
        self._known.add(set_id)
        for version in _VERSIONS:
            key = _port_key(version) if is_port_set(set_id) else (_ADDRESS[version],)
            self._pending.put_set(Set(names.set_name(set_id, version), key, owner=set_id))

    def _remove(self, set_id: SetId) -> None:
        self._known.discard(set_id)
        for version in _VERSIONS:
            self._nets.pop((set_id, version), None)
            self._pending.drop_set(names.set_name(set_id, version))
            self._pending.drop_set(names.set_name(set_id, version, nets=True))

    def _change_ports(self, set_id: SetId, change: SetChange) -> None:
        for version in _VERSIONS:
            name = names.set_name(set_id, version)
            self._pending.remove(name, _ports(change.deleted, version))
            self._pending.add(name, _ports(change.added, version))

    def _change_addresses(self, set_id: SetId, version: int, change: SetChange) -> None:
        name = names.set_name(set_id, version)
        self._pending.remove(name, _hosts(change.deleted, version))
        self._pending.add(name, _hosts(change.added, version))
        gone, come = _nets(change.deleted, version), _nets(change.added, version)
        if gone or come:
            nets = self._nets.setdefault((set_id, version), set())
            nets -= gone
            nets |= come
            self._write_nets(set_id, version, nets)

    def _write_nets(self, set_id: SetId, version: int, nets: set[Prefix]) -> None:
        name = names.set_name(set_id, version, nets=True)
        if not nets:
            del self._nets[set_id, version]
            self._pending.drop_set(name)
            return
        self._pending.put_set(Set(name, (_ADDRESS[version],), interval=True, owner=set_id))
        write_intervals(self._pending, name, nets)


def write_intervals(pending: Pending, name: str, nets: Iterable[Prefix]) -> None:
    """Make an interval set hold these prefixes; what lies inside another one is left out."""
    wanted = {interval_of(prefix) for prefix in merge_prefixes(nets)}
    there = pending.elements(name)
    pending.remove(name, there - wanted)
    pending.add(name, wanted - there)


def prefix_of(cidr: Cidr) -> Prefix:
    """Return a CIDR in the table's terms."""
    return Prefix(cidr.packed(), cidr.prefix)


def _hosts(members: Iterable[Member], version: int) -> set[bytes]:
    return {cidr.packed() for cidr in _cidrs(members, version) if cidr.is_address}


def _nets(members: Iterable[Member], version: int) -> set[Prefix]:
    return {prefix_of(cidr) for cidr in _cidrs(members, version) if not cidr.is_address}


def _cidrs(members: Iterable[Member], version: int) -> Iterator[Cidr]:
    return (m for m in members if isinstance(m, Cidr) and m.version == version)


def _ports(members: Iterable[Member], version: int) -> set[bytes]:
    return {
        pack(_port_key(version), (m.address.packed(), m.protocol, m.port))
        for m in members
        if isinstance(m, PortMember) and m.address.version == version
    }
