"""NetworkPolicy, GlobalNetworkPolicy, Tier, and the rules that they and profiles are made of."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import canonical_port, number_if_numeric

Action = Literal["Allow", "Deny", "Log", "Pass"]
PolicyType = Literal["Ingress", "Egress"]
DefaultAction = Literal["Deny", "Pass"]
#: A port (80), an inclusive range ("8080:8090") or the name of an endpoint's port ("http").
Port = int | str
#: A protocol's name ("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite") or number.
Protocol = int | str


class ICMPFields(Model):
    """An ICMP type, and a code of that type."""

    type: int | None = None
    code: int | None = None


class ServiceMatch(Model):
    """A Kubernetes service; never matches without the Kubernetes datastore."""

    name: str = ""
    namespace: str = ""


class ServiceAccountMatch(Model):
    """Endpoints by their service account's name or labels."""

    names: list[str] = []
    selector: str = ""


class EntityRule(Model):
    """One side of a rule. All fields present must match; each list matches if one member does."""

    nets: list[str] = []
    selector: str = ""
    namespace_selector: str = ""
    services: ServiceMatch | None = None
    ports: list[Port] = []
    not_nets: list[str] = []
    not_selector: str = ""
    not_ports: list[Port] = []
    service_accounts: ServiceAccountMatch | None = None

    def __post_init__(self) -> None:
        if self.ports:
            self.ports = [canonical_port(port) for port in self.ports]
        if self.not_ports:
            self.not_ports = [canonical_port(port) for port in self.not_ports]


class HTTPMatch(Model):
    """HTTP methods and paths; accepted and stored, not enforced by Felix."""

    methods: list[str] = []
    paths: list[dict[str, str]] = []


class RuleMetadata(Model):
    """Free annotations, shown as comments of the programmed rule."""

    annotations: dict[str, str] = {}


class Rule(Model):
    """One rule of a policy or profile: first match decides, except for Log."""

    action: Action
    ip_version: Literal[4, 6] | None = field(default=None, name="ipVersion")
    protocol: Protocol | None = None
    icmp: ICMPFields | None = None
    not_protocol: Protocol | None = None
    not_icmp: ICMPFields | None = field(default=None, name="notICMP")
    source: EntityRule = field(default_factory=EntityRule)
    destination: EntityRule = field(default_factory=EntityRule)
    http: HTTPMatch | None = None
    metadata: RuleMetadata | None = None

    def __post_init__(self) -> None:
        if self.protocol is not None:
            self.protocol = number_if_numeric(self.protocol)
        if self.not_protocol is not None:
            self.not_protocol = number_if_numeric(self.not_protocol)


class NetworkPolicySpec(Model):
    """Spec of a NetworkPolicy: applies to workload endpoints of its own namespace."""

    tier: str = ""
    order: float | None = None
    ingress: list[Rule] = []
    egress: list[Rule] = []
    selector: str = ""
    types: list[PolicyType] = []
    service_account_selector: str = ""
    performance_hints: list[Literal["AssumeNeededOnEveryNode"]] = []


class GlobalNetworkPolicySpec(Model):
    """Spec of a GlobalNetworkPolicy: applies to workload and host endpoints of all namespaces."""

    tier: str = ""
    order: float | None = None
    ingress: list[Rule] = []
    egress: list[Rule] = []
    selector: str = ""
    types: list[PolicyType] = []
    do_not_track: bool = False
    pre_dnat: bool = field(default=False, name="preDNAT")
    apply_on_forward: bool = False
    service_account_selector: str = ""
    namespace_selector: str = ""
    performance_hints: list[Literal["AssumeNeededOnEveryNode"]] = []


class TierSpec(Model):
    """Spec of a Tier: lower order first, None last; action at its end if nothing decided."""

    order: float | None = None
    default_action: DefaultAction | None = None


class NetworkPolicy(Resource, tag="NetworkPolicy"):
    """Policy for the workload endpoints of one namespace."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="NetworkPolicy",
        plural="networkpolicies",
        namespaced=True,
        aliases=("policy", "np", "policies", "pol", "pols"),
    )
    spec: NetworkPolicySpec = field(default_factory=NetworkPolicySpec)


class GlobalNetworkPolicy(Resource, tag="GlobalNetworkPolicy"):
    """Policy for endpoints of all namespaces."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="GlobalNetworkPolicy", plural="globalnetworkpolicies", aliases=("gnp", "gnps")
    )
    spec: GlobalNetworkPolicySpec = field(default_factory=GlobalNetworkPolicySpec)


class Tier(Resource, tag="Tier"):
    """A group of policies that is evaluated as a whole."""

    INFO: ClassVar[KindInfo] = KindInfo(kind="Tier", plural="tiers")
    spec: TierSpec = field(default_factory=TierSpec)
    status: dict[str, Any] = field(default_factory=dict)
