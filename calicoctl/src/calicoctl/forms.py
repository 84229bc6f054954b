"""The value of ``-o`` → which form of output is wanted. Pure.

Source of words and texts: calico-control-plane reference, section 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libcalico.errors import ValidationError

Name = Literal["ps", "wide", "yaml", "json", "custom-columns", "go-template", "go-template-file"]
_PLAIN: dict[str, Name] = {
    "": "ps",
    "ps": "ps",
    "wide": "wide",
    "yaml": "yaml",
    "yml": "yaml",
    "json": "json",
}
_NEEDS: dict[str, tuple[Name, str]] = {
    "custom-columns": ("custom-columns", "need to specify at least one column"),
    "go-template": ("go-template", "need to specify a template"),
    "go-template-file": ("go-template-file", "need to specify a template file"),
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form of output; ``detail`` is what follows its ``=``: columns, a template, a file."""

    name: Name
    detail: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings that ``custom-columns`` names."""
        return tuple(word.strip().upper() for word in self.detail.split(","))


def parse(text: str) -> Form:
    """Return the form that ``-o`` names.

    Raises:
        ValidationError: there is none, or it lacks what it needs.
    """
    word, _, detail = text.partition("=")
    if word in _NEEDS:
        name, need = _NEEDS[word]
        if not detail.strip():
            raise ValidationError(f"{need}: {word}=...")
        return Form(name, detail)
    if text in _PLAIN:
        return Form(_PLAIN[text])
    known = ", ".join([*(word for word in _PLAIN if word), *(f"{word}=..." for word in _NEEDS)])
    raise ValidationError(f"unrecognized output format '{text}'; there are {known}")
