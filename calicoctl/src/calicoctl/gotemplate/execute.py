"""A template and data → text.

Data are None (Go: a nil pointer), bool, int, float, str, lists, mappings (Go: maps from text to text),
and structures, whose fields the caller's :data:`Fields` knows.
Source of the meaning: Go's documentation of text/template.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from calicoctl import gotext
from calicoctl.gotemplate import functions
from calicoctl.gotemplate.functions import FunctionError, Missing
from calicoctl.gotemplate.model import (
    Action,
    Call,
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
    Template,
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
#: Parts within parts that are carried out at once; Python's own stack is the limit.
_DEEPEST = 100
_NIL = Literal(None)
#: Functions that do not look at what they need not.
_LAZY = ("and", "or")


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
    known = {**functions.BUILT_IN, **(extra or {})}
    template = parse(source, {*known, *_LAZY})
    machine = _Machine(source, template, fields, known)
    return "".join(machine.whole(template.nodes, data))


class _Left(Exception):  # noqa: N818 - a jump, not an error
    """``break`` or ``continue``."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class _Machine:
    def __init__(
        self,
        source: str,
        template: Template,
        fields: Fields,
        known: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._source = source
        self._named = template.named
        self._fields = fields
        self._functions = known
        self._variables: list[list[Any]] = []
        self._printed = 0
        self._depth = 0

    # Parts

    def whole(self, nodes: Sequence[Node], data: Any) -> Iterator[str]:
        """Yield what a template prints of its data; it sees no variables but ``$``."""
        outer, self._variables = self._variables, [["$", data]]
        yield from self._run(nodes, data)
        self._variables = outer

    def _run(self, nodes: Sequence[Node], dot: Any) -> Iterator[str]:
        mark = len(self._variables)
        self._depth += 1
        try:
            for node in nodes:
                yield from self._node(node, dot)
        finally:
            del self._variables[mark:]
            self._depth -= 1

    def _node(self, node: Node, dot: Any) -> Iterator[str]:
        match node:
            case Text(text, place):
                yield self._counted(text, place)
            case Action(pipeline):
                value = self._evaluate(pipeline, dot)
                if not pipeline.variables:
                    yield self._counted(gotext.value(value), pipeline.place)
            case If():
                yield from self._if(node, dot)
            case Range():
                yield from self._range(node, dot)
            case Jump(word):
                raise _Left(word)
            case Call():
                yield from self._template(node, dot)

    def _template(self, call: Call, dot: Any) -> Iterator[str]:
        data = functions.MISSING
        if call.pipeline is not None:
            data = self._evaluate(call.pipeline, dot)
        if call.name not in self._named:
            known = ", ".join(map(repr, sorted(self._named))) or "none"
            raise self._wrong(call.place, f"template {call.name!r} not defined; there are {known}")
        if self._depth > _DEEPEST:
            raise self._wrong(call.place, "templates call each other too deeply")
        yield from self.whole(self._named[call.name], data)

    def _counted(self, text: str, place: int) -> str:
        self._printed += len(text)
        if self._printed > _LONGEST:
            raise located(self._source, place, "the output grows without bounds")
        return text

    def _if(self, node: If, dot: Any) -> Iterator[str]:
        mark = len(self._variables)
        value = self._evaluate(node.pipeline, dot)
        if functions.truth(value):
            yield from self._run(node.then, value if node.moves else dot)
        else:
            yield from self._run(node.otherwise, dot)
        del self._variables[mark:]

    def _range(self, node: Range, dot: Any) -> Iterator[str]:
        outside = len(self._variables)
        pipeline = node.pipeline
        value = self._commands(pipeline, dot)
        if len(pipeline.variables) > 1 and isinstance(value, int):
            raise self._wrong(pipeline.place, "range over a number has one variable only")
        self._bind(pipeline, [value] * len(pipeline.variables))  # what they are in {{else}}
        if not (yield from self._each(node, self._members(value, pipeline.place))):
            yield from self._run(node.otherwise, dot)
        del self._variables[outside:]

    def _each(self, node: Range, members: Iterable[tuple[Any, Any]]) -> Generator[str, None, bool]:
        """Yield what the body prints of each member; return whether there was one."""
        pipeline, mark, found = node.pipeline, len(self._variables), False
        for member in members:
            found = True
            self._bind(pipeline, member[-len(pipeline.variables) or 2 :])
            try:
                yield from self._run(node.body, member[1])
            except _Left as jump:
                if jump.word == "break":
                    break
            finally:
                del self._variables[mark:]
        return found

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
        if first == _NIL:
            raise self._wrong(command.place, "nil is not a command")
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
        if name in _LAZY:
            return self._short_circuit(name, arguments, dot, given, place)
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
                return functions.MISSING if value is None else value
            case Variable(name):
                return self._cell(name)[1]
            case Pipeline():
                return self._evaluate(operand, dot)
            case Function(name, place):
                return self._call(name, (), dot, (), place)
            case Chain(base, names, place):
                value = self._operand(base, dot)
                for name in names:
                    value = self._field(value, name, place)
                return value

    def _field(self, value: Any, name: str, place: int) -> Any:
        if value is None:
            raise self._wrong(place, f"nil pointer evaluating {name}")
        if isinstance(value, Missing):
            return value
        if isinstance(value, Mapping):
            return value.get(name, functions.MISSING)
        try:
            return self._fields(value, name)
        except KeyError as error:
            raise self._wrong(place, str(error.args[0])) from error

    def _wrong(self, place: int, text: str) -> TemplateError:
        return located(self._source, place, text)
