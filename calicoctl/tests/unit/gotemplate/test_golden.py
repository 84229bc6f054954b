"""What Go itself prints of templates, and which it refuses; ``golden/main.go`` has asked it."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from calicoctl.gotemplate import TemplateError, render
from calicoctl.gotemplate.functions import join

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("golden.json").read_text())


class Thing(Struct):
    Name: str
    Count: int
    Nothing: object = None


class Data(Struct):
    Name: str = "demo"
    On: bool = True
    Off: bool = False
    Order: float = 1e6
    Nets: tuple[str, ...] = ("10.0.0.0/8", "fd00::/8")
    Labels: dict[str, str] = msgspec.field(default_factory=lambda: {"b": "2", "a": "1"})
    Things: tuple[Thing, ...] = (Thing("x", 1), Thing("y", 2))
    Empty: tuple[str, ...] = ()


def field(value, name):
    if isinstance(value, Data) and name == "None":  # which Python takes for no name
        return None
    if not isinstance(value, Struct) or name not in value.__struct_fields__:
        raise KeyError(f"can't evaluate field {name}")
    return getattr(value, name)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["source"])
def test_prints_what_go_prints(golden):
    try:
        printed = render(golden["source"], Data(), fields=field, extra={"join": join})
    except TemplateError:
        printed = None
    assert printed == golden["printed"]
