"""Refuse to start a second node with a name or an address that another host has. Pure.

Each host makes itself an identity at its first start (the file ``host-id`` in Calico's library
directory) and writes it on its Node as the annotation :data:`HOST_ID_ANNOTATION`. A Node that carries
another host's identity is that host's; one that carries none (made by ``calicoctl``, or by a node that
knows no identities) belongs to the first host that starts with its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface

from calico_node.startup.model import HOST_ID_ANNOTATION, Address, HostFacts, Version
from libcalico.errors import CalicoError
from libcalico.resources.nodes import Node


class NodeClashError(CalicoError):
    """Another host has the name or an address that this node would take."""


def check_owner(name: str, stored: Node | None, facts: HostFacts, *, take_over: bool) -> None:
    """Make sure that a name is this host's to use.

    Args:
        take_over: the operator says that the host which had the name is gone.

    Raises:
        NodeClashError: the Node belongs to another host.
    """
    owner = owner_of(stored)
    if owner in ("", facts.host_id) or take_over:
        return
    address = (
        stored.spec.bgp.ipv4_address or stored.spec.bgp.ipv6_address
        if stored and stored.spec.bgp
        else ""
    )
    at = f" at {address}" if address else ""
    raise NodeClashError(
        f"node name {name!r} is in use by another host{at} (host-id {owner}); start this one with"
        f" another NODENAME, or, if that host is gone or is this one reinstalled, run"
        f" 'calicoctl delete node {name}' first or set CALICO_TAKE_OVER_NODE=true once"
    )


def check_addresses(node: Node, nodes: Mapping[str, Node], facts: HostFacts) -> None:
    """Make sure that no other Node has an address of this one.

    Raises:
        NodeClashError: one has.
    """
    clash = clashing(node, nodes)
    if clash is None:
        return
    other, version, address = clash
    same_host = owner_of(nodes[other]) == facts.host_id
    remedy = (
        f"it is this host under its former name: run 'calicoctl delete node {other}'"
        if same_host
        else f"give one of them another address (IP{'' if version == 4 else '6'}), or, if"
        f" {other!r} is gone, run 'calicoctl delete node {other}'"
    )
    raise NodeClashError(
        f"Calico node {other!r} is already using the IPv{version} address {address}; {remedy}"
    )


def clashing(node: Node, nodes: Mapping[str, Node]) -> tuple[str, Version, Address] | None:
    """Return the first other Node that shares an address: its name, the family, the address."""
    versions: tuple[Version, ...] = (4, 6)
    for version in versions:
        own = _bgp_address(node, version)
        for name, other in sorted(nodes.items()):
            if own is not None and name != node.name and _bgp_address(other, version) == own:
                return name, version, own
    return None


def owner_of(node: Node | None) -> str:
    """Return the identity of the host that a Node belongs to, "" if it carries none."""
    return node.metadata.annotations.get(HOST_ID_ANNOTATION, "") if node else ""


def _bgp_address(node: Node, version: Version) -> Address | None:
    bgp = node.spec.bgp
    text = (bgp.ipv4_address if version == 4 else bgp.ipv6_address) if bgp else ""
    try:
        return ip_interface(text).ip if text else None
    except ValueError:
        return None
