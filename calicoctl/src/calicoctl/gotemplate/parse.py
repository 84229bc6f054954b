"""Tokens → the parts of a template, by recursive descent; one function for each rule of the grammar."""

from __future__ import annotations

from collections.abc import Collection

from calicoctl.gotemplate.lexer import Token, tokens
from calicoctl.gotemplate.literals import literal
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

#: More than any person writes; Python's own stack is the limit.
_DEEPEST = 60
_CONSTANTS = {"true": True, "false": False, "nil": None}
_LITERALS = ("string", "raw", "char", "number")
_NAMES = ("string", "raw")


def parse(source: str, functions: Collection[str]) -> Template:
    """Return the parts of a template.

    Args:
        source: the template.
        functions: the names that it may call.

    Raises:
        TemplateError: it is none.
    """
    parser = _Parser(source, functions)
    nodes, _ = parser.body(("",), in_range=False)
    return Template(nodes, parser.named)


class _Parser:
    def __init__(self, source: str, functions: Collection[str]) -> None:
        self.named: dict[str, tuple[Node, ...]] = {}
        self._functions = functions
        self._source = source
        self._tokens = [*tokens(source), Token("end", "", len(source))]
        self._at = 0
        self._depth = 0
        self._scopes: list[list[str]] = [["$"]]

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _skip_space(self) -> None:
        while self._next.kind == "space":
            self._at += 1

    def _is(self, kind: str, text: str = "") -> bool:
        return self._next.kind == kind and text in ("", self._next.text)

    def _wrong(self, what: str, token: Token | None = None) -> TemplateError:
        return located(self._source, (token or self._next).place, what)

    def _close(self, of_what: str) -> None:
        self._skip_space()
        if not self._is("close"):
            raise self._wrong(f"unexpected {self._next.text!r} in {of_what}")
        self._at += 1

    # Template and actions

    def body(self, ends: tuple[str, ...], *, in_range: bool) -> tuple[tuple[Node, ...], str]:
        """Return the parts up to one of the words, and the word; "" is the template's end."""
        nodes: list[Node] = []
        self._enter()
        while True:
            token = self._take()
            if token.kind == "end":
                if "" not in ends:
                    raise self._wrong("unexpected end of the template: {{end}} is missing", token)
                break
            if token.kind == "text":
                nodes += [Text(token.text, token.place)] if token.text else []
                continue
            self._skip_space()
            word = self._next.text if self._is("word") else ""
            if word in ("end", "else"):
                if word not in ends:
                    raise self._wrong(f"unexpected {{{{{word}}}}}")
                self._at += 1
                self._leave()
                return tuple(nodes), word
            if word == "define":
                self._define(top="" in ends)
            else:
                nodes += self._action(word, in_range=in_range)
        self._leave()
        return tuple(nodes), ""

    def _action(self, word: str, *, in_range: bool) -> list[Node]:
        if self._is("close"):  # a comment, or nothing at all
            if self._tokens[self._at - 1].kind == "open" and self._source.startswith(
                "{{}}", self._tokens[self._at - 1].place
            ):
                raise self._wrong("missing value for command")
            self._at += 1
            return []
        if word in ("template", "block"):
            return [self._call(word)]
        if word in ("break", "continue"):
            return [self._jump(word, in_range=in_range)]
        if word in ("if", "with", "range"):
            self._at += 1
            return [self._control(word, in_range=in_range)]
        pipeline = self._pipeline("command")
        self._close("command")
        return [Action(pipeline)]

    def _jump(self, word: str, *, in_range: bool) -> Jump:
        if not in_range:
            raise self._wrong(f"{{{{{word}}}}} outside {{{{range}}}}")
        self._at += 1
        self._close(word)
        return Jump(word)

    def _control(self, word: str, *, in_range: bool) -> Node:
        self._enter()
        pipeline = self._pipeline(word, pairs=word == "range")
        self._close(word)
        inside = in_range or word == "range"
        then, end = self.body(("end", "else"), in_range=inside)
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            otherwise = self._otherwise(word, in_range=in_range)
        else:
            self._close("end")
        self._leave()
        if word == "range":
            return Range(pipeline, then, otherwise)
        return If(pipeline, then, otherwise, moves=word == "with")

    def _otherwise(self, word: str, *, in_range: bool) -> tuple[Node, ...]:
        self._skip_space()
        if self._is("word", word) and word != "range":
            self._at += 1
            return (self._control(word, in_range=in_range),)
        self._close("else")
        nodes, _ = self.body(("end",), in_range=in_range)
        self._close("end")
        return nodes

    # Named templates

    def _define(self, *, top: bool) -> None:
        place = self._next.place
        if not top:
            raise self._wrong("{{define}} inside another action; only a whole template has it")
        self._at += 1
        name = self._name("define")
        self._close("define")
        self._add(name, place)

    def _call(self, word: str) -> Call:
        place = self._take().place
        name = self._name(word)
        self._skip_space()
        pipeline = None
        if word == "block" or not self._is("close"):
            pipeline = self._pipeline(word)
        self._close(word)
        if word == "block":
            self._add(name, place)
        return Call(name, pipeline, place)

    def _name(self, context: str) -> str:
        self._skip_space()
        token = self._take()
        if token.kind not in _NAMES:
            raise self._wrong(f"unexpected {token.text!r} in {context}: a name in quotes", token)
        return str(literal(self._source, token))

    def _add(self, name: str, place: int) -> None:
        """Read a named template up to its end. Of several, all but one must be empty, as in Go."""
        outer, self._scopes = self._scopes, [["$"]]
        nodes, _ = self.body(("end",), in_range=False)
        self._scopes = outer
        self._close("end")
        if not _is_empty(self.named.get(name, ())):
            if not _is_empty(nodes):
                raise located(self._source, place, f"multiple definition of template {name!r}")
            return
        self.named[name] = nodes

    # Pipelines

    def _pipeline(self, context: str, *, pairs: bool = False) -> Pipeline:
        self._enter()
        self._skip_space()
        place = self._next.place
        variables, declares = self._variables(pairs=pairs)
        commands = [self._command(context)]
        while self._is("mark", "|"):
            self._at += 1
            commands.append(self._command(context))
        self._leave(keep=True)
        if declares:
            self._scopes[-1].extend(variables)
        return Pipeline(tuple(commands), variables, declares, place)

    def _variables(self, *, pairs: bool) -> tuple[tuple[str, ...], bool]:
        """Return the variables that take the result, and whether they are new."""
        back = self._at
        names: list[str] = []
        while self._is("variable"):
            names.append(self._take().text)
            self._skip_space()
            if not (pairs and len(names) == 1 and self._is("mark", ",")):
                break
            self._at += 1
            self._skip_space()
        declares = self._is("declare")
        if not names or not (declares or self._is("mark", "=")):
            self._at = back
            return (), False
        self._at += 1
        for name in () if declares else names:
            self._known(name)
        return tuple(names), declares

    def _known(self, name: str) -> None:
        if not any(name in scope for scope in self._scopes):
            raise self._wrong(f"undefined variable {name!r}", self._tokens[self._at - 1])

    def _command(self, context: str) -> Command:
        self._skip_space()
        place = self._next.place
        operands: list[Operand] = []
        while not (self._is("close") or self._is("mark", "|") or self._is("mark", ")")):
            operands.append(self._operand(context))
            if not (self._is("close") or self._is("mark")) and not self._is("space"):
                raise self._wrong(f"unexpected {self._next.text!r} in {context}")
            self._skip_space()
        if not operands:
            raise self._wrong(f"missing value for {context}")
        return Command(tuple(operands), place)

    def _operand(self, context: str) -> Operand:
        token = self._take()
        base = self._base(token, context)
        fields = [token.text[1:]] if token.kind == "field" else []
        while self._is("field"):
            fields.append(self._take().text[1:])
        if not fields:
            return base
        if isinstance(base, Literal):
            raise self._wrong(f"unexpected . after {token.text}", token)
        return Chain(base, tuple(fields), token.place)

    def _base(self, token: Token, context: str) -> Operand:
        if token.kind == "field" or (token.kind == "mark" and token.text == "."):
            return Dot()
        if token.kind in _LITERALS:
            return Literal(literal(self._source, token))
        if token.kind == "variable":
            self._known(token.text)
            return Variable(token.text)
        if token.kind == "word":
            if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            return self._function(token)
        if token.kind == "mark" and token.text == "(":
            inner = self._pipeline("parenthesized pipeline")
            if not self._is("mark", ")"):
                raise self._wrong("unclosed left parenthesis", token)
            self._at += 1
            return inner
        raise self._wrong(f"unexpected {token.text or 'end'!r} in {context}", token)

    def _function(self, token: Token) -> Function:
        if token.text not in self._functions:
            known = ", ".join(sorted(self._functions))
            raise self._wrong(f'function "{token.text}" not defined; there are {known}', token)
        return Function(token.text, token.place)

    # Nesting

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("nested too deeply")
        self._scopes.append([])

    def _leave(self, *, keep: bool = False) -> None:
        """Forget the variables of this level; or let the level above have them."""
        self._depth -= 1
        inner = self._scopes.pop()
        if keep:
            self._scopes[-1].extend(inner)


def _is_empty(nodes: tuple[Node, ...]) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)
