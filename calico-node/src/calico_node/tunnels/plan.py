"""Which tunnels of a node need an address, from which pools, and where its Node has it. Pure.

Source: calico-control-plane reference, sections 5.3 and 7.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from libcalico.errors import SelectorSyntaxError
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node, NodeBGPSpec
from libcalico.selector import parse


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A kind of tunnel of one IP version.

    Attributes:
        handle: of its address in IPAM, less the node's name at the end.
        attribute: what IPAM notes as the address's type.
        mode: field of a pool's spec that asks for this encapsulation.
        field: of a Node's spec (or, ``in_bgp``, of its BGP part) that has the address.
    """

    version: Literal[4, 6]
    handle: str
    attribute: str
    mode: str
    field: str
    in_bgp: bool = False


TUNNELS: Final = (
    Tunnel(4, "ipip-tunnel-addr-", "ipipTunnelAddress", "ipip_mode", "ipv4_ipip_tunnel_addr", True),
    Tunnel(4, "vxlan-tunnel-addr-", "vxlanTunnelAddress", "vxlan_mode", "ipv4_vxlan_tunnel_addr"),
    Tunnel(
        6, "vxlan-v6-tunnel-addr-", "vxlanV6TunnelAddress", "vxlan_mode", "ipv6_vxlan_tunnel_addr"
    ),
)


def candidates(tunnel: Tunnel, pools: Iterable[IPPool], node: Node) -> tuple[str, ...]:
    """Return the CIDRs of the pools from which a tunnel's address may come, in the order of their names."""
    return tuple(
        pool.spec.cidr
        for pool in sorted(pools, key=lambda pool: pool.name)
        if _is_candidate(tunnel, pool, node)
    )


def address_of(tunnel: Tunnel, node: Node) -> str:
    """Return the address that a Node has for a tunnel; empty if none."""
    where = node.spec.bgp if tunnel.in_bgp else node.spec
    return "" if where is None else str(getattr(where, tunnel.field))


def with_address(tunnel: Tunnel, node: Node, address: str) -> Node:
    """Return the Node with this address, or, empty, without one."""
    spec = node.spec
    if not tunnel.in_bgp:
        return node.with_(spec=spec.with_(**{tunnel.field: address}))
    bgp = (spec.bgp or NodeBGPSpec()).with_(**{tunnel.field: address})
    return node.with_(spec=spec.with_(bgp=None if bgp == NodeBGPSpec() else bgp))


def choose(current: str, owned: Iterable[str], cidrs: Iterable[str]) -> str:
    """Return which address to keep: the one in use, else one that IPAM says is ours; empty if none may be.

    Args:
        current: that the Node has.
        owned: that IPAM has given us for the tunnel.
        cidrs: where it may come from.
    """
    networks = [parse_cidr(text, strict=False) for text in cidrs]
    usable = [a for a in owned if any(n.contains(parse_address(a)) for n in networks)]
    return current if current in usable else next(iter(usable), "")


def _is_candidate(tunnel: Tunnel, pool: IPPool, node: Node) -> bool:
    spec = pool.spec
    return (
        not spec.disabled
        and (not spec.allowed_uses or "Tunnel" in spec.allowed_uses)
        and (6 if ":" in spec.cidr else 4) == tunnel.version
        and getattr(spec, tunnel.mode) in ("Always", "CrossSubnet")
        and _selects(spec.node_selector, node)
    )


def _selects(selector: str, node: Node) -> bool:
    """Whether a pool is for a node; with a selector that cannot be read it is for none."""
    try:
        return not selector or bool(parse(selector).evaluate(node.metadata.labels))
    except SelectorSyntaxError:
        return False
