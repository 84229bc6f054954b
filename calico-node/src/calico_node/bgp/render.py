"""BirdConfig → the text of one bird.conf for both IP versions, in BIRD 2's language. Deterministic.

The template beside this module holds the text; nothing is decided there that ``plan`` could decide.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from calico_node.bgp.filters import statement
from calico_node.bgp.model import PRIORITY_SUM, BirdConfig

_TEMPLATES = Environment(
    loader=PackageLoader("calico_node.bgp"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)
_TEMPLATES.filters["statement"] = statement


def render(config: BirdConfig) -> str:
    """Return the text that BIRD reads. Equal configurations give equal text."""
    return _TEMPLATES.get_template("bird.conf.j2").render(config=config, priority_sum=PRIORITY_SUM)
