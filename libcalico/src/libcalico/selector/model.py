"""Selector expressions: evaluation over labels, canonical text, identity.

The evaluation here walks the expression. It is the oracle: what the label index computes for all
endpoints at once must agree with it.

Source: calico-control-plane reference, sections 3.3 and 3.4.
"""

from __future__ import annotations

import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self


class Node(ABC):
    """An expression. Immutable; ``str()`` is its canonical text."""

    __slots__ = ()

    @abstractmethod
    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether something with these labels is selected."""

    @abstractmethod
    def with_label_prefix(self, prefix: str) -> Node:
        """Return the same expression about labels whose keys begin with the prefix."""


@dataclass(frozen=True, slots=True)
class Atom(Node):
    """A question about one label."""

    key: str

    def with_label_prefix(self, prefix: str) -> Self:
        """Return the same question about the label with the longer key."""
        return replace(self, key=prefix + self.key)


@dataclass(frozen=True, slots=True)
class _Constant(Node):
    """What is true whatever the labels."""

    def evaluate(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - whatever the labels
        """Return True."""
        return True

    def with_label_prefix(self, prefix: str) -> Self:  # noqa: ARG002 - has no label
        """Return itself."""
        return self


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


@dataclass(frozen=True, slots=True)
class All(_Constant):
    """``all()``: everything."""

    def __str__(self) -> str:
        return "all()"


@dataclass(frozen=True, slots=True)
class Global(_Constant):
    """``global()``: what is in no namespace. Only a whole namespace selector; true elsewhere."""

    def __str__(self) -> str:
        return "global()"


@dataclass(frozen=True, slots=True)
class Has(Atom):
    """``has(key)``: the label is present."""

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is present."""
        return self.key in labels

    def __str__(self) -> str:
        return f"has({self.key})"


@dataclass(frozen=True, slots=True)
class Equals(Atom):
    """``key == "value"``: present and equal."""

    value: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label has the value."""
        return labels.get(self.key) == self.value

    def __str__(self) -> str:
        return f"{self.key} == {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class NotEquals(Atom):
    """``key != "value"``: absent or different."""

    value: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is absent or has another value."""
        return labels.get(self.key) != self.value

    def __str__(self) -> str:
        return f"{self.key} != {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class In(Atom):
    """``key in {...}``: present and one of the values, which are sorted and distinct."""

    values: tuple[str, ...]
    _members: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_members", frozenset(self.values))

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label has one of the values."""
        return labels.get(self.key) in self._members

    def __str__(self) -> str:
        return f"{self.key} in {{{', '.join(map(_quoted, self.values))}}}"


@dataclass(frozen=True, slots=True)
class NotIn(Atom):
    """``key not in {...}``: absent or none of the values, which are sorted and distinct."""

    values: tuple[str, ...]
    _members: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_members", frozenset(self.values))

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is absent or has none of the values."""
        return labels.get(self.key) not in self._members

    def __str__(self) -> str:
        return f"{self.key} not in {{{', '.join(map(_quoted, self.values))}}}"


@dataclass(frozen=True, slots=True)
class Contains(Atom):
    """``key contains "text"``: present, and the text is in its value."""

    text: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label's value contains the text."""
        return self.text in labels[self.key] if self.key in labels else False

    def __str__(self) -> str:
        return f"{self.key} contains {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class StartsWith(Atom):
    """``key starts with "text"``."""

    text: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label's value starts with the text."""
        return labels[self.key].startswith(self.text) if self.key in labels else False

    def __str__(self) -> str:
        return f"{self.key} starts with {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class EndsWith(Atom):
    """``key ends with "text"``."""

    text: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label's value ends with the text."""
        return labels[self.key].endswith(self.text) if self.key in labels else False

    def __str__(self) -> str:
        return f"{self.key} ends with {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``!x``."""

    operand: Node

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the operand does not select."""
        return not self.operand.evaluate(labels)

    def with_label_prefix(self, prefix: str) -> Not:
        """Return the same expression about prefixed labels."""
        return Not(self.operand.with_label_prefix(prefix))

    def __str__(self) -> str:
        return f"!{self.operand}"


@dataclass(frozen=True, slots=True)
class And(Node):
    """``(a && b ...)``, at least two operands."""

    operands: tuple[Node, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether every operand selects."""
        return all(operand.evaluate(labels) for operand in self.operands)

    def with_label_prefix(self, prefix: str) -> And:
        """Return the same expression about prefixed labels."""
        return And(tuple(operand.with_label_prefix(prefix) for operand in self.operands))

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Or(Node):
    """``(a || b ...)``, at least two operands."""

    operands: tuple[Node, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether some operand selects."""
        return any(operand.evaluate(labels) for operand in self.operands)

    def with_label_prefix(self, prefix: str) -> Or:
        """Return the same expression about prefixed labels."""
        return Or(tuple(operand.with_label_prefix(prefix) for operand in self.operands))

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.operands))})"


def unique_id(prefix: str, content: str) -> str:
    """Return ``prefix:`` and a hash of the content, as Go Calico names IP sets."""
    text = f"{prefix}:{content}".encode(errors="surrogatepass")
    digest = hashlib.sha224(text).digest()
    return f"{prefix}:{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def selector_id(selector: Node) -> str:
    """Return the identity of a selector: equal canonical text, equal identity."""
    return unique_id("s", str(selector))
