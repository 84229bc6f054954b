"""What a template consists of, and the error that it cannot be understood or carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libcalico.errors import ValidationError


class TemplateError(ValidationError):
    """The template is wrong, or does not fit the data; the text begins with line and column."""


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor: ``.``."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number, true, false or nil."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; ``$`` is what the template was given."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function by name."""

    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of an operand: ``.Spec.CIDR``, ``$x.Name``, ``(index . 0).Name``."""

    base: Operand
    fields: tuple[str, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function with its arguments."""

    operands: tuple[Operand, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the result of the one before as its last argument.

    Attributes:
        variables: that take the result; two in ``range`` (index and element).
        declares: ``:=`` (a new variable) and not ``=``.
        place: offset in the template, for messages.
    """

    commands: tuple[Command, ...]
    variables: tuple[str, ...]
    declares: bool
    place: int


Operand = Dot | Literal | Variable | Function | Chain | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text to print as it is."""

    text: str
    place: int


@dataclass(frozen=True, slots=True)
class Action:
    """``{{pipeline}}``: print the result, unless it is assigned."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class If:
    """``if`` with ``else``; ``moves``: ``with``, which makes the value the cursor."""

    pipeline: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    moves: bool


@dataclass(frozen=True, slots=True)
class Range:
    """``range`` over a list, a map or a count; ``otherwise`` if there is nothing in it."""

    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    word: str


@dataclass(frozen=True, slots=True)
class Call:
    """``{{template "name" pipeline}}``: print a named template; without a pipeline its data are nil."""

    name: str
    pipeline: Pipeline | None
    place: int


Node = Text | Action | If | Range | Jump | Call


@dataclass(frozen=True, slots=True)
class Template:
    """The parts of a template, and those of the templates that it defines by name."""

    nodes: tuple[Node, ...]
    named: Mapping[str, tuple[Node, ...]]


def located(source: str, place: int, text: str) -> TemplateError:
    """Return the error for something at an offset of the template."""
    line = source.count("\n", 0, place) + 1
    column = place - source.rfind("\n", 0, place)
    return TemplateError(f"template:{line}:{column}: {text}")
