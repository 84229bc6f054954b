"""Which FelixConfiguration objects hold for this node, and the texts that they set.

Source: calico-control-plane reference, section 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.felixparams import PARAMS, texts_of
from libcalico.selector import Node, parse

_OVERRIDE: Final = "config.projectcalico.org/"
_GLOBAL: Final = "default"
_NODE: Final = "node."


class _Object(NamedTuple):
    created: str
    selector: Node
    texts: Mapping[str, str]


class Configuration:
    """The objects, and the labels of this node that they may select."""

    def __init__(self, hostname: str) -> None:
        self._own = f"{_NODE}{hostname}"
        self._objects: dict[str, _Object] = {}
        self._labels: Mapping[str, str] = {}
        self._told: tuple[Mapping[str, str], ...] | None = None

    def put(self, name: str, value: bytes | None) -> str:
        """An object is now so, or, None, gone; return what is wrong with it, or nothing."""
        self._objects.pop(name, None)
        if value is None or (name.startswith(_NODE) and name != self._own):
            return ""
        try:
            stored = codec.decode(value, kind="FelixConfiguration", keep_unknown=False)
            self._objects[name] = _read(name, cast(FelixConfiguration, stored))
        except ValidationError as error:
            return f"{error}; none of its settings is used"
        return ""

    def label(self, labels: Mapping[str, str]) -> None:
        """This node has these labels."""
        self._labels = labels

    def take(self) -> tuple[Mapping[str, str], ...] | None:
        """Return the texts of the global, the selected and the node's own object, if they changed."""
        now = tuple(self._texts(name) for name in (_GLOBAL, self._selected(), self._own))
        if now == self._told:
            return None
        self._told = now
        return now

    def _texts(self, name: str) -> Mapping[str, str]:
        found = self._objects.get(name)
        return {} if found is None else found.texts

    def _selected(self) -> str:
        """Return the name of the oldest object whose selector selects this node; empty for none."""
        selecting = [
            (found.created, name)
            for name, found in self._objects.items()
            if name not in (_GLOBAL, self._own) and found.selector.evaluate(self._labels)
        ]
        return min(selecting)[1] if selecting else ""


def _read(name: str, stored: FelixConfiguration) -> _Object:
    """Return the object's settings; annotations override fields."""
    if not (stored.spec.node_selector or name == _GLOBAL or name.startswith(_NODE)):
        raise ValidationError(
            "spec.nodeSelector: missing; only default and node.* may leave it out"
        )
    overrides = {
        parameter: value
        for key, value in stored.metadata.annotations.items()
        if (parameter := key.removeprefix(_OVERRIDE)) in PARAMS and key.startswith(_OVERRIDE)
    }
    return _Object(
        stored.metadata.creation_timestamp or "",
        parse(stored.spec.node_selector),
        {**texts_of(stored.spec), **overrides},
    )
