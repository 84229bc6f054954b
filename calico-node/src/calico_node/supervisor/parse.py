"""What supervisord answers → values."""

from __future__ import annotations

from typing import Any

from calico_node.supervisor.model import ProcessState
from libcalico.errors import ValidationError


def process_states(answer: Any) -> tuple[ProcessState, ...]:
    """Return the states in a ``getAllProcessInfo`` answer, in its order.

    Raises:
        ValidationError: it is no such answer.

    Source: supervisor's XML-RPC API, ``supervisor.getProcessInfo``.
    """
    if not isinstance(answer, list):
        raise ValidationError(f"supervisord answered {answer!r}, which is no list of processes")
    try:
        return tuple(_state(entry) for entry in answer)
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(f"supervisord described a process without {error}") from error


def _state(entry: dict[str, Any]) -> ProcessState:
    ended = bool(entry["stop"])
    return ProcessState(
        name=str(entry["name"]),
        state=str(entry["statename"]),
        pid=int(entry["pid"]),
        exit_code=int(entry["exitstatus"]) if ended else None,
        detail=str(entry["spawnerr"] or entry["description"]),
    )
