"""Selector text → tokens with their offsets.

Operators such as ``in`` are recognised only directly after a label, so that they are legal label
names themselves. Source: calico-control-plane reference, section 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from libcalico.errors import SelectorSyntaxError

MAX_LABEL: Final = 512
_LABEL = r"[a-zA-Z0-9_./-]+"
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_FIXED = ("(", ")", "{", "}", ",", "==", "!=", "!", "&&", "||")
_CALL = re.compile(rf"has\([ \t]*(?P<label>{_LABEL})[ \t]*\)|(?P<name>all|global)\([ \t]*\)")
_OPERATOR = re.compile(
    r"(contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in)(?![a-zA-Z0-9_./-])"
)
_IDENTIFIER = re.compile(_LABEL)


class Token(NamedTuple):
    """A piece of a selector.

    ``kind``: one of the fixed texts, ``label``, ``string``, ``operator``, ``has``, ``all``, ``global`` or
    ``end``. ``text``: the label, the string's content, or the operator without inner blanks.
    """

    kind: str
    text: str
    offset: int


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens, the last one of kind ``end``.

    Raises:
        SelectorSyntaxError: a piece is no token; the message holds its offset from 0.
    """
    offset = _skip(text, 0)
    after_label = False
    while offset < len(text):
        token, end = _next(text, offset, after_label=after_label)
        yield token
        after_label = token.kind == "label"
        offset = _skip(text, end)
    yield Token("end", "", len(text))


def _skip(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    return blank.end() if blank else offset


def _next(text: str, offset: int, *, after_label: bool) -> tuple[Token, int]:
    if after_label and (found := _OPERATOR.match(text, offset)):
        operator = re.sub(r"[ \t]", "", found[0])
        return Token("operator", operator, offset), found.end()
    for fixed in _FIXED:
        if text.startswith(fixed, offset):
            return Token(fixed, fixed, offset), offset + len(fixed)
    if text[offset] in "'\"":
        return _string(text, offset)
    if text[offset] in "=&|":
        doubled = text[offset] * 2
        raise error(offset, f"expected {doubled}")
    return _word(text, offset)


def _string(text: str, offset: int) -> tuple[Token, int]:
    found = _STRING.match(text, offset)
    if found is None:
        raise error(offset, "unterminated string")
    return Token("string", found[0][1:-1], offset), found.end()


def _word(text: str, offset: int) -> tuple[Token, int]:
    if call := _CALL.match(text, offset):
        if call["name"]:
            return Token(call["name"], "", offset), call.end()
        return Token("has", _checked(call["label"], offset), offset), call.end()
    if text.startswith("has(", offset):
        raise error(offset, "no label and closing ')' after has(")
    found = _IDENTIFIER.match(text, offset)
    if found is None:
        raise error(offset, f"unexpected character {text[offset]!r}")
    return Token("label", _checked(found[0], offset), offset), found.end()


def _checked(label: str, offset: int) -> str:
    if len(label) > MAX_LABEL:
        raise error(offset, f"label of {len(label)} characters; {MAX_LABEL} is the longest")
    return label


def error(offset: int, problem: str) -> SelectorSyntaxError:
    """Return the error for a problem at an offset."""
    return SelectorSyntaxError(f"invalid selector at offset {offset}: {problem}")
