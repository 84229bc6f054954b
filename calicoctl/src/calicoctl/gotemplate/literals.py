"""Constants as Go writes them → values."""

from __future__ import annotations

import re

from calicoctl.gotemplate.lexer import Token
from calicoctl.gotemplate.model import located

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL
)
_LAST_CODE_POINT = 0x10FFFF


def literal(source: str, token: Token) -> str | int | float:
    """Return the value of a text, character or number.

    Raises:
        TemplateError: Go has no such constant.
    """
    if token.kind == "raw":
        return token.text[1:-1]
    try:
        if token.kind == "number":
            return _number(token.text)
        text = _ESCAPE.sub(_unescaped, token.text[1:-1])
    except ValueError as error:
        raise located(source, token.place, f"bad constant {token.text}: {error}") from error
    if token.kind == "string":
        return text
    if len(text) != 1:
        raise located(source, token.place, f"malformed character constant: {token.text}")
    return ord(text)


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal, octal, letter = match[1] or match[2] or match[3], match[4], match[5]
    if letter is None:
        code = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        if code > _LAST_CODE_POINT:
            raise ValueError("no such character")
        return chr(code)
    if letter in "\\'\"":
        return letter
    if letter not in _ESCAPES:
        raise ValueError(f"unknown escape \\{letter}")
    return _ESCAPES[letter]


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    unsigned = digits.lstrip("+-").lower()
    if unsigned.startswith(("0x", "0o", "0b")):
        return int(digits, 0)
    if any(mark in unsigned for mark in ".e"):
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise ValueError("out of range")
        return value
    if len(unsigned) > 1 and unsigned.startswith("0"):
        return int(digits, 8)
    return int(digits)
