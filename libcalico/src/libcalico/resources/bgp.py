"""BGPConfiguration and BGPPeer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import field

from libcalico.resources.durations import GoDuration
from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import canonical_as_number


class ServiceCIDR(Model):
    """A CIDR of Kubernetes service addresses to advertise."""

    cidr: str = ""


class Community(Model):
    """A named BGP community value, ``a:b`` or ``a:b:c``."""

    name: str = ""
    value: str = ""


class PrefixAdvertisement(Model):
    """Communities (names or values) to add to advertisements inside a CIDR."""

    cidr: str = ""
    communities: list[str] = []


class SecretKeySelector(Model):
    """A key of a secret."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class BGPPassword(Model):
    """Where the password of a session is kept."""

    secret_key_ref: SecretKeySelector | None = None


class BGPConfigurationSpec(Model):
    """Spec of a BGPConfiguration (``default``, or ``node.<name>`` for one node)."""

    log_severity_screen: str = ""
    node_to_node_mesh_enabled: bool | None = None
    as_number: int | str | None = None
    service_load_balancer_ips: list[ServiceCIDR] = field(
        default_factory=list, name="serviceLoadBalancerIPs"
    )
    service_external_ips: list[ServiceCIDR] = field(default_factory=list, name="serviceExternalIPs")
    service_cluster_ips: list[ServiceCIDR] = field(default_factory=list, name="serviceClusterIPs")
    service_load_balancer_aggregation: Literal["Enabled", "Disabled"] | None = None
    communities: list[Community] = []
    prefix_advertisements: list[PrefixAdvertisement] = []
    listen_port: int = 0
    node_mesh_password: BGPPassword | None = None
    node_mesh_max_restart_time: GoDuration | None = None
    bind_mode: Literal["None", "NodeIP"] | None = None
    ignored_interfaces: list[str] = []
    local_workload_peering_ipv4: str = field(default="", name="localWorkloadPeeringIPV4")
    local_workload_peering_ipv6: str = field(default="", name="localWorkloadPeeringIPV6")
    program_cluster_routes: Literal["Enabled", "Disabled"] | None = None
    ipv4_normal_route_priority: int | None = None
    ipv6_normal_route_priority: int | None = None

    def __post_init__(self) -> None:
        if self.as_number is not None:
            self.as_number = canonical_as_number(self.as_number)


class BGPConfiguration(Resource, tag="BGPConfiguration"):
    """BGP settings of the cluster or of one node."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="BGPConfiguration", plural="bgpconfigurations", aliases=("bgpconfig", "bgpconfigs")
    )
    spec: BGPConfigurationSpec = field(default_factory=BGPConfigurationSpec)
    status: dict[str, Any] | None = None


class BGPPeerSpec(Model):
    """Spec of a BGPPeer. An ``asNumber`` of 0 says nothing, and is not stored."""

    node: str = ""
    node_selector: str = ""
    peer_ip: str = field(default="", name="peerIP")
    as_number: int | str | None = None
    local_as_number: int | str | None = field(default=None, name="localASNumber")
    peer_selector: str = ""
    keep_original_next_hop: bool = False
    next_hop_mode: Literal["Auto", "Self", "Keep"] | None = None
    password: BGPPassword | None = None
    source_address: Literal["UseNodeIP", "None"] | None = None
    max_restart_time: GoDuration | None = None
    keepalive_time: GoDuration | None = None
    num_allowed_local_as_numbers: int | None = field(default=None, name="numAllowedLocalASNumbers")
    ttl_security: int | None = None
    reachable_by: str = ""
    filters: list[str] = []
    local_workload_selector: str = ""
    reverse_peering: Literal["Auto", "Manual"] | None = None

    def __post_init__(self) -> None:
        if self.as_number is not None:
            number = canonical_as_number(self.as_number)
            self.as_number = None if number == 0 else number
        if self.local_as_number is not None:
            self.local_as_number = canonical_as_number(self.local_as_number)


class BGPPeer(Resource, tag="BGPPeer"):
    """A BGP session with a router, or between selected nodes."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="BGPPeer", plural="bgppeers", aliases=("bgpp", "bgpps", "bp", "bps")
    )
    spec: BGPPeerSpec = field(default_factory=BGPPeerSpec)
