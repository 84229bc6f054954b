"""What is filled in before a resource is validated and stored.

Two sources, one result: the defaults of Calico's CRDs, which its clients apply on any datastore, and
those of the clients themselves. Stored objects must be complete, because agents read them raw.
Source: ``calico-control-plane.md`` 2.1, 2.2, 2.7, 2.9, 1.6, 1.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.ippools import IPPool
from libcalico.resources.kubecontrollers import (
    KubeControllersConfiguration,
    KubeControllersConfigurationSpec,
)
from libcalico.resources.model import Resource
from libcalico.resources.names import (
    DEFAULT_TIER,
    NAMESPACE_LABEL,
    ORCHESTRATOR_LABEL,
    TIER_LABEL,
    name_of,
)
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, PolicyType, Tier
from libcalico.resources.shape import with_canonical_durations
from libcalico.resources.staged import (
    StagedGlobalNetworkPolicy,
    StagedKubernetesNetworkPolicy,
    StagedNetworkPolicy,
    TieredPolicy,
)

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
    canonical = with_canonical_durations(resource)
    fill_in = _FILL_IN.get(type(resource))
    return cast(AnyResource, fill_in(canonical)) if fill_in else canonical


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


def _staged(policy: StagedNetworkPolicy | StagedGlobalNetworkPolicy) -> TieredPolicy:
    """Fill in the action, and what a policy has; one that only says Delete has no types."""
    action = policy.spec.staged_action or "Set"
    complete = _policy(policy.with_(spec=policy.spec.with_(staged_action=action)))
    if action != "Delete":
        return complete
    return complete.with_(spec=complete.spec.with_(types=[]))


def _kube_controllers(config: KubeControllersConfiguration) -> KubeControllersConfiguration:
    """Fill in what is unset, in the spec and in what the status says that runs."""
    status = config.status
    running = _controllers_spec(status.running_config)
    return config.with_(
        spec=_controllers_spec(config.spec), status=status.with_(running_config=running)
    )


def _controllers_spec(spec: KubeControllersConfigurationSpec) -> KubeControllersConfigurationSpec:
    controllers = spec.controllers
    balancer, migration = controllers.load_balancer, controllers.policy_migration
    if balancer is not None:
        balancer = balancer.with_(assign_ips=balancer.assign_ips or "AllServices")
    if migration is not None:
        migration = migration.with_(enabled=migration.enabled or "Enabled")
    return spec.with_(
        health_checks=spec.health_checks or "Enabled",
        controllers=controllers.with_(load_balancer=balancer, policy_migration=migration),
    )


def _policy(policy: TieredPolicy) -> TieredPolicy:
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


def _felix(config: FelixConfiguration) -> FelixConfiguration:
    """Fill in the four fields that Go's client stores with every FelixConfiguration."""
    spec = config.spec
    balancing, without = "TCP", "Enabled"
    if spec.bpf_connect_time_load_balancing_enabled is not None:
        balancing = "Enabled" if spec.bpf_connect_time_load_balancing_enabled else "Disabled"
        without = "Disabled"
    return config.with_(
        spec=spec.with_(
            nftables_mode=spec.nftables_mode or "Auto",
            bpf_connect_time_load_balancing=spec.bpf_connect_time_load_balancing or balancing,
            bpf_host_networked_nat_without_ctlb=(
                spec.bpf_host_networked_nat_without_ctlb or without
            ),
            floating_ips=spec.floating_ips or "Disabled",
        )
    )


def _staged_kubernetes(policy: StagedKubernetesNetworkPolicy) -> StagedKubernetesNetworkPolicy:
    return policy.with_(spec=policy.spec.with_(staged_action=policy.spec.staged_action or "Set"))


_FILL_IN: Mapping[type[Resource], Callable[[Any], Resource]] = MappingProxyType(
    {
        BGPConfiguration: _bgp,
        FelixConfiguration: _felix,
        GlobalNetworkPolicy: _policy,
        IPPool: _pool,
        KubeControllersConfiguration: _kube_controllers,
        NetworkPolicy: _policy,
        StagedGlobalNetworkPolicy: _staged,
        StagedKubernetesNetworkPolicy: _staged_kubernetes,
        StagedNetworkPolicy: _staged,
        Tier: _tier,
        WorkloadEndpoint: _endpoint,
    }
)


def with_labels(resource: AnyResource, labels: dict[str, str]) -> AnyResource:
    """Return the resource with labels added or replaced."""
    metadata = resource.metadata
    return resource.with_(metadata=metadata.with_(labels={**metadata.labels, **labels}))
