"""Template text → tokens: the text between actions, and the words inside them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from calicoctl.gotemplate.model import TemplateError, located

_BLANKS = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?
        |\.[0-9]+(?:[eE][+-]?[0-9]+)?)(?![\w.]))
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<declare>:=)
    |(?P<mark>[.=|(),])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the template.

    Attributes:
        kind: ``text``, ``open``, ``close``, ``space``, ``string``, ``raw``, ``char``, ``number``,
            ``variable``, ``field``, ``word``, ``declare``, ``mark``.
        place: offset in the template.
    """

    kind: str
    text: str
    place: int


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens; each action lies between ``open`` and ``close``.

    Raises:
        TemplateError: an action is not closed, or holds what is no word.
    """
    place = 0
    trim = False
    while (start := source.find("{{", place)) >= 0:
        text = source[place:start].lstrip(_BLANKS) if trim else source[place:start]
        trims_left = source.startswith("{{-", start) and source[start + 3 : start + 4] in _BLANKS
        yield Token("text", text.rstrip(_BLANKS) if trims_left else text, place)
        yield Token("open", "{{", start)
        place, trim = yield from _action(source, start + (3 if trims_left else 2))
    rest = source[place:]
    yield Token("text", rest.lstrip(_BLANKS) if trim else rest, place)


def _action(source: str, place: int) -> Generator[Token, None, tuple[int, bool]]:
    """Yield the tokens of one action; return where it ends, and whether it trims what follows."""
    while True:
        if source.startswith("}}", place):
            yield Token("close", "}}", place)
            return place + 2, False
        if source.startswith("-}}", place) and source[place - 1] in _BLANKS:
            yield Token("close", "-}}", place)
            return place + 3, True
        match = _TOKEN.match(source, place)
        if match is None:
            raise _unreadable(source, place)
        if match.lastgroup != "comment":
            yield Token(str(match.lastgroup), match[0], place)
        place = match.end()


def _unreadable(source: str, place: int) -> TemplateError:
    rest = source[place : place + 1]
    if not rest:
        return located(source, place, "unclosed action: }} is missing")
    if rest in "\"'`":
        return located(source, place, f"unterminated quoted text: {rest} is missing")
    if source.startswith("/*", place):
        return located(source, place, "unclosed comment: */ is missing")
    return located(source, place, f"unexpected {rest!r} in an action")
