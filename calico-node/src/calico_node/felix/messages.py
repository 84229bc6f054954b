"""What the calculation tells the dataplane. Frozen values without behaviour.

The calculation turns datastore updates into one :class:`Changes` per flush. Applied in the order of
their arrival, the changes describe everything this host must enforce; they never depend on the path
that led there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import Final, Literal, NewType

from libcalico.net.addresses import Cidr
from libcalico.net.ports import PortRange

#: Identity of an IP set, e.g. ``s:<hash>`` (selector) or ``n:<hash>`` (named port).
SetId = NewType("SetId", str)
Action = Literal["Allow", "Deny", "Log", "Pass"]
Direction = Literal["ingress", "egress"]
Tunnel = Literal["VXLAN", "IPIP"]
#: All interfaces that a host endpoint governs are up, or one is not, or there is none.
HostLinks = Literal["up", "down", "missing"]

#: Names of our VXLAN devices, by IP version. Source: calico-dataplane reference, section 3.3.
VXLAN_DEVICES: Final = {4: "vxlan.calico", 6: "vxlan-v6.calico"}
#: Name of our IPIP device, the kernel's own first one. Source: calico-dataplane reference, section 3.4.
IPIP_DEVICE: Final = "tunl0"


@dataclass(frozen=True, slots=True, order=True)
class PolicyId:
    """Names a policy: kind, namespace (empty for global ones), name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Readable form, e.g. ``GlobalNetworkPolicy(deny-all)``."""
        return (
            f"{self.kind}({self.namespace}/{self.name})"
            if self.namespace
            else f"{self.kind}({self.name})"
        )


@dataclass(frozen=True, slots=True, order=True)
class EndpointId:
    """Names a workload endpoint by namespace and resource name."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class PortMember:
    """A member of a named-port set: one address, protocol number and port."""

    address: Cidr
    protocol: int
    port: int


#: Members of selector sets are CIDRs of both families; of named-port sets, PortMembers.
Member = Cidr | PortMember


@dataclass(frozen=True, slots=True)
class RuleSide:
    """One side of a compiled rule; empty tuples restrict nothing.

    ``sets``/``not_sets``: every one must (must not) contain the address. ``ports`` and ``port_sets``
    are alternatives of each other: one of them must match; likewise one of ``nets``.
    """

    nets: tuple[Cidr, ...] = ()
    not_nets: tuple[Cidr, ...] = ()
    sets: tuple[SetId, ...] = ()
    not_sets: tuple[SetId, ...] = ()
    ports: tuple[PortRange, ...] = ()
    port_sets: tuple[SetId, ...] = ()
    not_ports: tuple[PortRange, ...] = ()
    not_port_sets: tuple[SetId, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with selectors replaced by set identities and protocols by numbers.

    ``icmp``/``not_icmp``: (type, code or None). ``ip_version`` None means both families.
    """

    action: Action
    ip_version: Literal[4, 6] | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: tuple[int, int | None] | None = None
    not_icmp: tuple[int, int | None] | None = None
    source: RuleSide = RuleSide()
    destination: RuleSide = RuleSide()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """Rules of a policy or profile that some local endpoint uses, or that are to be there anyway.

    ``missing`` True stands for a profile that does not exist: everything is denied. ``everywhere``: its
    chains and sets are in the kernel also while no local endpoint uses them.
    """

    tier: str
    ingress: tuple[CompiledRule, ...]
    egress: tuple[CompiledRule, ...]
    missing: bool = False
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class TierPolicies:
    """The policies of one tier that apply to an endpoint, in order, per direction.

    A direction without policies skips the tier. ``default_action``: Deny or Pass, at the tier's end.
    """

    name: str
    default_action: Literal["Deny", "Pass"]
    ingress: tuple[PolicyId, ...]
    egress: tuple[PolicyId, ...]


@dataclass(frozen=True, slots=True)
class EndpointPolicies:
    """The ordered tiers and profiles of an endpoint; equal values share one endpoint class."""

    tiers: tuple[TierPolicies, ...]
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class FloatingAddress:
    """Traffic to ``external`` reaches the endpoint's address ``internal``; both of one family."""

    external: Cidr
    internal: Cidr


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint may receive (ingress) or send (egress); 0 is no limit.

    Attributes:
        bandwidth: bit/s.
        burst: bits beyond it in one go; 0 with a bandwidth leaves the choice to the dataplane.
        peakrate: bit/s at which the burst may pass.
        minburst: bytes that may pass at once at the peak rate.
        packet_rate: packets/s.
        packet_burst: packets beyond it in one go; 0 is the kernel's default.
        connections: tracked connections at a time.
    """

    bandwidth: int = 0
    burst: int = 0
    peakrate: int = 0
    minburst: int = 0
    packet_rate: int = 0
    packet_burst: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of service of an endpoint. ``dscp`` marks what leaves the cluster; None leaves it as it is."""

    ingress: Limits = Limits()
    egress: Limits = Limits()
    dscp: int | None = None

    def limits(self, direction: Direction) -> Limits:
        """Return the limits of one direction."""
        return self.ingress if direction == "ingress" else self.egress


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """A workload endpoint of this host. ``addresses`` are host CIDRs of both families."""

    interface: str
    addresses: tuple[Cidr, ...]
    mac: str
    policies: EndpointPolicies
    allowed_sources: tuple[Cidr, ...] = ()
    floating: tuple[FloatingAddress, ...] = ()
    quality: Quality = Quality()


@dataclass(frozen=True, slots=True)
class HostPolicies:
    """The policies of a host endpoint, by where a packet meets them.

    ``normal``: traffic of the host itself; ``forward``: what the host forwards; ``pre_dnat``: what
    arrives, before destination NAT; ``untracked``: before connection tracking. Only the first ends with
    profiles; the last two never end with a tier's default action.
    """

    normal: EndpointPolicies = EndpointPolicies((), ())
    forward: tuple[TierPolicies, ...] = ()
    pre_dnat: tuple[TierPolicies, ...] = ()
    untracked: tuple[TierPolicies, ...] = ()


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """The host endpoint, by its name, that governs an interface of this host."""

    name: str
    policies: HostPolicies


@dataclass(frozen=True, slots=True)
class Pool:
    """What Felix needs of an IPPool. ``encapsulation`` modes: Never, Always, CrossSubnet."""

    cidr: Cidr
    nat_outgoing: bool
    ipip: str = "Never"
    vxlan: str = "Never"

    @property
    def tunnel(self) -> Tunnel | None:
        """What packets between its hosts are encapsulated in, all or some; None: they are not."""
        if self.vxlan != "Never":
            return "VXLAN"
        return "IPIP" if self.ipip != "Never" else None

    @property
    def mode(self) -> str:
        """When they are encapsulated: Never, Always, CrossSubnet."""
        return self.vxlan if self.vxlan != "Never" else self.ipip


@dataclass(frozen=True, slots=True)
class Vtep:
    """A node's end of the VXLAN overlay of one family: the tunnel's address, and its MAC of 6 bytes."""

    address: Cidr
    mac: bytes


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """How a node is reached. ``addresses``: at most one of each family, with the length of its network.

    ``vteps``: its ends of the VXLAN overlay; ``ipip``: the address of its IPIP tunnel.
    """

    addresses: tuple[Cidr, ...] = ()
    vteps: tuple[Vtep, ...] = ()
    ipip: Cidr | None = None

    def address(self, version: int) -> Cidr | None:
        """Return its address of a family, host bits kept."""
        return next((a for a in self.addresses if a.version == version), None)

    def vtep(self, version: int) -> Vtep | None:
        """Return its end of the overlay of a family."""
        return next((v for v in self.vteps if v.address.version == version), None)

    @property
    def tunnels(self) -> tuple[Cidr, ...]:
        """The addresses of its tunnels."""
        ipip = () if self.ipip is None else (self.ipip,)
        return (*(vtep.address for vtep in self.vteps), *ipip)


@dataclass(frozen=True, slots=True)
class SetChange:
    """Change of one IP set. ``created`` sets start empty; ``removed`` sets are no longer used."""

    added: frozenset[Member] = frozenset()
    deleted: frozenset[Member] = frozenset()
    created: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """An object that cannot be used, which is treated as absent or as denying; for people."""

    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs from the flush before. A None value means: gone.

    ``host_endpoints``: by interface; ``*`` stands for every interface that is not named.
    ``blocks``: this host's own blocks, whose unassigned addresses are to be blackholed.
    ``hosts``: node name → addresses of both families. ``services``: CIDRs of services' addresses.
    ``host_links``: each host endpoint of this host → how the interfaces are that it governs.
    ``problems``: object → what is wrong (None: solved). ``config``: raw FelixConfiguration values
    (parameter name → text) once any changed: of the global object, of the one that selects this node, of
    the node's own. ``ready``: whether the datastore may be used, if that changed.
    """

    sets: Mapping[SetId, SetChange] = field(default_factory=dict)
    policies: Mapping[PolicyId, ActivePolicy | None] = field(default_factory=dict)
    profiles: Mapping[str, ActivePolicy | None] = field(default_factory=dict)
    endpoints: Mapping[EndpointId, LocalEndpoint | None] = field(default_factory=dict)
    host_endpoints: Mapping[str, HostEndpoint | None] = field(default_factory=dict)
    host_links: Mapping[str, HostLinks | None] = field(default_factory=dict)
    pools: Mapping[str, Pool | None] = field(default_factory=dict)
    blocks: Mapping[Cidr, bool | None] = field(default_factory=dict)
    hosts: Mapping[str, tuple[Cidr, ...] | None] = field(default_factory=dict)
    services: Mapping[Cidr, bool | None] = field(default_factory=dict)
    nodes: Mapping[str, NodeNetwork | None] = field(default_factory=dict)
    remotes: Mapping[Cidr, str | None] = field(default_factory=dict)
    problems: Mapping[str, Problem | None] = field(default_factory=dict)
    config: tuple[Mapping[str, str], ...] | None = None
    ready: bool | None = None

    def __len__(self) -> int:
        """Return how many things changed."""
        parts: tuple[Sized, ...] = (
            self.sets,
            self.policies,
            self.profiles,
            self.endpoints,
            self.host_endpoints,
            self.host_links,
            self.pools,
            self.blocks,
            self.hosts,
            self.services,
            self.nodes,
            self.remotes,
            self.problems,
        )
        return sum(map(len, parts)) + (self.config is not None) + (self.ready is not None)
