"""SupervisorConfig → the text of supervisord.conf. Deterministic."""

from __future__ import annotations

import shlex

from jinja2 import Environment, PackageLoader, StrictUndefined

from calico_node.supervisor.model import SupervisorConfig


def _escape(value: object) -> str:
    """Return a value as supervisord reads it back: ``%`` starts an expansion."""
    return str(value).replace("%", "%%")


def _command(argv: tuple[str, ...]) -> str:
    return _escape(shlex.join(argv))


_TEMPLATES = Environment(
    loader=PackageLoader("calico_node.supervisor"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)
_TEMPLATES.filters["escape_value"] = _escape
_TEMPLATES.filters["command"] = _command


def render(config: SupervisorConfig) -> str:
    """Return the text that supervisord reads."""
    return _TEMPLATES.get_template("supervisord.conf.j2").render(config=config)
