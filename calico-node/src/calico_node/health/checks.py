"""What ``calico-node health`` asks: Felix's endpoint, the BGP agent's endpoint, and BIRD itself.

Source: Calico's ``calico-node -felix-ready -bird-ready`` probes, in words and in rules.
"""

from __future__ import annotations

import socket
from pathlib import Path

from calico_node.health import apply as endpoint
from libcalico.errors import UnavailableError

_GOOD = range(200, 400)


async def why_not(host: str, port: int, path: str) -> str:
    """Ask an endpoint; returns "" if all is well, else a sentence (with the endpoint's table)."""
    try:
        answer = await endpoint.ask(host, port, path)
    except UnavailableError as error:
        return str(error)
    if answer.status in _GOOD:
        return ""
    return f"{path.strip('/')} check failed (HTTP {answer.status})\n{answer.body}".rstrip()


def why_deaf(path: Path) -> str:
    """Connect to a Unix socket; returns "" if somebody listens there, else a sentence."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError as error:
            return f"nobody listens at {path} ({error.strerror or error})"
    return ""
