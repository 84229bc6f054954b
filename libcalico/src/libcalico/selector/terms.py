"""All selectors against one set of labels, at once.

Each selector is brought into disjunctive normal form; each term (a conjunction of questions about
labels) is one bit. For every label key that some term asks about there are integers that say which
terms are violated if the label is absent, and which if it has a given value. What the labels do not
violate they satisfy: the cost is one OR for each label, whatever the number of selectors.

A selector whose normal form is too large stays one term that is evaluated by walking it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Generic, TypeVar

from libcalico.selector.model import (
    All,
    And,
    Atom,
    Contains,
    EndsWith,
    Equals,
    Global,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)
from libcalico.selector.slots import slots_in

#: A conjunction: for each key, the atoms (or negated atoms) about it.
Term = dict[str, list[Node]]
SelectorT = TypeVar("SelectorT", bound=Hashable)
_Literals = tuple[tuple[Atom, bool], ...]

_MOST_TERMS: Final = 32
_MOST_SHAPES: Final = 1024


class TermIndex(Generic[SelectorT]):
    """Which selectors labels satisfy. Masks are over terms; 0 stands for labels of nothing."""

    def __init__(self) -> None:
        self._all = 0
        self._owner_by_bit: list[SelectorT | None] = []
        self._free: list[int] = []
        self._mask_by_selector: dict[SelectorT, int] = {}
        self._terms_by_bit: dict[int, Term] = {}
        self._walked: dict[int, Node] = {}
        self._keys: dict[str, _Questions] = {}
        self._absent_by_shape: dict[frozenset[str], int] = {}

    def add(self, selector: SelectorT, node: Node) -> None:
        """Add a selector that is not yet there."""
        self._absent_by_shape.clear()
        mask = 0
        terms = normal_form(node)
        if terms is None:
            bit = self._new_bit(selector)
            self._walked[bit] = node
            mask |= 1 << bit
        for term in terms or ():
            bit = self._new_bit(selector)
            self._terms_by_bit[bit] = term
            for key, literals in term.items():
                self._keys.setdefault(key, _Questions(key)).add(bit, literals)
            mask |= 1 << bit
        self._mask_by_selector[selector] = mask
        self._all |= mask

    def remove(self, selector: SelectorT) -> None:
        """Remove a selector that is there."""
        self._absent_by_shape.clear()
        mask = self._mask_by_selector.pop(selector)
        self._all ^= mask
        for bit in slots_in(mask):
            self._owner_by_bit[bit] = None
            self._free.append(bit)
            self._walked.pop(bit, None)
            for key, literals in self._terms_by_bit.pop(bit, {}).items():
                questions = self._keys[key]
                questions.remove(bit, literals)
                if not questions.terms:
                    del self._keys[key]

    def match(self, labels: Mapping[str, str]) -> int:
        """Return the terms that the labels satisfy."""
        asked = frozenset(key for key in labels if key in self._keys)
        violated = self._violated_by_absence(asked)
        for key in asked:
            violated |= self._keys[key].violated(labels[key])
        satisfied = self._all ^ violated
        for bit, node in self._walked.items():
            if not node.evaluate(labels):
                satisfied ^= 1 << bit
        return satisfied

    def selectors(self, satisfied: int) -> list[SelectorT]:
        """Return the selectors that satisfied terms belong to."""
        if not satisfied:
            return []
        owners = (self._owner_by_bit[bit] for bit in slots_in(satisfied))
        return list(dict.fromkeys(owner for owner in owners if owner is not None))

    def changed(self, before: int, after: int) -> list[tuple[SelectorT, bool]]:
        """Return each selector that matched before and does not after (False), or the reverse (True)."""
        changed = []
        for selector in self.selectors(before ^ after):
            mask = self._mask_by_selector[selector]
            matches = bool(mask & after)
            if matches != bool(mask & before):
                changed.append((selector, matches))
        return changed

    def concerned(self, key: str, before: str | None, after: str | None) -> list[SelectorT]:
        """Return the selectors that can tell one value (None: absence) of a label from another."""
        mask = sum(1 << bit for bit in self._walked)
        if (questions := self._keys.get(key)) is not None:
            mask |= questions.violated(before) ^ questions.violated(after)
        return self.selectors(mask)

    def _violated_by_absence(self, asked: frozenset[str]) -> int:
        if (violated := self._absent_by_shape.get(asked)) is not None:
            return violated
        violated = 0
        for key, questions in self._keys.items():
            if key not in asked:
                violated |= questions.absent
        if len(self._absent_by_shape) >= _MOST_SHAPES:
            self._absent_by_shape.clear()
        self._absent_by_shape[asked] = violated
        return violated

    def _new_bit(self, selector: SelectorT) -> int:
        if self._free:
            bit = self._free.pop()
            self._owner_by_bit[bit] = selector
            return bit
        self._owner_by_bit.append(selector)
        return len(self._owner_by_bit) - 1


@dataclass(slots=True)
class _Questions:
    """What terms ask about one label key.

    ``absent``: terms violated without the label. ``other``: terms violated by a value that nobody
    names. ``flips``: value → terms for which it differs from ``other``. ``walked``: terms that look
    inside the value.
    """

    key: str
    terms: int = 0
    absent: int = 0
    other: int = 0
    flips: dict[str, int] = field(default_factory=dict)
    walked: dict[int, list[Node]] = field(default_factory=dict)

    def add(self, bit: int, literals: list[Node]) -> None:
        self._toggle(bit, literals)
        if any(_looks_inside(literal) for literal in literals):
            self.walked[bit] = literals

    def remove(self, bit: int, literals: list[Node]) -> None:
        self._toggle(bit, literals)
        self.walked.pop(bit, None)

    def violated(self, value: str | None) -> int:
        if value is None:
            return self.absent
        violated = self.other ^ self.flips.get(value, 0)
        for bit, literals in self.walked.items():
            if not _all_hold(literals, {self.key: value}):
                violated |= 1 << bit
        return violated

    def _toggle(self, bit: int, literals: list[Node]) -> None:
        mask = 1 << bit
        self.terms ^= mask
        if not _all_hold(literals, {}):
            self.absent ^= mask
        if any(_looks_inside(literal) for literal in literals):
            return
        values = {value for literal in literals for value in _named_values(literal)}
        unnamed = "".join(values) + "."  # longer than every one of them
        other = _all_hold(literals, {self.key: unnamed})
        if not other:
            self.other ^= mask
        for value in values:
            if _all_hold(literals, {self.key: value}) != other:
                flip = self.flips.get(value, 0) ^ mask
                if flip:
                    self.flips[value] = flip
                else:
                    del self.flips[value]


def normal_form(node: Node) -> list[Term] | None:
    """Return the terms of which one must hold; None if there would be too many."""
    conjunctions = _conjunctions(node, negated=False)
    if conjunctions is None:
        return None
    return [_by_key(literals) for literals in dict.fromkeys(conjunctions)]


def _by_key(literals: _Literals) -> Term:
    term: Term = {}
    for atom, negated in literals:
        term.setdefault(atom.key, []).append(Not(atom) if negated else atom)
    return term


def _conjunctions(node: Node, *, negated: bool) -> list[_Literals] | None:
    match node:
        case All() | Global():
            return [] if negated else [()]
        case Not():
            return _conjunctions(node.operand, negated=not negated)
        case And() | Or():
            parts = [_conjunctions(operand, negated=negated) for operand in node.operands]
            every = isinstance(node, And) != negated
            return _product(parts) if every else _concatenation(parts)
        case Atom():
            return [((node, negated),)]
    raise TypeError(f"no selector expression: {node!r}")


def _concatenation(parts: Iterable[list[_Literals] | None]) -> list[_Literals] | None:
    joined: list[_Literals] = []
    for part in parts:
        if part is None or len(joined) + len(part) > _MOST_TERMS:
            return None
        joined += part
    return joined


def _product(parts: Iterable[list[_Literals] | None]) -> list[_Literals] | None:
    joined: list[_Literals] = [()]
    for part in parts:
        if part is None or len(joined) * len(part) > _MOST_TERMS:
            return None
        joined = [left + right for left, right in product(joined, part)]
    return joined


def _looks_inside(literal: Node) -> bool:
    atom = literal.operand if isinstance(literal, Not) else literal
    return isinstance(atom, Contains | StartsWith | EndsWith)


def _named_values(literal: Node) -> tuple[str, ...]:
    atom = literal.operand if isinstance(literal, Not) else literal
    match atom:
        case Equals() | NotEquals():
            return (atom.value,)
        case In() | NotIn():
            return atom.values
    return ()


def _all_hold(literals: Iterable[Node], labels: Mapping[str, str]) -> bool:
    return all(literal.evaluate(labels) for literal in literals)
