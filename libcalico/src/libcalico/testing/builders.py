"""Resources for tests: valid and complete by default, every field overridden by keyword.

Keywords are ``name``, ``namespace``, ``labels``, ``annotations`` and the spec's fields in
snake_case: ``a_pool(cidr="fd00::/64", disabled=True)``.
"""

from __future__ import annotations

from typing import Any, TypeVar

from libcalico.resources.bgp import (
    BGPConfiguration,
    BGPConfigurationSpec,
    BGPPeer,
    BGPPeerSpec,
)
from libcalico.resources.bgpfilter import BGPFilter, BGPFilterSpec, FilterRule
from libcalico.resources.clusterinfo import ClusterInformation, ClusterInformationSpec
from libcalico.resources.defaults import with_defaults
from libcalico.resources.endpoints import WorkloadEndpoint, WorkloadEndpointSpec
from libcalico.resources.felixconfig import FelixConfiguration, FelixConfigurationSpec
from libcalico.resources.hostendpoints import HostEndpoint, HostEndpointSpec
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.kubecontrollers import (
    KubeControllersConfiguration,
    KubeControllersConfigurationSpec,
)
from libcalico.resources.model import Model, ObjectMeta, Resource
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSet, NetworkSetSpec
from libcalico.resources.nodes import Node, NodeBGPSpec, NodeSpec
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    NetworkPolicy,
    NetworkPolicySpec,
    Rule,
    Tier,
    TierSpec,
)
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.resources.reservations import IPReservation, IPReservationSpec
from libcalico.resources.staged import (
    StagedGlobalNetworkPolicy,
    StagedGlobalNetworkPolicySpec,
    StagedKubernetesNetworkPolicy,
    StagedKubernetesNetworkPolicySpec,
    StagedNetworkPolicy,
    StagedNetworkPolicySpec,
)

R = TypeVar("R", bound=Resource)
_METADATA = frozenset(
    {"name", "generate_name", "namespace", "labels", "annotations", "creation_timestamp"}
)


def _build(kind: type[R], spec: type[Model], defaults: dict[str, Any], given: dict[str, Any]) -> R:
    fields = {**defaults, **given}
    metadata = {name: fields.pop(name) for name in _METADATA & fields.keys()}
    built = kind(metadata=ObjectMeta(**metadata))
    return with_defaults(built.with_(spec=spec(**fields)))


def a_pool(**fields: Any) -> IPPool:
    """Return an IPv4 pool without encapsulation."""
    return _build(IPPool, IPPoolSpec, {"name": "pool", "cidr": "10.65.0.0/16"}, fields)


def a_node(**fields: Any) -> Node:
    """Return a node with an IPv4 address."""
    defaults = {"name": "node-1", "bgp": NodeBGPSpec(ipv4_address="172.16.0.1/24")}
    return _build(Node, NodeSpec, defaults, fields)


def an_endpoint(**fields: Any) -> WorkloadEndpoint:
    """Return an endpoint of a CNI workload on ``node-1``; its name follows from its identifiers."""
    defaults = {
        "namespace": "default",
        "orchestrator": "cni",
        "node": "node-1",
        "container_id": "abc123",
        "endpoint": "eth0",
        "ip_networks": ["10.65.0.1/32"],
        "profiles": ["default"],
        "interface_name": "cali12345678901",
        "mac": "ee:ee:ee:ee:ee:ee",
    }
    return _build(WorkloadEndpoint, WorkloadEndpointSpec, defaults, fields)


def a_host_endpoint(**fields: Any) -> HostEndpoint:
    """Return the endpoint of ``eth0`` of ``node-1``."""
    defaults = {"name": "node-1-eth0", "node": "node-1", "interface_name": "eth0"}
    return _build(HostEndpoint, HostEndpointSpec, defaults, fields)


def a_rule(action: str = "Allow", **fields: Any) -> Rule:
    """Return a rule; ``source`` and ``destination`` may be dictionaries of snake_case fields."""
    for side in ("source", "destination"):
        if isinstance(fields.get(side), dict):
            fields[side] = EntityRule(**fields[side])
    return Rule(action=action, **fields)  # type: ignore[arg-type]


def a_policy(**fields: Any) -> NetworkPolicy:
    """Return a NetworkPolicy that allows all ingress to the endpoints of namespace ``default``."""
    defaults = {"name": "policy", "namespace": "default", "ingress": [a_rule()], "order": 100.0}
    return _build(NetworkPolicy, NetworkPolicySpec, defaults, fields)


def a_global_policy(**fields: Any) -> GlobalNetworkPolicy:
    """Return a GlobalNetworkPolicy that allows all ingress to all endpoints."""
    defaults = {"name": "policy", "selector": "all()", "ingress": [a_rule()], "order": 100.0}
    return _build(GlobalNetworkPolicy, GlobalNetworkPolicySpec, defaults, fields)


def a_tier(**fields: Any) -> Tier:
    """Return a tier in front of the built-in ones."""
    return _build(Tier, TierSpec, {"name": "platform", "order": 100.0}, fields)


def a_profile(**fields: Any) -> Profile:
    """Return the profile ``default`` that allows everything."""
    defaults = {"name": "default", "ingress": [a_rule()], "egress": [a_rule()]}
    return _build(Profile, ProfileSpec, defaults, fields)


def a_network_set(**fields: Any) -> NetworkSet:
    """Return a network set of one CIDR in namespace ``default``."""
    defaults = {"name": "nets", "namespace": "default", "nets": ["192.0.2.0/24"]}
    return _build(NetworkSet, NetworkSetSpec, defaults, fields)


def a_global_network_set(**fields: Any) -> GlobalNetworkSet:
    """Return a global network set of one CIDR."""
    return _build(
        GlobalNetworkSet, NetworkSetSpec, {"name": "nets", "nets": ["192.0.2.0/24"]}, fields
    )


def a_bgp_configuration(**fields: Any) -> BGPConfiguration:
    """Return the cluster's BGP settings."""
    return _build(BGPConfiguration, BGPConfigurationSpec, {"name": "default"}, fields)


def a_bgp_peer(**fields: Any) -> BGPPeer:
    """Return a global peer."""
    defaults = {"name": "peer", "peer_ip": "192.0.2.1", "as_number": 64513}
    return _build(BGPPeer, BGPPeerSpec, defaults, fields)


def a_bgp_filter(**fields: Any) -> BGPFilter:
    """Return a filter that gives no IPv4 route of one CIDR away."""
    rejected = FilterRule(action="Reject", cidr="192.0.2.0/24", match_operator="In")
    return _build(BGPFilter, BGPFilterSpec, {"name": "filter", "export_v4": [rejected]}, fields)


def a_reservation(**fields: Any) -> IPReservation:
    """Return a reservation of one CIDR."""
    defaults = {"name": "reserved", "reserved_cidrs": ["10.65.0.0/30"]}
    return _build(IPReservation, IPReservationSpec, defaults, fields)


def a_staged_policy(**fields: Any) -> StagedNetworkPolicy:
    """Return :func:`a_policy`, staged."""
    defaults = {"name": "policy", "namespace": "default", "ingress": [a_rule()], "order": 100.0}
    return _build(StagedNetworkPolicy, StagedNetworkPolicySpec, defaults, fields)


def a_staged_global_policy(**fields: Any) -> StagedGlobalNetworkPolicy:
    """Return :func:`a_global_policy`, staged."""
    defaults = {"name": "policy", "selector": "all()", "ingress": [a_rule()], "order": 100.0}
    return _build(StagedGlobalNetworkPolicy, StagedGlobalNetworkPolicySpec, defaults, fields)


def a_staged_kubernetes_policy(**fields: Any) -> StagedKubernetesNetworkPolicy:
    """Return a staged Kubernetes policy that lets nothing into the namespace ``default``."""
    defaults = {"name": "policy", "namespace": "default", "policy_types": ["Ingress"]}
    return _build(
        StagedKubernetesNetworkPolicy, StagedKubernetesNetworkPolicySpec, defaults, fields
    )


def a_kube_controllers_configuration(**fields: Any) -> KubeControllersConfiguration:
    """Return the settings of the controllers for Kubernetes."""
    return _build(
        KubeControllersConfiguration,
        KubeControllersConfigurationSpec,
        {"name": "default"},
        fields,
    )


def a_felix_configuration(**fields: Any) -> FelixConfiguration:
    """Return the cluster's Felix settings."""
    return _build(FelixConfiguration, FelixConfigurationSpec, {"name": "default"}, fields)


def a_cluster_information(**fields: Any) -> ClusterInformation:
    """Return the cluster's identity, ready."""
    defaults = {
        "name": "default",
        "cluster_guid": "0123456789abcdef0123456789abcdef",
        "datastore_ready": True,
    }
    return _build(ClusterInformation, ClusterInformationSpec, defaults, fields)
