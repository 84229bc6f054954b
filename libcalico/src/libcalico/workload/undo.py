"""Steps whose failure must not hide another error."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from libcalico.errors import CalicoError

_log = logging.getLogger(__name__)
T = TypeVar("T")


def undone(what: str, action: Callable[[], object]) -> bool:
    """Undo one step, and return whether that worked.

    A failure is logged, because the error that made us undo is the one to raise.
    """
    try:
        action()
    except CalicoError as error:
        _log.warning("undo failed step=%r error=%r", what, str(error))
        return False
    return True


def tried(failures: list[CalicoError], step: Callable[[], T], otherwise: T) -> T:
    """Return what the step returns; a failure is kept for later."""
    try:
        return step()
    except CalicoError as error:
        failures.append(error)
        return otherwise
