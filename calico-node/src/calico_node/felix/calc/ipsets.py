"""The members of the IP sets in use.

An owner (endpoint or network set) lends its addresses to every set whose selector selects it. A set
has no list of its members: an address is in it if one of the address's owners is selected. The owners
of every address are kept, so that an address which two owners share leaves a set with the last one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from calico_node.felix.calc.rules import SetSpec
from calico_node.felix.messages import EndpointId, Member, PortMember, SetChange, SetId
from libcalico.net.addresses import Cidr
from libcalico.selector.index import LabelIndex, Moves

_M = TypeVar("_M", bound=Hashable)


class NamedPort(NamedTuple):
    """A port of an endpoint that has a name."""

    name: str
    protocol: int
    port: int


class Owner(NamedTuple):
    """What has addresses: an endpoint with its named ports, or a network set with its CIDRs."""

    nets: tuple[Cidr, ...]
    ports: tuple[NamedPort, ...] = ()


@dataclass(slots=True)
class _Set:
    """A set, how many rules name it, and how its members differ from those last told."""

    spec: SetSpec
    users: int = 0
    is_new: bool = True
    changes: dict[Member, bool] = field(default_factory=dict)

    def change(self, member: Member, *, is_present: bool) -> None:
        """The member came or went; one that takes back an untold change leaves no trace."""
        if member in self.changes:
            del self.changes[member]
        else:
            self.changes[member] = is_present


class IpSets:
    """Keeps the sets that :meth:`use` asked for."""

    def __init__(self) -> None:
        self._index: LabelIndex[Hashable, SetId] = LabelIndex()
        self._owners: dict[Hashable, Owner] = {}
        self._owners_by_net: dict[Cidr, tuple[Hashable, ...]] = {}
        self._sets: dict[SetId, _Set] = {}
        self._dirty: dict[SetId, None] = {}
        self._endpoints = 0

    @property
    def size(self) -> int:
        """How many sets are in use."""
        return len(self._sets)

    @property
    def owners(self) -> int:
        """How many owners there are."""
        return len(self._owners)

    @property
    def endpoints(self) -> int:
        """How many owners are workload endpoints, of all hosts."""
        return self._endpoints

    def on_owner(
        self, item: Hashable, owner: Owner, labels: Mapping[str, str], parents: Sequence[str]
    ) -> None:
        """The owner is now so."""
        old = self._owners.get(item)
        self._endpoints += old is None and isinstance(item, EndpointId)
        if old != owner:
            self._change_owner(item, old or Owner(()), owner)
        self._index.on_item(item, labels, parents)
        self._settle()

    def on_owner_removed(self, item: Hashable) -> None:
        """The owner is gone; one that is not known is passed over."""
        owner = self._owners.get(item)
        if owner is None:
            return
        self._index.on_item_removed(item)
        self._settle()
        self._file(item, owner.nets, ())
        self._endpoints -= isinstance(item, EndpointId)
        del self._owners[item]

    def on_parent(self, parent: str, labels: Mapping[str, str] | None) -> None:
        """A profile lends these labels; None: it does not exist."""
        self._index.on_parent(parent, labels)
        self._settle()

    def use(self, spec: SetSpec) -> None:
        """One more policy or profile names the set."""
        kept = self._sets.get(spec.id)
        if kept is None:
            kept = self._sets[spec.id] = _Set(spec)
            self._dirty[spec.id] = None
            self._index.on_selector(spec.id, spec.selector)
            self._settle()
        kept.users += 1

    def release(self, set_id: SetId) -> None:
        """One policy or profile less names the set."""
        self._sets[set_id].users -= 1
        self._dirty[set_id] = None

    def flush(self) -> dict[SetId, SetChange]:
        """Return what changed since the last call."""
        changes: dict[SetId, SetChange] = {}
        for set_id in sorted(self._dirty):
            kept = self._sets[set_id]
            if not kept.users:
                del self._sets[set_id]
                self._index.on_selector_removed(set_id)
                if not kept.is_new:
                    changes[set_id] = SetChange(removed=True)
            elif kept.is_new or kept.changes:
                changes[set_id] = _told(kept)
        self._dirty.clear()
        return changes

    def _change_owner(self, item: Hashable, old: Owner, new: Owner) -> None:
        """Exchange the owner's addresses and ports in the sets that it is in."""
        self._owners[item] = new
        self._file(item, old.nets, new.nets)
        for set_id in self._index.selectors_of(item):
            spec = self._sets[set_id].spec
            before, after = _members(spec, old), _members(spec, new)
            self._lend(set_id, item, _without(before, after), is_lent=False)
            self._lend(set_id, item, _without(after, before), is_lent=True)

    def _file(self, item: Hashable, old: tuple[Cidr, ...], new: tuple[Cidr, ...]) -> None:
        """Note who owns which address."""
        by_net = self._owners_by_net
        for net in _without(old, new):
            left = tuple(owner for owner in by_net.pop(net) if owner != item)
            if left:
                by_net[net] = left
        for net in _without(new, old):
            by_net[net] = (*by_net.get(net, ()), item)

    def _settle(self) -> None:
        for set_id, moves in self._index.drain().items():
            self._move(set_id, moves)

    def _move(self, set_id: SetId, moves: Moves[Hashable]) -> None:
        """Let owners into a set and out of it, one after the other.

        The index is ahead: it knows where all of them end. Those whose turn has not come yet are,
        for the sharers of their addresses, still where they were.
        """
        spec = self._sets[set_id].spec
        waiting = dict.fromkeys((*moves.removed, *moves.added))
        for items, is_lent in ((moves.removed, False), (moves.added, True)):
            for item in items:
                del waiting[item]
                members = _members(spec, self._owners[item])
                self._lend(set_id, item, members, waiting, is_lent=is_lent)

    def _lend(
        self,
        set_id: SetId,
        item: Hashable,
        members: Iterable[Member],
        waiting: Mapping[Hashable, None] | None = None,
        *,
        is_lent: bool,
    ) -> None:
        kept = self._sets[set_id]
        self._dirty[set_id] = None
        for member in members:
            net = member.address if isinstance(member, PortMember) else member
            owners = self._owners_by_net[net] if is_lent else self._owners_by_net.get(net, ())
            others = [owner for owner in owners if owner != item]
            if not others or not self._is_lent_by(kept.spec, member, others, waiting or {}):
                kept.change(member, is_present=is_lent)

    def _is_lent_by(
        self,
        spec: SetSpec,
        member: Member,
        owners: Iterable[Hashable],
        waiting: Mapping[Hashable, None],
    ) -> bool:
        return any(
            # An owner of the address has the member for it; of its ports it may lend others.
            (not spec.port or member in _members(spec, self._owners[owner]))
            and self._index.selects(spec.id, owner) != (owner in waiting)
            for owner in owners
        )


def _without(these: Iterable[_M], others: Iterable[_M]) -> list[_M]:
    """Return those that are not among the others; network sets have ten thousands of members."""
    known = frozenset(others)
    return [one for one in these if one not in known]


def _told(kept: _Set) -> SetChange:
    changes, kept.changes = kept.changes, {}
    is_new, kept.is_new = kept.is_new, False
    return SetChange(
        frozenset(member for member, is_present in changes.items() if is_present),
        frozenset(member for member, is_present in changes.items() if not is_present),
        created=is_new,
    )


def _members(spec: SetSpec, owner: Owner) -> Sequence[Member]:
    """Return what the owner lends to the set, each member once."""
    if not spec.port:
        return owner.nets
    members = (
        PortMember(net, port.protocol, port.port)
        for port in owner.ports
        if port.name == spec.port and spec.protocol in (None, port.protocol)
        for net in owner.nets
    )
    return tuple(dict.fromkeys(members))
