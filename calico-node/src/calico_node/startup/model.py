"""What start-up works on: what the host shows, what the operator asks for, what the store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import Resource
from libcalico.resources.nodes import Node

Address = IPv4Address | IPv6Address
Interfaced = IPv4Interface | IPv6Interface
Version = Literal[4, 6]

#: Annotation of a Node: which host it belongs to. The value is the text of the file ``host-id``.
HOST_ID_ANNOTATION = "projectcalico.org/host-id"


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A network interface and its addresses with their prefix lengths."""

    name: str
    addresses: tuple[Interfaced, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What the host shows.

    Attributes:
        hostname: as the operating system tells it.
        host_id: identity that outlives reboots and changes of name, made at the first start.
        stored_name: the node name that an earlier start-up chose, "" at the first.
        interfaces: in the order of the kernel.
        source_by_target: ``can-reach`` target → address that the kernel would send from.
        has_ipv6: whether the kernel speaks IPv6 at all.
        random_bits: forty random bits for the default IPv6 pool.
    """

    hostname: str
    host_id: str
    stored_name: str = ""
    interfaces: tuple[HostInterface, ...] = ()
    source_by_target: Mapping[str, Address] = field(default_factory=dict)
    has_ipv6: bool = True
    random_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreView:
    """What the store holds that start-up depends on.

    Attributes:
        nodes: node name → Node, all of them.
    """

    nodes: Mapping[str, Node] = field(default_factory=dict)
    pools: tuple[IPPool, ...] = ()
    felix_configurations: Mapping[str, FelixConfiguration] = field(default_factory=dict)
    bgp_configurations: Mapping[str, BGPConfiguration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupPlan:
    """What start-up will do.

    Attributes:
        node: the Node to store, or None if the stored one is right already.
        defaults: resources to create or update after it, in order.
        notes: lines for the operator.
    """

    node_name: str
    node: Node | None
    defaults: tuple[Resource, ...] = ()
    notes: tuple[str, ...] = ()
