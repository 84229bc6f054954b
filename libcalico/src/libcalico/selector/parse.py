"""Selector text → expression.

::

    or      = and ("||" and)*
    and     = unary ("&&" unary)*
    unary   = "!"* atom
    atom    = "(" or ")" | has(label) | all() | global() | label operator operand

Source: calico-control-plane reference, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from libcalico.selector.model import (
    All,
    And,
    Contains,
    EndsWith,
    Equals,
    Global,
    Has,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)
from libcalico.selector.tokenizer import Token, error, tokenize

_COMPARISONS: Final[Mapping[str, Callable[[str, str], Node]]] = {
    "==": Equals,
    "!=": NotEquals,
    "contains": Contains,
    "startswith": StartsWith,
    "endswith": EndsWith,
}
_SETS: Final[Mapping[str, Callable[[str, tuple[str, ...]], Node]]] = {"in": In, "notin": NotIn}
#: Deeper nesting is refused: evaluation recurses.
_MAX_DEPTH: Final = 100


@lru_cache(maxsize=16384)
def parse(text: str) -> Node:
    """Return the expression; an empty or blank text selects everything.

    Raises:
        SelectorSyntaxError: the message says where and what was expected.
    """
    parser = _Parser(list(tokenize(text)))
    return parser.whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._peek().kind == "end":
            return All()
        node = self._or()
        self._expect("end", "an operator or the end")
        return node

    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._tokens[self._position]
        self._position += 1
        return token

    def _accept(self, kind: str) -> bool:
        if self._peek().kind != kind:
            return False
        self._position += 1
        return True

    def _expect(self, kind: str, what: str) -> Token:
        token = self._peek()
        if token.kind != kind:
            found = f"{token.text!r}" if token.text else token.kind
            raise error(token.offset, f"expected {what}, found {found}")
        return self._take()

    def _or(self) -> Node:
        operands = [self._and()]
        while self._accept("||"):
            operands.append(self._and())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _and(self) -> Node:
        operands = [self._unary()]
        while self._accept("&&"):
            operands.append(self._unary())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _unary(self) -> Node:
        negated = False
        while self._accept("!"):
            negated = not negated
        atom = self._atom()
        return Not(atom) if negated else atom

    def _atom(self) -> Node:
        token = self._take()
        match token.kind:
            case "(":
                return self._parenthesised(token)
            case "has":
                return Has(token.text)
            case "all":
                return All()
            case "global":
                return Global()
            case "label":
                return self._comparison(token.text)
        found = f"{token.text!r}" if token.text else token.kind
        raise error(token.offset, f"expected a label, has(), all() or '(', found {found}")

    def _parenthesised(self, token: Token) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise error(token.offset, f"more than {_MAX_DEPTH} nested parentheses")
        node = self._or()
        self._depth -= 1
        self._expect(")", "')'")
        return node

    def _comparison(self, label: str) -> Node:
        operator = self._take()
        if operator.kind in ("==", "!=") or operator.text in _COMPARISONS:
            value = self._expect("string", f"a quoted text after {operator.text!r}")
            return _COMPARISONS[operator.text](label, value.text)
        if operator.kind == "operator":
            return _SETS[operator.text](label, self._values())
        raise error(operator.offset, f"expected operator after label {label!r}")

    def _values(self) -> tuple[str, ...]:
        self._expect("{", "'{'")
        values: set[str] = set()
        while self._peek().kind == "string":
            values.add(self._take().text)
            if not self._accept(","):
                break
        self._expect("}", "a quoted text, ',' or '}'")
        return tuple(sorted(values))
