"""What calico-node reports about itself → the text of ``calicoctl node status``. Pure.

Source of the form: calico-control-plane reference, section 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calicoctl.grid import grid

_HEADER = ("PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO")
_TYPES = {"Mesh": "node-to-node mesh", "Node": "node specific", "Global": "global"}


def render(report: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the text, and whether all services run.

    Args:
        report: ``{"services": {name: state}, "bgp": {"ipv4": [peer...], "ipv6": [...]} | null}`` with
            peers ``{"address", "type", "state", "since", "info"}``.
    """
    services: Mapping[str, str] = report.get("services") or {}
    if not services:
        return "Calico process is not running.", False
    healthy = all(state == "RUNNING" for state in services.values())
    if healthy:
        lines = ["Calico process is running."]
    else:
        lines = ["Calico process is running, but not all of its services are."]
    lines += [
        f"  {name}: {state}" for name, state in sorted(services.items()) if state != "RUNNING"
    ]
    bgp = report.get("bgp")
    if bgp is None:
        lines += ["", "The BGP backend process (BIRD) is not running."]
    else:
        for version, title in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
            lines += ["", f"{title} BGP status", _peers(bgp.get(version) or [], title)]
    return "\n".join(lines), healthy


def _peers(peers: Sequence[Mapping[str, Any]], title: str) -> str:
    if not peers:
        return f"No {title} peers found."
    rows = [
        (
            str(peer.get("address", "")),
            _TYPES.get(str(peer.get("type", "")), str(peer.get("type", ""))),
            str(peer.get("state", "")),
            str(peer.get("since", "")),
            str(peer.get("info", "")),
        )
        for peer in peers
    ]
    return grid(_HEADER, rows)
