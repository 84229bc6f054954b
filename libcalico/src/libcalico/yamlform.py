"""YAML as Calico's users write and read it: YAML 1.1 without its traps, and output without surprises.

PyYAML takes ``22:53`` for a number of base 60 and ``2026-01-01`` for a date: a port range or a label
would silently become something else. Go Calico's reader does neither, so ours does not; and what either
reader might misread is quoted on output.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_REPLACED = frozenset({f"{_TAG}{name}" for name in ("int", "float", "timestamp", "value")})
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7]+|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)
#: Longer than any line; PyYAML would fold long selectors.
_WIDTH = 2**31 - 1


class Loader(yaml.CSafeLoader):
    """Reads documents; numbers are decimal, hexadecimal, octal or binary, dates are text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.CSafeDumper):
    """Writes lists level with their key, as Go's writer does, and never aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


for _class in (Loader, _Dumper):
    _class.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
    _class.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))


def dump(document: Any) -> str:
    """Return YAML with sorted keys; long texts stay on one line."""
    text: str = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=True,
        default_flow_style=False,
        allow_unicode=True,
        width=_WIDTH,
    )
    return text
