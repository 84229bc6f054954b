"""A template and data → text.

Data are None, bool, int, float, str, lists, mappings (Go: maps), and structures, whose fields the
caller's :data:`Fields` knows. Source of the meaning: Go's documentation of text/template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from calicoctl import gotext
from calicoctl.gotemplate import functions
from calicoctl.gotemplate.functions import FunctionError, Missing
from calicoctl.gotemplate.model import (
    Action,
    Chain,
    Command,
    Dot,
    Function,
    If,
    Jump,
    Literal,
    Node,
    Operand,
    Pipeline,
    Range,
    TemplateError,
    Text,
    Variable,
    located,
)
from calicoctl.gotemplate.parse import parse

#: Structure and field name → the field; raises KeyError, with the text to print, if it has none.
Fields = Callable[[Any, str], Any]
#: A result longer than this is a template gone wild.
_LONGEST = 256 * 1024 * 1024


def render(
    source: str, data: Any, *, fields: Fields, extra: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """Return what the template prints.

    Args:
        source: the template.
        data: what ``.`` and ``$`` are at its beginning.
        fields: how to find a field of what is no mapping.
        extra: functions beside the built-in ones; they raise FunctionError.

    Raises:
        TemplateError: the template is wrong, or asks for what the data have not.
    """
    nodes = parse(source)
    machine = _Machine(source, fields, {**functions.BUILT_IN, **(extra or {})}, data)
    return "".join(machine.run(nodes, data))


class _Left(Exception):  # noqa: N818 - a jump, not an error
    """``break`` or ``continue``."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class _Machine:
    def __init__(
        self, source: str, fields: Fields, known: Mapping[str, Callable[..., Any]], data: Any
    ) -> None:
        self._source = source
        self._fields = fields
        self._functions = known
        self._variables: list[list[Any]] = [["$", data]]
        self._printed = 0

    # Parts

    def run(self, nodes: Sequence[Node], dot: Any) -> Iterator[str]:
        """Yield what the parts print."""
        mark = len(self._variables)
        try:
            for node in nodes:
                yield from self._node(node, dot)
        finally:
            del self._variables[mark:]

    def _node(self, node: Node, dot: Any) -> Iterator[str]:
        match node:
            case Text(text):
                yield text
            case Action(pipeline):
                value = self._evaluate(pipeline, dot)
                if not pipeline.variables:
                    yield self._print(value, pipeline.place)
            case If():
                yield from self._if(node, dot)
            case Range():
                yield from self._range(node, dot)
            case Jump(word):
                raise _Left(word)

    def _print(self, value: Any, place: int) -> str:
        text = gotext.value(value)
        self._printed += len(text)
        if self._printed > _LONGEST:
            raise located(self._source, place, "the output grows without bounds")
        return text

    def _if(self, node: If, dot: Any) -> Iterator[str]:
        mark = len(self._variables)
        value = self._evaluate(node.pipeline, dot)
        if functions.truth(value):
            yield from self.run(node.then, value if node.moves else dot)
        else:
            yield from self.run(node.otherwise, dot)
        del self._variables[mark:]

    def _range(self, node: Range, dot: Any) -> Iterator[str]:
        mark = len(self._variables)
        pipeline = node.pipeline
        value = self._commands(pipeline, dot)
        empty = True
        for index, element in self._members(value, pipeline.place):
            empty = False
            self._bind(pipeline, (index, element)[-len(pipeline.variables) or 2 :])
            try:
                yield from self.run(node.body, element)
            except _Left as jump:
                if jump.word == "break":
                    break
            finally:
                if pipeline.declares:
                    del self._variables[mark:]
        if empty:
            yield from self.run(node.otherwise, dot)

    def _members(self, value: Any, place: int) -> Iterator[tuple[Any, Any]]:
        match value:
            case None | Missing():
                return
            case Mapping():
                yield from sorted(value.items())
            case list() | tuple():
                yield from enumerate(value)
            case int() if not isinstance(value, bool):
                yield from ((number, number) for number in range(value))
            case _:
                raise located(
                    self._source, place, f"range can't iterate over {functions.describe(value)}"
                )

    # Values

    def _evaluate(self, pipeline: Pipeline, dot: Any) -> Any:
        value = self._commands(pipeline, dot)
        self._bind(pipeline, (value,))
        return value

    def _bind(self, pipeline: Pipeline, values: Sequence[Any]) -> None:
        for name, value in zip(pipeline.variables, values, strict=False):
            if pipeline.declares:
                self._variables.append([name, value])
            else:
                self._cell(name)[1] = value

    def _cell(self, name: str) -> list[Any]:
        """Return name and value of a variable; the parser made sure that there is one."""
        return next(cell for cell in reversed(self._variables) if cell[0] == name)

    def _commands(self, pipeline: Pipeline, dot: Any) -> Any:
        given: tuple[Any, ...] = ()
        for command in pipeline.commands:
            given = (self._command(command, dot, given),)
        return given[0]

    def _command(self, command: Command, dot: Any, given: tuple[Any, ...]) -> Any:
        first, *arguments = command.operands
        if isinstance(first, Function):
            return self._call(first.name, arguments, dot, given, command.place)
        if arguments or given:
            raise self._wrong(command.place, "can't give argument to what is no function")
        return self._operand(first, dot)

    def _call(
        self,
        name: str,
        arguments: Sequence[Operand],
        dot: Any,
        given: tuple[Any, ...],
        place: int,
    ) -> Any:
        if name in ("and", "or"):
            return self._short_circuit(name, arguments, dot, given, place)
        if name not in self._functions:
            known = ", ".join(sorted([*self._functions, "and", "or"]))
            raise self._wrong(place, f'function "{name}" not defined; there are {known}')
        values = [self._operand(argument, dot) for argument in arguments]
        try:
            return self._functions[name](*values, *given)
        except FunctionError as error:
            raise self._wrong(place, f"error calling {name}: {error}") from error
        except TypeError as error:
            count = len(values) + len(given)
            raise self._wrong(
                place, f"error calling {name}: it cannot take these {count} arguments"
            ) from error

    def _short_circuit(
        self,
        name: str,
        arguments: Sequence[Operand],
        dot: Any,
        given: tuple[Any, ...],
        place: int,
    ) -> Any:
        if not arguments and not given:
            raise self._wrong(place, f"wrong number of args for {name}: want at least 1 got 0")
        value = None
        for argument in arguments:
            value = self._operand(argument, dot)
            if functions.truth(value) == (name == "or"):
                return value
        return given[0] if given else value

    def _operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Dot():
                return dot
            case Literal(value):
                return value
            case Variable(name):
                return self._cell(name)[1]
            case Pipeline():
                return self._evaluate(operand, dot)
            case Function(name):
                return self._call(name, (), dot, (), 0)
            case Chain(base, names, place):
                value = self._operand(base, dot)
                for name in names:
                    value = self._field(value, name, place)
                return value

    def _field(self, value: Any, name: str, place: int) -> Any:
        if isinstance(value, Missing) or value is None:
            raise self._wrong(place, f"nil pointer evaluating {name}")
        if isinstance(value, Mapping):
            return value.get(name, functions.MISSING)
        try:
            return self._fields(value, name)
        except KeyError as error:
            raise self._wrong(place, str(error.args[0])) from error

    def _wrong(self, place: int, text: str) -> TemplateError:
        return located(self._source, place, text)
