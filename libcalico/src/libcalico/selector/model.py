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
from dataclasses import dataclass


class Node(ABC):
    """An expression. Immutable; ``str()`` is its canonical text."""

    __slots__ = ()

    @abstractmethod
    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether something with these labels is selected."""


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


@dataclass(frozen=True, slots=True)
class All(Node):
    """``all()``: everything."""

    def evaluate(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - whatever the labels
        """Return True."""
        return True

    def __str__(self) -> str:
        return "all()"


@dataclass(frozen=True, slots=True)
class Global(Node):
    """``global()``: what is in no namespace. Only a whole namespace selector; true elsewhere."""

    def evaluate(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - whatever the labels
        """Return True."""
        return True

    def __str__(self) -> str:
        return "global()"


@dataclass(frozen=True, slots=True)
class Has(Node):
    """``has(key)``: the label is present."""

    key: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is present."""
        return self.key in labels

    def __str__(self) -> str:
        return f"has({self.key})"


@dataclass(frozen=True, slots=True)
class Equals(Node):
    """``key == "value"``: present and equal."""

    key: str
    value: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label has the value."""
        return labels.get(self.key) == self.value

    def __str__(self) -> str:
        return f"{self.key} == {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class NotEquals(Node):
    """``key != "value"``: absent or different."""

    key: str
    value: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is absent or has another value."""
        return labels.get(self.key) != self.value

    def __str__(self) -> str:
        return f"{self.key} != {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class In(Node):
    """``key in {...}``: present and one of the values, which are sorted and distinct."""

    key: str
    values: tuple[str, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label has one of the values."""
        return labels.get(self.key) in self.values

    def __str__(self) -> str:
        return f"{self.key} in {{{', '.join(map(_quoted, self.values))}}}"


@dataclass(frozen=True, slots=True)
class NotIn(Node):
    """``key not in {...}``: absent or none of the values, which are sorted and distinct."""

    key: str
    values: tuple[str, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label is absent or has none of the values."""
        return labels.get(self.key) not in self.values

    def __str__(self) -> str:
        return f"{self.key} not in {{{', '.join(map(_quoted, self.values))}}}"


@dataclass(frozen=True, slots=True)
class Contains(Node):
    """``key contains "text"``: present, and the text is in its value."""

    key: str
    text: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label's value contains the text."""
        return self.text in labels[self.key] if self.key in labels else False

    def __str__(self) -> str:
        return f"{self.key} contains {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class StartsWith(Node):
    """``key starts with "text"``."""

    key: str
    text: str

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label's value starts with the text."""
        return labels[self.key].startswith(self.text) if self.key in labels else False

    def __str__(self) -> str:
        return f"{self.key} starts with {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class EndsWith(Node):
    """``key ends with "text"``."""

    key: str
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

    def __str__(self) -> str:
        return f"!{self.operand}"


@dataclass(frozen=True, slots=True)
class And(Node):
    """``(a && b ...)``, at least two operands."""

    operands: tuple[Node, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether every operand selects."""
        return all(operand.evaluate(labels) for operand in self.operands)

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Or(Node):
    """``(a || b ...)``, at least two operands."""

    operands: tuple[Node, ...]

    def evaluate(self, labels: Mapping[str, str]) -> bool:
        """Return whether some operand selects."""
        return any(operand.evaluate(labels) for operand in self.operands)

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.operands))})"


def unique_id(prefix: str, content: str) -> str:
    """Return ``prefix:`` and a hash of the content, as Go Calico names IP sets."""
    digest = hashlib.sha224(f"{prefix}:{content}".encode()).digest()
    return f"{prefix}:{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def selector_id(selector: Node) -> str:
    """Return the identity of a selector: equal canonical text, equal identity."""
    return unique_id("s", str(selector))
