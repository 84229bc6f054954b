"""What is to be done so that a VXLAN device, its address, peers and forwarding entries are as wanted. Pure.

Source: calico-dataplane reference, section 3.3.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from calico_node.felix.routes.overlay import Peer
from libcalico.net.addresses import Cidr
from libcalico.netlink import addresses, links, neighbours
from libcalico.netlink.addresses import Address
from libcalico.netlink.links import Link, Vxlan
from libcalico.netlink.neighbours import NUD_PERMANENT, Forwarding, Neighbour


@dataclass(frozen=True, slots=True)
class Wanted:
    """A VXLAN device, the tunnel's address on it, and the other nodes."""

    device: Vxlan
    address: Cidr
    peers: Collection[Peer] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """What there is: the device (None: it is not there), its addresses, its peers."""

    link: Link | None = None
    addresses: Collection[Address] = ()
    neighbours: Collection[Neighbour] = field(default=())
    forwarding: Collection[Forwarding] = field(default=())


def plan_device(wanted: Vxlan | None, link: Link | None) -> list[bytes]:
    """Return the requests that make, change or delete a device.

    What it is made with cannot be changed: then it is made anew, and its entries and routes go with it.
    """
    if wanted is None:
        return [links.encode_delete(link.ifindex)] if link is not None else []
    if link is None:
        return [links.encode_vxlan(wanted)]
    if _identity(links.vxlan_of(link)) != _identity(wanted):
        return [links.encode_delete(link.ifindex), links.encode_vxlan(wanted)]
    change = links.Change(
        is_up=None if link.is_up else True,
        mtu=wanted.mtu if link.mtu != wanted.mtu else None,
        mac=wanted.mac if link.mac != wanted.mac else None,
    )
    return [links.encode_change(link.ifindex, change)] if change != links.Change() else []


def plan_entries(wanted: Wanted, present: Present) -> list[bytes]:
    """Return the requests that bring addresses, neighbours and forwarding entries of the device about.

    The kernel's own link-local addresses and what it learned by itself are left alone.
    """
    if present.link is None:
        return []
    index = present.link.ifindex
    return [
        *plan_addresses(wanted.address, index, present.addresses),
        *_plan_neighbours(wanted, index, present.neighbours),
        *_plan_forwarding(wanted, index, present.forwarding),
    ]


def _identity(vxlan: Vxlan | None) -> Vxlan | None:
    """Return what of a device is fixed when it is made."""
    return None if vxlan is None else vxlan._replace(mac=None, mtu=0)


def plan_addresses(wanted: Cidr, index: int, present: Collection[Address]) -> list[bytes]:
    """Return the requests that give a link its address, and no other but the kernel's own link-local ones."""
    ours = [a for a in present if a.scope == addresses.SCOPE_GLOBAL]
    requests = [addresses.encode_delete(a) for a in ours if a.cidr != wanted]
    if has_address(wanted, present):
        return requests
    flags = addresses.IFA_F_NODAD if wanted.version == 6 else 0
    return [addresses.encode_replace(Address(wanted, index, flags=flags)), *requests]


def has_address(wanted: Cidr, present: Collection[Address]) -> bool:
    """Whether the device has its address. With its last one it loses its IPv4 routes, too, without a word."""
    return any(a.cidr == wanted for a in present)


def _plan_neighbours(wanted: Wanted, index: int, present: Collection[Neighbour]) -> list[bytes]:
    missing = {peer.address: Neighbour(peer.address, index, peer.mac) for peer in wanted.peers}
    requests = []
    for there in present:
        if missing.get(there.address) == there:
            del missing[there.address]
        elif there.address not in missing and there.state & NUD_PERMANENT:
            requests.append(neighbours.encode_delete(there))
    return requests + [neighbours.encode_replace(entry) for entry in missing.values()]


def _plan_forwarding(wanted: Wanted, index: int, present: Collection[Forwarding]) -> list[bytes]:
    missing = {peer.mac: Forwarding(peer.mac, index, peer.host) for peer in wanted.peers}
    requests = []
    for there in present:
        entry = missing.get(there.mac)
        if entry is not None and entry.host == there.host and there.state & NUD_PERMANENT:
            del missing[there.mac]
        elif entry is None and any(there.mac):
            requests.append(neighbours.encode_delete(there))
    return requests + [neighbours.encode_replace(entry) for entry in missing.values()]
