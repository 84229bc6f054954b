"""Which items carry which label, as sets of slots; and the items that an expression selects.

Items inherit labels of their parents: an item's own label wins, then that of the first parent that
has it. Items with the same list of parents form a family, which inherits alike, so that a changed
parent moves whole families between two values and visits no item.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, NamedTuple, TypeVar, cast

from libcalico.selector.model import (
    All,
    And,
    Atom,
    Equals,
    Global,
    Has,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
)
from libcalico.selector.slots import SlotSet, slots_in, union

ItemT = TypeVar("ItemT", bound=Hashable)


class Shift(NamedTuple):
    """A family inherits another value of a label than before; None: absence."""

    family: _Family
    key: str
    before: str | None
    after: str | None


class Population(Generic[ItemT]):
    """Labelled items and their parents."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._items: dict[ItemT, _Item] = {}
        self._item_by_slot: list[ItemT | None] = []
        self._free: list[int] = []
        self._live = SlotSet()
        self._parents: dict[str, dict[str, str]] = {}
        self._root = _Family((), {})
        self._families: dict[tuple[str, ...], _Family] = {(): self._root}
        self._families_by_parent: dict[str, dict[tuple[str, ...], _Family]] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def labels_of(self, item: ItemT) -> dict[str, str] | None:
        """Return a fresh map of the labels that the item has or inherits; None if it is unknown."""
        entry = self._items.get(item)
        return None if entry is None else entry.labels()

    def put(self, item: ItemT, labels: Mapping[str, str], parents: Sequence[str]) -> bool:
        """Add or change an item; return whether that made a difference."""
        entry = self._items.get(item)
        family = self._family(tuple(parents))
        if entry is None:
            entry = self._items[item] = _Item(self._new_slot(item), self._root)
            self._root.members.add(entry.slot)
            self._live.add(entry.slot)
        elif entry.family is family and entry.owns_exactly(labels):
            return False
        self._relabel(entry, labels, family)
        return True

    def remove(self, item: ItemT) -> None:
        """Remove an item that is known."""
        entry = self._items.pop(item)
        self._relabel(entry, {}, self._root)
        self._root.members.discard(entry.slot)
        self._live.discard(entry.slot)
        self._item_by_slot[entry.slot] = None
        self._free.append(entry.slot)

    def set_parent(self, parent: str, labels: Mapping[str, str] | None) -> list[Shift]:
        """Note the labels that a parent lends (None: there is no such parent).

        Returns:
            What this means for families; :meth:`apply` it before the next call.
        """
        if labels is None:
            self._parents.pop(parent, None)
        else:
            self._parents[parent] = dict(labels)
        shifts = []
        for family in self._families_by_parent.get(parent, {}).values():
            before, after = family.labels, self._lent_to(family.parents)
            keys = dict.fromkeys(chain(before, after))
            shifts += [
                Shift(family, key, before.get(key), after.get(key))
                for key in keys
                if before.get(key) != after.get(key)
            ]
        return shifts

    def apply(self, shifts: Iterable[Shift]) -> None:
        """Move families from one value to another."""
        for shift in shifts:
            key = self._key(shift.key)
            heirs = shift.family.members.mask()
            heirs ^= heirs & key.owners()
            if shift.after is None:
                del shift.family.labels[shift.key]
                key.disinherit(heirs)
            else:
                shift.family.labels[shift.key] = shift.after
                key.value(shift.after).include(heirs)
            if shift.before is None:
                key.inherit(heirs)
            else:
                key.value(shift.before).exclude(heirs)
            self._tidy(key, shift.before, shift.after)

    def mask(self, node: Node) -> int:
        """Return the slots of the items that the expression selects."""
        match node:
            case All() | Global():
                return self._live.mask()
            case Not():
                return self._live.mask() ^ self.mask(node.operand)
            case And():
                mask = self._live.mask()
                for operand in node.operands:
                    if mask:
                        mask &= self.mask(operand)
                return mask
            case Or():
                mask = 0
                for operand in node.operands:
                    mask |= self.mask(operand)
                return mask
        return self._mask_of_atom(cast(Atom, node))

    def items_in(self, mask: int) -> list[ItemT]:
        """Return the items at slots that are all taken."""
        by_slot = cast(list[ItemT], self._item_by_slot)
        return [by_slot[slot] for slot in slots_in(mask)]

    def _mask_of_atom(self, atom: Atom) -> int:
        key = self._keys.get(atom.key)
        match atom:
            case NotEquals():
                return self._live.mask() ^ (key.carriers(atom.value) if key else 0)
            case NotIn():
                return self._live.mask() ^ (key.carriers(*atom.values) if key else 0)
        if key is None:
            return 0
        match atom:
            case Has():
                return key.present.mask()
            case Equals():
                return key.carriers(atom.value)
            case In():
                return key.carriers(*atom.values)
        return key.carriers(*(text for text in key.values if atom.evaluate({atom.key: text})))

    def _relabel(self, entry: _Item, labels: Mapping[str, str], family: _Family) -> None:
        """Give an item other labels and another family, touching only what differs."""
        slot, left = entry.slot, entry.family
        before, inherited = entry.labels(), entry.inherited_keys()
        entry.family = family
        entry.own = tuple(self._key(key).value(text) for key, text in labels.items())
        if family is not left:
            family.members.add(slot)
            self._leave(left, slot)
        after = entry.labels()
        self._gain(slot, before, after)
        for name in inherited ^ entry.inherited_keys():
            flip = self._keys[name].inherited
            (flip.discard if name in inherited else flip.add)(slot)
        self._lose(slot, before, after)

    def _gain(self, slot: int, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        for name, text in after.items():
            if before.get(name) != text:
                key = self._key(name)
                key.value(text).add(slot)
                if name not in before:
                    key.present.add(slot)

    def _lose(self, slot: int, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        for name, text in before.items():
            if after.get(name) != text:
                key = self._keys[name]
                key.values[text].discard(slot)
                if name not in after:
                    key.present.discard(slot)
                self._tidy(key, text)

    def _tidy(self, key: _Key, *texts: str | None) -> None:
        """Forget values that nobody carries, and the key with its last value."""
        for text in texts:
            if text is not None and not key.values[text].count:
                del key.values[text]
        if not key.values:
            del self._keys[key.name]

    def _key(self, name: str) -> _Key:
        if (key := self._keys.get(name)) is None:
            key = self._keys[name] = _Key(name)
        return key

    def _new_slot(self, item: ItemT) -> int:
        if self._free:
            slot = self._free.pop()
            self._item_by_slot[slot] = item
            return slot
        self._item_by_slot.append(item)
        return len(self._item_by_slot) - 1

    def _family(self, parents: tuple[str, ...]) -> _Family:
        if (family := self._families.get(parents)) is None:
            family = self._families[parents] = _Family(parents, self._lent_to(parents))
            for parent in parents:
                self._families_by_parent.setdefault(parent, {})[parents] = family
        return family

    def _leave(self, family: _Family, slot: int) -> None:
        family.members.discard(slot)
        if family.members.count or family is self._root:
            return
        del self._families[family.parents]
        for parent in dict.fromkeys(family.parents):
            families = self._families_by_parent[parent]
            del families[family.parents]
            if not families:
                del self._families_by_parent[parent]

    def _lent_to(self, parents: tuple[str, ...]) -> dict[str, str]:
        labels: dict[str, str] = {}
        for parent in reversed(parents):
            labels.update(self._parents.get(parent, {}))
        return labels


class _Value(SlotSet):
    """The slots whose label ``key`` has the value ``text``."""

    __slots__ = ("key", "text")

    def __init__(self, key: str, text: str) -> None:
        super().__init__()
        self.key = key
        self.text = text


@dataclass(slots=True)
class _Key:
    """A label key: the slots that have it, those among them that inherit it, and its values."""

    name: str
    present: SlotSet = field(default_factory=SlotSet)
    inherited: SlotSet = field(default_factory=SlotSet)
    values: dict[str, _Value] = field(default_factory=dict)

    def value(self, text: str) -> _Value:
        if (value := self.values.get(text)) is None:
            value = self.values[text] = _Value(self.name, text)
        return value

    def carriers(self, *texts: str) -> int:
        return union(self.values[text] for text in texts if text in self.values)

    def owners(self) -> int:
        return self.present.mask() ^ self.inherited.mask()

    def inherit(self, heirs: int) -> None:
        self.present.include(heirs)
        self.inherited.include(heirs)

    def disinherit(self, heirs: int) -> None:
        self.present.exclude(heirs)
        self.inherited.exclude(heirs)


@dataclass(slots=True, eq=False)
class _Family:
    """A list of parents, the labels that it lends, and the slots of the items that have it."""

    parents: tuple[str, ...]
    labels: dict[str, str]
    members: SlotSet = field(default_factory=SlotSet)


@dataclass(slots=True, eq=False)
class _Item:
    """A slot, the family of its item, and the item's own labels."""

    slot: int
    family: _Family
    own: tuple[_Value, ...] = ()

    def labels(self) -> dict[str, str]:
        labels = dict(self.family.labels)
        for value in self.own:
            labels[value.key] = value.text
        return labels

    def inherited_keys(self) -> set[str]:
        if not self.family.labels:
            return set()
        return self.family.labels.keys() - {value.key for value in self.own}

    def owns_exactly(self, labels: Mapping[str, str]) -> bool:
        return len(labels) == len(self.own) and all(
            labels.get(value.key) == value.text for value in self.own
        )
