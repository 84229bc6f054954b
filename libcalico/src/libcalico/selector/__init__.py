"""The label selector language: text → expression, evaluation, identity."""

from libcalico.selector.model import Node, selector_id, unique_id
from libcalico.selector.parse import parse

__all__ = ["Node", "parse", "selector_id", "unique_id"]
