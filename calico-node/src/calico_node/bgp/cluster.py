"""What this node knows of the cluster when it plans BGP, and the settings that follow from it. Pure.

Source of the precedence rules: Calico's BGPConfiguration reference; ``node.<name>`` overrides
``default`` except for the fields that are allowed on ``default`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, ip_interface
from typing import Any

from calico_node.bgp.model import NORMAL_PRIORITY, Address, DebugLevel, Version
from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPConfiguration, BGPConfigurationSpec, BGPPeer
from libcalico.resources.bgpfilter import BGPFilter
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node
from libcalico.resources.numorstring import canonical_as_number

DEFAULT_AS = 64512
DEFAULT_PORT = 179
_HIGHEST_FIRST_OCTET = 223
_NO_CONFIGURATION = BGPConfigurationSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The resources that BGP on this node depends on.

    Attributes:
        nodes, peers, filters, configurations, pools: resource name → resource.
        affinities: block CIDR → state of this host's affinity; "" if it carries none.
        passwords: (secret name, key) → password, as far as this host holds them.
        router_id_setting: ``CALICO_ROUTER_ID``: an address, ``hash``, or "" for the node's address.
        log_setting: ``BGP_LOGSEVERITYSCREEN``, used when no BGPConfiguration says otherwise.
    """

    node_name: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    peers: Mapping[str, BGPPeer] = field(default_factory=dict)
    filters: Mapping[str, BGPFilter] = field(default_factory=dict)
    configurations: Mapping[str, BGPConfiguration] = field(default_factory=dict)
    pools: Mapping[str, IPPool] = field(default_factory=dict)
    affinities: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[tuple[str, str], str] = field(default_factory=dict)
    router_id_setting: str = ""
    log_setting: str = ""

    @property
    def own(self) -> Node:
        """This node's resource; an empty one while it does not exist."""
        return self.nodes.get(self.node_name) or Node()

    @property
    def shared(self) -> BGPConfigurationSpec:
        """The ``default`` BGPConfiguration's spec, empty if there is none."""
        return self._spec("default")

    def setting(self, attribute: str, node_name: str | None = None) -> Any:
        """Return a setting of a node (this one by default): its own if set, else the cluster's."""
        own = getattr(self._spec(f"node.{node_name or self.node_name}"), attribute)
        return own or getattr(self.shared, attribute)

    def _spec(self, name: str) -> BGPConfigurationSpec:
        found = self.configurations.get(name)
        return found.spec if found else _NO_CONFIGURATION


def address_of(node: Node, version: Version) -> Address | None:
    """Return the node's BGP address of one family, or None if it has none that can be used."""
    bgp = node.spec.bgp
    text = (bgp.ipv4_address if version == 4 else bgp.ipv6_address) if bgp else ""
    try:
        address = ip_interface(text).ip
    except ValueError:
        return None
    return address if address.version == version else None


def cluster_id_of(node: Node) -> str:
    """Return the route reflector cluster id of a node, "" if it is none."""
    return node.spec.bgp.route_reflector_cluster_id if node.spec.bgp else ""


def as_number(value: int | str | None, subject: str) -> int | None:
    """Return an AS number, None if unset.

    Raises:
        ValidationError: the value is no AS number.
    """
    if value is None or value == "":
        return None
    number = canonical_as_number(value)
    if isinstance(number, int) and 0 <= number < 2**32:
        return number or None
    raise ValidationError(f"{subject}: {value!r} is no AS number; it is 1 to 4294967295, or x.y")


def global_as(cluster: Cluster) -> int:
    """Return the AS number of nodes that have none of their own."""
    return as_number(cluster.shared.as_number, "BGPConfiguration(default)") or DEFAULT_AS


def own_as(cluster: Cluster) -> int:
    """Return this node's AS number."""
    return _node_as(cluster.own) or global_as(cluster)


def as_of(cluster: Cluster, node: Node) -> int:
    """Return the AS number of another node."""
    return _node_as(node) or global_as(cluster)


def _node_as(node: Node) -> int | None:
    return as_number(node.spec.bgp.as_number if node.spec.bgp else None, f"Node({node.name})")


def listen_port(cluster: Cluster, node_name: str | None = None) -> int:
    """Return the port that a node's BIRD listens on."""
    return int(cluster.setting("listen_port", node_name) or DEFAULT_PORT)


def priority(cluster: Cluster, version: Version) -> int:
    """Return the priority of ordinary routes of one family."""
    return int(cluster.setting(f"ipv{version}_normal_route_priority") or NORMAL_PRIORITY)


def debug_level(cluster: Cluster) -> DebugLevel:
    """Return how much BIRD tells: ``none`` nothing, ``debug`` everything, else changes of state."""
    match str(cluster.setting("log_severity_screen") or cluster.log_setting).lower():
        case "none":
            return DebugLevel.NONE
        case "debug" | "trace":
            return DebugLevel.ALL
        case _:
            return DebugLevel.STATES


def router_id(cluster: Cluster) -> IPv4Address:
    """Return the router id: as configured, else the node's IPv4 address, else a hash of its name.

    Raises:
        ValidationError: ``CALICO_ROUTER_ID`` is neither an IPv4 address nor ``hash``.
    """
    setting = cluster.router_id_setting
    address = address_of(cluster.own, 4)
    if setting == "hash" or (not setting and address is None):
        return _hashed_router_id(cluster.node_name)
    try:
        return IPv4Address(setting or str(address))
    except ValueError:
        raise ValidationError(
            f"CALICO_ROUTER_ID: {setting!r} is no IPv4 address; give one, or 'hash'"
        ) from None


def _hashed_router_id(name: str) -> IPv4Address:
    first, *rest = sha256(name.encode()).digest()[:4]
    return IPv4Address(bytes([first - 32 if first > _HIGHEST_FIRST_OCTET else first, *rest]))
