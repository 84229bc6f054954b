"""What is to be done so that the IPIP device and its address are as wanted. Pure.

``tunl0`` is the kernel's own: it is there from when the module is, others may have use for it, and it cannot
be deleted. So the device is taken over while a pool needs it, and given back, emptied, when none does. That
it is ours is written on it, for whoever comes after a restart.

Source: calico-dataplane reference, section 3.4.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from calico_node.felix.messages import IPIP_DEVICE
from calico_node.felix.routes.tunnels import plan_addresses
from libcalico.net.addresses import Cidr
from libcalico.netlink import addresses, links
from libcalico.netlink.addresses import Address
from libcalico.netlink.links import Change, Ipip, Link

#: The alias of a device that is ours.
OURS: Final = "Calico: IPIP to other nodes"
NO_ADDRESS: Final = "this node has no tunnel address yet"


@dataclass(frozen=True, slots=True)
class Device:
    """The device that is wanted: its MTU, and the tunnel's address on it."""

    mtu: int
    address: Cidr

    @property
    def made(self) -> Ipip:
        """What it is to be made as, where it is not there yet."""
        return Ipip(IPIP_DEVICE, self.mtu, OURS)


def plan_device(wanted: Device, link: Link | None) -> list[bytes]:
    """Return the requests that make the device, or change it."""
    if link is None:
        return [links.encode_ipip(wanted.made)]
    change = Change(
        is_up=None if link.is_up else True,
        mtu=wanted.mtu if link.mtu != wanted.mtu else None,
        alias=OURS if link.alias != OURS else None,
    )
    return [links.encode_change(link.ifindex, change)] if change != Change() else []


def plan_address(wanted: Device, link: Link, present: Collection[Address]) -> list[bytes]:
    """Return the requests that give the device its address, and no other."""
    return plan_addresses(wanted.address, link.ifindex, present)


def plan_return(link: Link | None, present: Collection[Address]) -> list[bytes]:
    """Return the requests that give the device back, if it is ours. What leads through it goes with it.

    The kernel keeps the first one of a namespace although it is to be deleted, and calls that no error.
    """
    if link is None or not is_ours(link):
        return []
    return [
        *(addresses.encode_delete(address) for address in present),
        links.encode_change(link.ifindex, Change(is_up=False, alias="")),
        links.encode_delete(link.ifindex),
    ]


def is_ours(link: Link) -> bool:
    """Whether a link is the IPIP device, and we have taken it over."""
    return (link.name, link.kind, link.alias) == (IPIP_DEVICE, "ipip", OURS)


def stranger(link: Link | None) -> str:
    """Return what is wrong with what has the device's name; empty if nothing is."""
    if link is None or link.kind == "ipip":
        return ""
    kind = f"of kind {link.kind}" if link.kind else "hardware"
    return f"interface {IPIP_DEVICE} is {kind}, not an IPIP device: rename it or delete it"


def missing(pools: Sequence[str]) -> str:
    """Return what to do about a kernel without IPIP devices that pools, by name, need."""
    needed = f"needed by IPPool {', '.join(pools)}" if pools else "needed as ipipEnabled says"
    remedy = "load its module ipip (CONFIG_NET_IPIP), or use vxlanMode"
    return f"this kernel has no IPIP devices: {remedy}; {needed}"
