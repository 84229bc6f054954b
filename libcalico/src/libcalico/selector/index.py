"""The label index: which items every selector selects, kept up to date change by change.

A new selector is evaluated over all items at once by bitwise operations
(:mod:`~libcalico.selector.population`). A changed item is compared with all selectors at once
(:mod:`~libcalico.selector.terms`). Changed labels of a parent move its children from one value to
another in one operation, and only selectors that can tell the two apart are evaluated again.

:meth:`Node.evaluate <libcalico.selector.model.Node.evaluate>` is the oracle of all this.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from libcalico.selector.model import Node
from libcalico.selector.population import Population
from libcalico.selector.terms import TermIndex

ItemT = TypeVar("ItemT", bound=Hashable)
SelectorT = TypeVar("SelectorT", bound=Hashable)


class Moves(NamedTuple, Generic[ItemT]):
    """Items that a selector selects now and did not before, and the reverse."""

    added: list[ItemT]
    removed: list[ItemT]


class LabelIndex(Generic[ItemT, SelectorT]):
    """Selectors over labelled items. Calls take effect at once; :meth:`drain` tells what moved."""

    def __init__(self) -> None:
        self._population: Population[ItemT] = Population()
        self._selectors: dict[SelectorT, Node] = {}
        self._terms: TermIndex[SelectorT] = TermIndex()
        self._moves: dict[SelectorT, dict[ItemT, bool]] = {}

    def on_item(self, item: ItemT, labels: Mapping[str, str], parents: Sequence[str] = ()) -> None:
        """The item exists, with these labels of its own and these parents, first one first."""
        before = self._satisfied_by(item)
        if self._population.put(item, labels, parents):
            self._note(item, before, self._satisfied_by(item))

    def on_item_removed(self, item: ItemT) -> None:
        """The item is gone; one that is not known is passed over."""
        if item in self._population:
            self._note(item, self._satisfied_by(item), 0)
            self._population.remove(item)

    def on_parent(self, parent: str, labels: Mapping[str, str] | None) -> None:
        """The parent lends these labels; None: it does not exist, and lends nothing."""
        shifts = self._population.set_parent(parent, labels)
        concerned = dict.fromkeys(
            selector
            for shift in shifts
            for selector in self._terms.concerned(shift.key, shift.before, shift.after)
        )
        masks = {selector: self._mask(selector) for selector in concerned}
        self._population.apply(shifts)
        for selector, before in masks.items():
            self._note_masks(selector, before, self._mask(selector))

    def on_selector(self, selector: SelectorT, node: Node) -> None:
        """The selector is to be watched; if it is known, it now means this expression."""
        before = 0
        if selector in self._selectors:
            if self._selectors[selector] == node:
                return
            before = self._mask(selector)
            self._terms.remove(selector)
        self._selectors[selector] = node
        self._terms.add(selector, node)
        self._note_masks(selector, before, self._mask(selector))

    def on_selector_removed(self, selector: SelectorT) -> None:
        """The selector is forgotten, with all that was not yet told about it."""
        if self._selectors.pop(selector, None) is not None:
            self._terms.remove(selector)
            self._moves.pop(selector, None)

    def drain(self) -> dict[SelectorT, Moves[ItemT]]:
        """Return what moved since the last call, net: only selectors with a difference."""
        moved, self._moves = self._moves, {}
        return {
            selector: Moves(
                [item for item, matches in items.items() if matches],
                [item for item, matches in items.items() if not matches],
            )
            for selector, items in moved.items()
            if items
        }

    def members(self, selector: SelectorT) -> list[ItemT]:
        """Return the items that a watched selector selects now."""
        return self._population.items_in(self._mask(selector))

    def selects(self, selector: SelectorT, item: ItemT) -> bool:
        """Return whether a watched selector selects the item now; an unknown item never."""
        labels = self._population.labels_of(item)
        return labels is not None and self._selectors[selector].evaluate(labels)

    def selectors_of(self, item: ItemT) -> list[SelectorT]:
        """Return the watched selectors that select the item now; none for an unknown item."""
        return self._terms.selectors(self._satisfied_by(item))

    def _mask(self, selector: SelectorT) -> int:
        return self._population.mask(self._selectors[selector])

    def _satisfied_by(self, item: ItemT) -> int:
        """Return the terms that the item satisfies; none if it is unknown."""
        if not self._selectors:
            return 0
        labels = self._population.labels_of(item)
        return 0 if labels is None else self._terms.match(labels)

    def _note(self, item: ItemT, before: int, after: int) -> None:
        for selector, matches in self._terms.changed(before, after):
            self._note_moves(selector, (item,), matches=matches)

    def _note_masks(self, selector: SelectorT, before: int, after: int) -> None:
        changed = before ^ after
        self._note_moves(selector, self._population.items_in(changed & after), matches=True)
        self._note_moves(selector, self._population.items_in(changed & before), matches=False)

    def _note_moves(self, selector: SelectorT, items: Iterable[ItemT], *, matches: bool) -> None:
        """Note moves; one that takes back an earlier move leaves no trace."""
        moves = self._moves.setdefault(selector, {})
        for item in items:
            if item in moves:
                del moves[item]
            else:
                moves[item] = matches
