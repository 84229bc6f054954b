"""bgp and node bgp: peers by address, the mesh, AS numbers, log levels.

Source of the words: python-era reference, sections 1.3, 1.8 and 1.9; but the default AS number is that
of Calico v3.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calicoctl.grid import grid
from libcalico.client import Client
from libcalico.errors import AlreadyExistsError, NotFoundError, ValidationError
from libcalico.net.addresses import parse_address
from libcalico.resources.bgp import BGPConfiguration, BGPPeer, BGPPeerSpec
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.model import ObjectMeta

DEFAULT_AS = 64512
_DEFAULT = "default"
_NODENAME_FILE = Path("/var/lib/calico/nodename")
#: The words for levels → what Calico v3 calls them; the last two have no word of their own there.
LEVELS = {
    "none": "Fatal",
    "debug": "Debug",
    "info": "Info",
    "warning": "Warning",
    "error": "Error",
    "critical": "Fatal",
}
BGP_LEVELS = ("none", "debug", "info")


def this_node() -> str:
    """Return the name of this host as a node: NODENAME, what calico-node chose, or the host's name."""
    named = os.environ.get("NODENAME") or os.environ.get("HOSTNAME") or ""
    if not os.environ.get("NODENAME") and _NODENAME_FILE.exists():
        named = _NODENAME_FILE.read_text(encoding="utf-8")
    return (named.strip() or platform.node()).lower()


def _peers(client: Client, node: str) -> list[BGPPeer]:
    """Return the peers of one node, or ("") those of all nodes."""
    return [
        peer
        for peer in client.bgppeers.list()
        if peer.spec.peer_ip and peer.spec.node == node and not peer.spec.node_selector
    ]


def add_peer(client: Client, address: str, as_number: str, node: str = "") -> None:
    """Add a peer, or change its AS number.

    Raises:
        ValidationError: this is no address, or no AS number.
        NotFoundError: there is no such node.
    """
    wanted = parse_address(address).address
    if node:
        client.nodes.get(node)
    found = next((peer for peer in _peers(client, node) if peer.spec.peer_ip == wanted), None)
    name = (f"{node}-" if node else "") + "peer-" + wanted.replace(".", "-").replace(":", "-")
    peer = found or BGPPeer(metadata=ObjectMeta(name=name.rstrip("-")), spec=BGPPeerSpec(node=node))
    spec = peer.spec.with_(peer_ip=wanted, as_number=parse_as(as_number))
    client.bgppeers.apply(peer.with_(spec=spec))


def parse_as(text: str) -> int:
    """Return an AS number given plainly or as ``high.low``.

    Raises:
        ValidationError: it is none.
    """
    high, dot, low = text.partition(".")
    digits = (high, low) if dot else (high,)
    if all(part.isascii() and part.isdigit() for part in digits):
        numbers = [int(part) for part in digits]
        number = (numbers[0] << 16) + numbers[1] if dot else numbers[0]
        if number < 2**32 and (not dot or max(numbers) < 2**16):
            return number
    raise ValidationError(f"{text!r} is no AS number: 0 to 4294967295, or 0.0 to 65535.65535")


def remove_peer(client: Client, address: str, node: str = "") -> None:
    """Remove a peer. Raises NotFoundError if there is none with that address."""
    wanted = parse_address(address).address
    for peer in _peers(client, node):
        if peer.spec.peer_ip == wanted:
            client.bgppeers.delete(peer.name)
            return
    raise NotFoundError(f"no BGP peer {wanted} is configured{f' for {node}' if node else ''}")


def peers_table(client: Client, versions: Sequence[int], node: str = "") -> str:
    """Return a table of the peers of each family."""
    title = "Node specific" if node else "Global"
    parts = []
    for version in versions:
        found = [p for p in _peers(client, node) if (":" in p.spec.peer_ip) == (version == 6)]
        rows = [(p.spec.peer_ip, str(p.spec.as_number or "(inherited)")) for p in found]
        header = (f"{title} IPv{version} BGP Peer", "AS Num")
        parts.append(grid(header, rows) if rows else f"No {title} IPv{version} BGP Peers defined.")
    return "\n".join(parts)


def configuration(client: Client, name: str = _DEFAULT) -> BGPConfiguration:
    """Return BGP's settings; empty if there are none."""
    try:
        return client.bgpconfigurations.get(name)
    except NotFoundError:
        return BGPConfiguration(metadata=ObjectMeta(name=name))


def configure(client: Client, changes: Mapping[str, Any], name: str = _DEFAULT) -> None:
    """Change BGP's settings; keys are fields of the spec."""
    _change(
        client.bgpconfigurations,
        configuration(client, name),
        lambda stored: stored.with_(spec=stored.spec.with_(**changes)),
    )


def felix_configuration(client: Client) -> FelixConfiguration:
    """Return Felix' settings; empty if there are none."""
    try:
        return client.felixconfigurations.get(_DEFAULT)
    except NotFoundError:
        return FelixConfiguration(metadata=ObjectMeta(name=_DEFAULT))


def configure_felix(client: Client, changes: Mapping[str, Any]) -> None:
    """Change Felix' settings; keys are fields of the spec."""
    _change(
        client.felixconfigurations,
        felix_configuration(client),
        lambda stored: stored.with_(spec=stored.spec.with_(**changes)),
    )


def _change(resources: Any, blank: Any, change: Callable[[Any], Any]) -> None:
    """Create the object, or change the one that is stored."""
    if not blank.metadata.resource_version:
        try:
            resources.create(change(blank))
        except AlreadyExistsError:
            pass
        else:
            return
    resources.modify(blank.name, change)


def nodes_table(client: Client) -> str:
    """Return the table of all nodes with their peers."""
    number = configuration(client).spec.as_number or DEFAULT_AS
    rows = []
    for node in sorted(client.nodes.list(), key=lambda node: node.name):
        bgp = node.spec.bgp
        own = bgp.as_number if bgp is not None else None
        peers = _peers(client, node.name)
        rows.append(
            (
                node.name,
                bgp.ipv4_address.partition("/")[0] if bgp is not None else "",
                bgp.ipv6_address.partition("/")[0] if bgp is not None else "",
                f"{number} (inherited)" if own is None else str(own),
                _listed(peers, 4),
                _listed(peers, 6),
            )
        )
    header = ("Hostname", "Bird IPv4", "Bird IPv6", "AS Num", "BGP Peers v4", "BGP Peers v6")
    return grid(header, rows, between=True)


def _listed(peers: Sequence[BGPPeer], version: int) -> str:
    return "\n".join(
        f"{peer.spec.peer_ip} as {peer.spec.as_number}"
        for peer in peers
        if (":" in peer.spec.peer_ip) == (version == 6)
    )
