"""WorkloadEndpoint: one interface of a workload."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import number_if_numeric
from libcalico.resources.policy import Protocol


class IPNAT(Model):
    """A floating address: traffic to ``external_ip`` reaches ``internal_ip``."""

    internal_ip: str = field(default="", name="internalIP")
    external_ip: str = field(default="", name="externalIP")


class EndpointPort(Model, omit_defaults=False):
    """A named port of an endpoint."""

    name: str
    protocol: Protocol
    port: int
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")

    def __post_init__(self) -> None:
        self.protocol = number_if_numeric(self.protocol)


class QoSControls(Model):
    """Limits in bit/s, bits, packets/s and connections; 0 is no limit."""

    ingress_bandwidth: int = 0
    egress_bandwidth: int = 0
    ingress_burst: int = 0
    egress_burst: int = 0
    ingress_peakrate: int = 0
    egress_peakrate: int = 0
    ingress_minburst: int = 0
    egress_minburst: int = 0
    ingress_packet_rate: int = 0
    egress_packet_rate: int = 0
    ingress_packet_burst: int = 0
    egress_packet_burst: int = 0
    ingress_max_connections: int = 0
    egress_max_connections: int = 0
    dscp: int | str | None = None

    def __post_init__(self) -> None:
        if self.dscp is not None:
            self.dscp = number_if_numeric(self.dscp)


class WorkloadEndpointSpec(Model):
    """Spec of a WorkloadEndpoint; ``ip_networks`` are /32 and /128 texts."""

    orchestrator: str = ""
    workload: str = ""
    node: str = ""
    container_id: str = field(default="", name="containerID")
    pod: str = ""
    endpoint: str = ""
    service_account_name: str = ""
    ip_networks: list[str] = field(default_factory=list, name="ipNetworks")
    ip_nats: list[IPNAT] = field(default_factory=list, name="ipNATs")
    ipv4_gateway: str = ""
    ipv6_gateway: str = ""
    profiles: list[str] = []
    interface_name: str = ""
    mac: str = ""
    ports: list[EndpointPort] = []
    allow_spoofed_source_prefixes: list[str] = []
    qos_controls: QoSControls | None = None


class WorkloadEndpoint(Resource, tag="WorkloadEndpoint"):
    """One interface of a workload on a node."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="WorkloadEndpoint",
        plural="workloadendpoints",
        namespaced=True,
        aliases=("wep", "weps"),
    )
    spec: WorkloadEndpointSpec = field(default_factory=WorkloadEndpointSpec)
