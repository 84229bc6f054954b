"""The members of the IP sets in use.

An owner (endpoint or network set) lends its addresses to every set whose selector selects it.
Several owners may have one address, so members are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from calico_node.felix.calc.rules import SetSpec
from calico_node.felix.messages import Member, PortMember, SetChange, SetId
from libcalico.net.addresses import Cidr
from libcalico.selector.index import LabelIndex


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A port of an endpoint that has a name."""

    name: str
    protocol: int
    port: int


@dataclass(frozen=True, slots=True)
class Owner:
    """What has addresses: an endpoint with its named ports, or a network set with its CIDRs."""

    nets: tuple[Cidr, ...]
    ports: tuple[NamedPort, ...] = ()


@dataclass(slots=True)
class _Set:
    spec: SetSpec
    users: int = 0
    is_new: bool = True
    counts: Counter[Member] = field(default_factory=Counter)
    #: member → whether it was there at the last flush, for members that came or went since.
    before: dict[Member, bool] = field(default_factory=dict)

    def change(self, members: Iterable[Member], by: int) -> None:
        for member in members:
            was_there = member in self.counts
            self.counts[member] += by
            if not self.counts[member]:
                del self.counts[member]
            if was_there != (member in self.counts):
                self.before.setdefault(member, was_there)


class IpSets:
    """Keeps the sets that :meth:`use` asked for."""

    def __init__(self) -> None:
        self._index: LabelIndex[Hashable, SetId] = LabelIndex()
        self._owners: dict[Hashable, Owner] = {}
        self._sets: dict[SetId, _Set] = {}
        self._dirty: set[SetId] = set()

    def on_owner(
        self, item: Hashable, owner: Owner | None, labels: Mapping[str, str], parents: Sequence[str]
    ) -> None:
        """The owner is now so, or, None, gone."""
        old = self._owners.get(item)
        if owner is None:
            if old is not None:
                self._index.on_item_removed(item)
                self._settle()
                del self._owners[item]
            return
        if old is not None and old != owner:
            for set_id in self._index.selectors_of(item):
                self._lend(set_id, old, -1)
                self._lend(set_id, owner, +1)
        self._owners[item] = owner
        self._index.on_item(item, labels, parents)
        self._settle()

    def on_parent(self, parent: str, labels: Mapping[str, str] | None) -> None:
        """A profile lends these labels; None: it does not exist."""
        self._index.on_parent(parent, labels)
        self._settle()

    def use(self, spec: SetSpec) -> None:
        """One more rule names the set."""
        kept = self._sets.get(spec.id)
        if kept is None:
            kept = self._sets[spec.id] = _Set(spec, is_new=True)
            self._dirty.add(spec.id)
            self._index.on_selector(spec.id, spec.selector)
            self._settle()
        kept.users += 1

    def release(self, set_id: SetId) -> None:
        """One rule less names the set."""
        kept = self._sets[set_id]
        kept.users -= 1
        self._dirty.add(set_id)

    def flush(self) -> dict[SetId, SetChange]:
        """Return what changed since the last call."""
        changes: dict[SetId, SetChange] = {}
        for set_id in sorted(self._dirty):
            kept = self._sets[set_id]
            if not kept.users:
                self._drop(set_id)
                if not kept.is_new:
                    changes[set_id] = SetChange(removed=True)
            elif (change := _take(kept)) is not None:
                changes[set_id] = change
        self._dirty.clear()
        return changes

    def _drop(self, set_id: SetId) -> None:
        del self._sets[set_id]
        self._index.on_selector_removed(set_id)

    def _settle(self) -> None:
        """Apply what the index moved, while the owners are as they were when it did."""
        for set_id, moves in self._index.drain().items():
            for item in moves.removed:
                self._lend(set_id, self._owners[item], -1)
            for item in moves.added:
                self._lend(set_id, self._owners[item], +1)

    def _lend(self, set_id: SetId, owner: Owner, by: int) -> None:
        kept = self._sets[set_id]
        kept.change(_members(kept.spec, owner), by)
        self._dirty.add(set_id)


def _take(kept: _Set) -> SetChange | None:
    before, kept.before = kept.before, {}
    is_new, kept.is_new = kept.is_new, False
    added = frozenset(m for m, was in before.items() if not was and m in kept.counts)
    deleted = frozenset(m for m, was in before.items() if was and m not in kept.counts)
    if not (added or deleted or is_new):
        return None
    return SetChange(added, deleted, created=is_new)


def _members(spec: SetSpec, owner: Owner) -> Iterable[Member]:
    if not spec.port:
        return owner.nets
    return [
        PortMember(net, port.protocol, port.port)
        for port in owner.ports
        if port.name == spec.port and spec.protocol in (None, port.protocol)
        for net in owner.nets
    ]
