"""Node: a host that runs calico-node."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import canonical_as_number


class NodeBGPSpec(Model):
    """BGP identity of a node; addresses are ``ip/prefix`` texts."""

    as_number: int | str | None = None
    ipv4_address: str = ""
    ipv6_address: str = ""
    ipv4_ipip_tunnel_addr: str = field(default="", name="ipv4IPIPTunnelAddr")
    route_reflector_cluster_id: str = field(default="", name="routeReflectorClusterID")

    def __post_init__(self) -> None:
        if self.as_number is not None:
            self.as_number = canonical_as_number(self.as_number)


class OrchRef(Model):
    """The node's name in an orchestrator."""

    node_name: str = ""
    orchestrator: str = ""


class NodeWireguardSpec(Model):
    """WireGuard interface addresses."""

    interface_ipv4_address: str = field(default="", name="interfaceIPv4Address")
    interface_ipv6_address: str = field(default="", name="interfaceIPv6Address")


class NodeAddress(Model):
    """An address of the node."""

    address: str
    type: Literal["CalicoNodeIP", "InternalIP", "ExternalIP"] | None = None


class NodeInterface(Model):
    """An interface of the node and its addresses."""

    name: str
    addresses: list[str] = []


class NodeSpec(Model):
    """Spec of a Node."""

    bgp: NodeBGPSpec | None = None
    ipv4_vxlan_tunnel_addr: str = field(default="", name="ipv4VXLANTunnelAddr")
    vxlan_tunnel_mac_addr: str = field(default="", name="vxlanTunnelMACAddr")
    ipv6_vxlan_tunnel_addr: str = field(default="", name="ipv6VXLANTunnelAddr")
    vxlan_tunnel_mac_addr_v6: str = field(default="", name="vxlanTunnelMACAddrV6")
    orch_refs: list[OrchRef] = []
    wireguard: NodeWireguardSpec | None = None
    addresses: list[NodeAddress] = []
    interfaces: list[NodeInterface] = []


class Node(Resource, tag="Node"):
    """A host that runs calico-node."""

    INFO: ClassVar[KindInfo] = KindInfo(kind="Node", plural="nodes", aliases=("no", "nos"))
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: dict[str, Any] = field(default_factory=dict)
