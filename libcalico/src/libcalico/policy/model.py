"""Values of the reference evaluator: a packet, the world that it travels in, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.resources.endpoints import EndpointPort, WorkloadEndpoint
from libcalico.resources.hostendpoints import HostEndpoint as StoredHostEndpoint
from libcalico.resources.hostendpoints import HostPort
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSet
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, Tier
from libcalico.resources.profiles import Profile, default_allow

Policy = NetworkPolicy | GlobalNetworkPolicy
Direction = Literal["ingress", "egress"]
#: When a policy is looked at: at workloads and for traffic of a host itself, for traffic that a host
#: forwards, before destination NAT, before connection tracking.
Flavour = Literal["normal", "forward", "preDNAT", "doNotTrack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """The first packet of a connection.

    Args:
        source: address of the sender, as a CIDR of one address; the destination is of its family.
        protocol: IP protocol number.
        source_port: of TCP, UDP, SCTP; None for protocols without ports.
        icmp_type: of ICMP and ICMPv6.
    """

    source: Cidr
    destination: Cidr
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.source.version


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A workload endpoint with its effective labels: its own, then those of its profiles."""

    id: ResourceId
    labels: Mapping[str, str]
    addresses: tuple[Cidr, ...]
    profiles: tuple[str, ...]
    ports: tuple[EndpointPort, ...]


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """An interface of a host with its effective labels.

    Args:
        interface: its name; empty: the one that has one of the addresses; ``*``: all that have no
            endpoint of their own.
        addresses: that are expected at the interface; selectors of rules select them.
    """

    id: ResourceId
    node: str
    interface: str
    labels: Mapping[str, str]
    addresses: tuple[Cidr, ...]
    profiles: tuple[str, ...]
    ports: tuple[HostPort, ...]


@dataclass(frozen=True, slots=True)
class NetSet:
    """A network set with its labels."""

    id: ResourceId
    labels: Mapping[str, str]
    nets: tuple[Cidr, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a packet on its way through an endpoint's policy.

    Args:
        where: the policy or profile, or the tier at whose end something happened.
        rule: number of the rule that matched, from 0; None at the end of a tier and of all profiles.
        action: what the rule or the end did.
    """

    direction: Direction
    where: str
    rule: int | None
    action: Literal["Allow", "Deny", "Log", "Pass"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the packet is allowed, and every step that led there; the last one decided."""

    allowed: bool
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that can decide about a packet."""

    endpoints: tuple[Endpoint, ...] = ()
    net_sets: tuple[NetSet, ...] = ()
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    hosts: tuple[HostEndpoint, ...] = ()

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> World:
        """Build a world of stored resources and what is built in; what decides nothing is passed over."""
        kept = list(resources)
        profiles = {r.name: r for r in (default_allow(), *kept) if isinstance(r, Profile)}
        return cls(
            tuple(_endpoint(r, profiles) for r in kept if isinstance(r, WorkloadEndpoint)),
            tuple(
                _net_set(r, profiles) for r in kept if isinstance(r, NetworkSet | GlobalNetworkSet)
            ),
            {r.name: r for r in kept if isinstance(r, Tier)},
            tuple(r for r in kept if isinstance(r, NetworkPolicy | GlobalNetworkPolicy)),
            profiles,
            tuple(_host(r, profiles) for r in kept if isinstance(r, StoredHostEndpoint)),
        )

    def endpoints_at(self, address: Cidr) -> list[Endpoint]:
        """Return the workload endpoints that have the address."""
        return [e for e in self.endpoints if address in e.addresses]

    def owners_of(self, address: Cidr) -> list[Endpoint | HostEndpoint]:
        """Return the workload and host endpoints that have the address."""
        hosts = [h for h in self.hosts if address in h.addresses]
        return [*self.endpoints_at(address), *hosts]


def _endpoint(resource: WorkloadEndpoint, profiles: Mapping[str, Profile]) -> Endpoint:
    spec = resource.spec
    return Endpoint(
        id_of(resource),
        _inherited(resource.metadata.labels, spec.profiles, profiles),
        tuple(parse_cidr(net) for net in spec.ip_networks),
        tuple(spec.profiles),
        tuple(spec.ports),
    )


def _host(resource: StoredHostEndpoint, profiles: Mapping[str, Profile]) -> HostEndpoint:
    spec = resource.spec
    return HostEndpoint(
        id_of(resource),
        spec.node,
        spec.interface_name,
        _inherited(resource.metadata.labels, spec.profiles, profiles),
        tuple(parse_address(address) for address in spec.expected_ips),
        tuple(spec.profiles),
        tuple(spec.ports),
    )


def _net_set(resource: NetworkSet | GlobalNetworkSet, profiles: Mapping[str, Profile]) -> NetSet:
    labels = dict(resource.metadata.labels)
    parents: list[str] = []
    if isinstance(resource, NetworkSet):
        labels["projectcalico.org/namespace"] = resource.namespace
        parents = [f"kns.{resource.namespace}"]
    nets = tuple(parse_cidr(net, strict=False) for net in resource.spec.nets)
    return NetSet(id_of(resource), _inherited(labels, parents, profiles), nets)


def _inherited(
    own: Mapping[str, str], parents: Iterable[str], profiles: Mapping[str, Profile]
) -> dict[str, str]:
    """Return own labels, then what the profiles add; the first profile that has a key gives it."""
    labels = dict(own)
    for parent in parents:
        if (profile := profiles.get(parent)) is not None:
            for key, value in profile.spec.labels_to_apply.items():
                labels.setdefault(key, value)
    return labels
