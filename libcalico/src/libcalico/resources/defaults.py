"""What is filled in before a resource is validated and stored.

Two sources, one result: the defaults of Calico's CRDs, which its clients apply on any datastore, and
those of the clients themselves. Stored objects must be complete, because agents read them raw.
Source: ``calico-control-plane.md`` 2.1, 2.2, 2.7, 2.9, 1.6, 1.7.
"""

from __future__ import annotations

import re
from ipaddress import ip_interface
from typing import Literal, TypeVar, cast

from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.felixconfig import FelixConfiguration, FelixConfigurationSpec
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import Resource
from libcalico.resources.names import (
    DEFAULT_TIER,
    NAMESPACE_LABEL,
    ORCHESTRATOR_LABEL,
    TIER_LABEL,
    name_of,
)
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, PolicyType, Tier

DEFAULT_TIER_ORDER = 1_000_000.0
#: Order and default action of the tiers that every cluster has.
FIXED_TIERS: dict[str, tuple[float, Literal["Deny", "Pass"]]] = {
    DEFAULT_TIER: (DEFAULT_TIER_ORDER, "Deny"),
    "kube-admin": (1_000.0, "Pass"),
    "kube-baseline": (10_000_000.0, "Pass"),
}
BLOCK_SIZE: dict[int, int] = {4: 26, 6: 122}
_ADDRESS_AND_LENGTH = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")

AnyResource = TypeVar("AnyResource", bound=Resource)


def with_defaults(resource: AnyResource) -> AnyResource:
    """Return the resource with every unset field filled in that Calico fills in before storing.

    What cannot be filled in because other fields are wrong stays unset; validation names the cause.
    """
    return cast(AnyResource, _filled_in(resource))


def _filled_in(resource: Resource) -> Resource:
    match resource:
        case IPPool():
            return _pool(resource)
        case NetworkPolicy() | GlobalNetworkPolicy():
            return _policy(resource)
        case Tier():
            return _tier(resource)
        case WorkloadEndpoint():
            return _endpoint(resource)
        case BGPConfiguration():
            return _bgp(resource)
        case FelixConfiguration():
            return resource.with_(spec=_felix(resource.spec))
    return resource


def _pool(pool: IPPool) -> IPPool:
    spec = pool.spec
    return pool.with_(
        spec=spec.with_(
            cidr=_canonical_cidr(spec.cidr),
            vxlan_mode=spec.vxlan_mode or "Never",
            ipip_mode=spec.ipip_mode or "Never",
            block_size=spec.block_size or BLOCK_SIZE[6 if ":" in spec.cidr else 4],
            node_selector=spec.node_selector or "all()",
            allowed_uses=spec.allowed_uses or ["Workload", "Tunnel"],
            assignment_mode=spec.assignment_mode or "Automatic",
        )
    )


def _canonical_cidr(cidr: str) -> str:
    """Return Go's text of the CIDR; what is no CIDR, or has host bits set, stays for validation."""
    if not _ADDRESS_AND_LENGTH.fullmatch(cidr):
        return cidr
    try:
        return str(ip_interface(cidr))
    except ValueError:
        return cidr


def _policy(policy: NetworkPolicy | GlobalNetworkPolicy) -> NetworkPolicy | GlobalNetworkPolicy:
    spec = policy.spec
    tier = spec.tier or DEFAULT_TIER
    types = spec.types or _types(bool(spec.ingress), bool(spec.egress))
    return with_labels(policy.with_(spec=spec.with_(tier=tier, types=types)), {TIER_LABEL: tier})


def _types(has_ingress: bool, has_egress: bool) -> list[PolicyType]:
    if has_ingress and has_egress:
        return ["Ingress", "Egress"]
    return ["Egress"] if has_egress else ["Ingress"]


def _tier(tier: Tier) -> Tier:
    order, action = FIXED_TIERS.get(tier.name, (DEFAULT_TIER_ORDER, "Deny"))
    spec = tier.spec
    return tier.with_(
        spec=spec.with_(
            order=order if spec.order is None else spec.order,
            default_action=spec.default_action or action,
        )
    )


def _endpoint(endpoint: WorkloadEndpoint) -> WorkloadEndpoint:
    labels = {
        NAMESPACE_LABEL: endpoint.namespace,
        ORCHESTRATOR_LABEL: endpoint.spec.orchestrator,
    }
    named = with_labels(endpoint, {key: value for key, value in labels.items() if value})
    if named.name:
        return named
    try:
        return named.with_(metadata=named.metadata.with_(name=name_of(named.spec)))
    except ValidationError:
        return named


def _bgp(config: BGPConfiguration) -> BGPConfiguration:
    spec = config.spec
    return config.with_(
        spec=spec.with_(
            log_severity_screen=spec.log_severity_screen or "Info",
            service_load_balancer_aggregation=spec.service_load_balancer_aggregation or "Enabled",
        )
    )


def _felix(spec: FelixConfigurationSpec) -> FelixConfigurationSpec:
    """Fill in the four fields that Go's client stores with every FelixConfiguration."""
    balancing, without = "TCP", "Enabled"
    if spec.bpf_connect_time_load_balancing_enabled is not None:
        balancing = "Enabled" if spec.bpf_connect_time_load_balancing_enabled else "Disabled"
        without = "Disabled"
    return spec.with_(
        nftables_mode=spec.nftables_mode or "Auto",
        bpf_connect_time_load_balancing=spec.bpf_connect_time_load_balancing or balancing,
        bpf_host_networked_nat_without_ctlb=spec.bpf_host_networked_nat_without_ctlb or without,
        floating_ips=spec.floating_ips or "Disabled",
    )


def with_labels(resource: AnyResource, labels: dict[str, str]) -> AnyResource:
    """Return the resource with labels added or replaced."""
    metadata = resource.metadata
    return resource.with_(metadata=metadata.with_(labels={**metadata.labels, **labels}))
