"""YAML as Calico's users write and read it: YAML 1.1 without its traps, and output without surprises.

PyYAML takes ``22:53`` for a number of base 60 and ``2026-01-01`` for a date: a port range or a label
would silently become something else. Go Calico's reader does neither, so ours does not; and what either
reader might misread is quoted on output.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

_TAG = "tag:yaml.org,2002:"
_STRING = f"{_TAG}str"
_REPLACED = frozenset({f"{_TAG}{name}" for name in ("int", "float", "timestamp", "value")})
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7]+|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)
#: What Go's reader takes for true and false, beside the words that PyYAML knows.
_GO_TRUTHS = frozenset("yYnN")
#: Longer than any line; PyYAML would fold long selectors.
_WIDTH = 2**31 - 1


class Loader(yaml.CSafeLoader):
    """Reads documents; numbers are decimal, hexadecimal, octal or binary, dates are text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.CSafeDumper):
    """Writes lists level with their key, as Go's writer does, and never aliases.

    Text that would be read as something else is in double quotes, as Go's writer has it.
    """

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


for _class in (Loader, _Dumper):
    _class.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
    _class.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STRING, text, style='"' if _is_ambiguous(text) else None)


def _is_ambiguous(text: str) -> bool:
    others = _Dumper.yaml_implicit_resolvers.get(text[:1], ())
    return any(pattern.match(text) for _, pattern in others) or text in _GO_TRUTHS


_Dumper.add_representer(str, _represent)
_MAPPING = MappingStartEvent(None, None, implicit=True, flow_style=False)
_SEQUENCE = SequenceStartEvent(None, None, implicit=True, flow_style=False)
_MAPPING_END, _SEQUENCE_END = MappingEndEvent(), SequenceEndEvent()
#: Decides how values are written; writes nothing itself.
_representer = _Dumper(io.StringIO())
_resolve: Callable[..., str] = _representer.resolve


def dump(document: Any) -> str:
    """Return YAML with sorted keys; long texts stay on one line.

    PyYAML is handed the events as they come: the tree of nodes that it would make of a document first has the
    garbage collector look at all of a long list again and again, and takes seventeen times as long.

    Raises:
        yaml.YAMLError: something in it is neither a mapping, a list nor a plain value.
    """
    events = _stream(document)
    text: str = yaml.emit(events, Dumper=_Dumper, allow_unicode=True, width=_WIDTH)
    return text


def _stream(document: Any) -> Iterator[Event]:
    yield StreamStartEvent()
    yield DocumentStartEvent(explicit=False)
    yield from _events(document)
    yield DocumentEndEvent(explicit=False)
    yield StreamEndEvent()


def _events(value: Any) -> Iterator[Event]:
    if isinstance(value, str):
        yield _text(value)
    elif isinstance(value, dict):
        yield _MAPPING
        for key in sorted(value):
            yield _text(key) if isinstance(key, str) else _scalar(key)
            yield from _events(value[key])
        yield _MAPPING_END
    elif isinstance(value, list | tuple):
        yield _SEQUENCE
        for item in value:
            yield from _events(item)
        yield _SEQUENCE_END
    else:
        yield _scalar(value)


def _scalar(value: Any) -> Event:
    node = _representer.represent_data(value)
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.YAMLError(f"{type(value).__name__} is no value of YAML")
    plain, quoted = (
        _resolve(yaml.ScalarNode, node.value, implicit) == node.tag
        for implicit in ((True, False), (False, True))
    )
    return ScalarEvent(None, node.tag, (plain, quoted), node.value, style=node.style)


#: The same names and words come again and again.
_text = lru_cache(1 << 14)(_scalar)
