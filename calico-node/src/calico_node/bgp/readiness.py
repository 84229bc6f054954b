"""Whether BIRD is ready, and what its sessions look like to people. Pure.

Source: Calico's ``calico-node -bird-ready`` and ``calicoctl node status``.
"""

from __future__ import annotations

from collections.abc import Sequence

from calico_node.bgp import parse
from calico_node.bgp.parse import DaemonStatus, ProtocolState


def why_not_ready(
    protocols: Sequence[ProtocolState], status: DaemonStatus, *, just_started: bool
) -> str:
    """Return why BIRD is not ready, "" if it is.

    A node that just started waits for all its peers, so that no route is missing when it takes up
    work; later it is ready while one session is up. Without any peer it is ready.
    """
    sessions = [state for state in protocols if parse.peer_of(state.name)]
    down = [state.name for state in sessions if not state.is_established]
    if just_started and status.recovering:
        return "graceful restart in progress"
    if not down or (not just_started and len(down) < len(sessions)):
        return ""
    return f"BGP not established with {','.join(_address(name) for name in down)}"


def _address(name: str) -> str:
    peer = parse.peer_of(name)
    return peer[1] if peer else name


def peers(protocols: Sequence[ProtocolState]) -> dict[str, list[dict[str, str]]]:
    """Return the sessions as ``calicoctl node status`` shows them, by IP version."""
    shown: dict[str, list[dict[str, str]]] = {"ipv4": [], "ipv6": []}
    for state in protocols:
        peer = parse.peer_of(state.name)
        if peer is None:
            continue
        kind, address, _ = peer
        row = {
            "address": address,
            "type": kind,
            "state": state.state,
            "since": state.since,
            "info": state.info,
        }
        shown["ipv6" if ":" in address else "ipv4"].append(row)
    return shown
