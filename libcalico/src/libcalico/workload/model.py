"""What a workload is, what attaching it needs, and what came of it. No orchestrator's protocol here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libcalico.net.addresses import Cidr
from libcalico.resources.endpoints import EndpointPort

#: In IPv4, workloads send everything to this address, which no host has: the host answers ARP for it.
GATEWAY_V4 = Cidr(4, 0xA9FE0101, 32)  # 169.254.1.1
#: In IPv6, to the link-local address that the host end has by its MAC, ee:ee:ee:ee:ee:ee.
GATEWAY_V6 = Cidr(6, 0xFE80_0000_0000_0000_ECEE_EEFF_FEEE_EEEE, 128)
DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Names one interface of one workload.

    Attributes:
        node: the host's name in Calico.
        orchestrator: ``k8s``, ``cni``, ``libnetwork`` or another.
        namespace: of the workload endpoint.
        container_id: the runtime's name for the container (or sandbox); changes when it is made anew.
        pod: Kubernetes only.
        workload: for orchestrators that have neither pods nor containers.
        endpoint: the interface, as its orchestrator names it (``eth0``).
    """

    node: str
    orchestrator: str
    namespace: str
    endpoint: str
    container_id: str = ""
    pod: str = ""
    workload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRequest:
    """Addresses that IPAM is to assign.

    Attributes:
        handle: owner of the addresses in IPAM.
        num4: how many IPv4 addresses; ``num6`` likewise.
        pools4: names or CIDRs of pools to use; None: those that select the node.
        wanted: particular addresses instead; then the numbers and pools do not count.
        attributes: what to write about the owner.
        held: addresses that the handle owns already, and keeps whatever becomes of this request.
    """

    handle: str
    num4: int = 1
    num6: int = 0
    pools4: Sequence[str] | None = None
    pools6: Sequence[str] | None = None
    wanted: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    held: Sequence[Cidr] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A workload's interface to be made.

    Attributes:
        host_interface: name of the host end.
        interface: name inside the namespace.
        mac: of the end inside; random if None.
        mtu: 0 is :data:`DEFAULT_MTU`.
        labels: of the endpoint.
        annotations: of the endpoint; those that others wrote there stay.
        profiles: of the endpoint, in order.
        routes: destinations to route beside the default route.
        default_route: whether to make the default route although ``routes`` are given.
        leads: whether its default routes come before those of interfaces that are there already.
        forwarding: whether the workload may forward packets; None leaves its setting.
    """

    identity: Identity
    host_interface: str
    interface: str
    mac: bytes | None = None
    mtu: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    profiles: Sequence[str] = ()
    ports: Sequence[EndpointPort] = ()
    routes: Sequence[Cidr] = ()
    default_route: bool = True
    leads: bool = False
    forwarding: bool | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a workload, as /32 or /128, and the pool it came from (empty if not from IPAM)."""

    cidr: Cidr
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What was made.

    Attributes:
        endpoint: name of the WorkloadEndpoint.
        mac: of the end inside the namespace.
        programmed: whether Felix reported in time that policy is in force; None if nobody asked it.
    """

    endpoint: str
    host_interface: str
    interface: str
    mac: bytes
    mtu: int
    addresses: tuple[Address, ...]
    programmed: bool | None = None
