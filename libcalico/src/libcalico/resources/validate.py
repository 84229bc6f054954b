"""The rules that every resource must keep before it is stored.

:func:`problems_with` finds all breaches of one resource: first of its shape (types, enumerations),
then of its metadata, then of its kind. What needs other resources (overlap of pools, existence of a
tier) is the client's to check. Source: ``calico-control-plane.md`` section 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from libcalico.errors import ValidationError
from libcalico.resources import codec, strict
from libcalico.resources import fieldchecks as check
from libcalico.resources.bgp import BGPConfiguration, BGPPeer
from libcalico.resources.bgpfilter import BGPFilter
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.hostendpoints import HostEndpoint
from libcalico.resources.ippools import IPPool
from libcalico.resources.kubecontrollers import KubeControllersConfiguration
from libcalico.resources.model import Resource
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSet
from libcalico.resources.nodes import Node
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, Tier
from libcalico.resources.profiles import Profile
from libcalico.resources.reservations import IPReservation
from libcalico.resources.staged import (
    StagedGlobalNetworkPolicy,
    StagedKubernetesNetworkPolicy,
    StagedNetworkPolicy,
)
from libcalico.resources.validate_bgp import check_bgp_configuration, check_bgp_peer
from libcalico.resources.validate_bgpfilter import check_bgp_filter
from libcalico.resources.validate_endpoints import check_endpoint, check_host_endpoint
from libcalico.resources.validate_hosts import (
    check_cluster_information,
    check_felix_configuration,
    check_node,
)
from libcalico.resources.validate_kubecontrollers import check_kube_controllers
from libcalico.resources.validate_policy import check_policy, check_profile, check_tier
from libcalico.resources.validate_pools import check_network_set, check_pool, check_reservation
from libcalico.resources.validate_staged import (
    check_staged_kubernetes_policy,
    check_staged_policy,
)

_CHECKS: Mapping[type[Resource], Callable[[Any], Iterator[str]]] = MappingProxyType(
    {
        BGPConfiguration: check_bgp_configuration,
        BGPFilter: check_bgp_filter,
        BGPPeer: check_bgp_peer,
        ClusterInformation: check_cluster_information,
        FelixConfiguration: check_felix_configuration,
        GlobalNetworkPolicy: check_policy,
        GlobalNetworkSet: check_network_set,
        HostEndpoint: check_host_endpoint,
        IPPool: check_pool,
        IPReservation: check_reservation,
        KubeControllersConfiguration: check_kube_controllers,
        NetworkPolicy: check_policy,
        NetworkSet: check_network_set,
        Node: check_node,
        Profile: check_profile,
        StagedGlobalNetworkPolicy: check_staged_policy,
        StagedKubernetesNetworkPolicy: check_staged_kubernetes_policy,
        StagedNetworkPolicy: check_staged_policy,
        Tier: check_tier,
        WorkloadEndpoint: check_endpoint,
    }
)
_LABEL = check.DNS_LABEL.pattern
_ONE_OR_TWO_LABELS = rf"{_LABEL}(?:\.{_LABEL})?"
_POLICY_NAME = "one or two parts of a-z, 0-9 and '-', joined by '.'"
_GLOBAL_POLICY_NAME = re.compile(_ONE_OR_TWO_LABELS)
#: Copies of Kubernetes' policies and of OpenStack's security groups have prefixes of their own.
_NAMESPACED_POLICY_NAME = re.compile(
    rf"{_ONE_OR_TWO_LABELS}|(?:knp|ossg)\.default\.{check.DNS_SUBDOMAIN.pattern}"
)
#: Kind → what its names look like, where that is narrower than a DNS subdomain.
_NAMES: Mapping[type[Resource], tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        Tier: (re.compile(rf"(?=.{{1,63}}$){_LABEL}"), "at most 63 of a-z, 0-9 and '-'"),
        GlobalNetworkPolicy: (_GLOBAL_POLICY_NAME, _POLICY_NAME),
        NetworkPolicy: (_NAMESPACED_POLICY_NAME, _POLICY_NAME),
        StagedGlobalNetworkPolicy: (_GLOBAL_POLICY_NAME, _POLICY_NAME),
        StagedNetworkPolicy: (_NAMESPACED_POLICY_NAME, _POLICY_NAME),
    }
)


def validate(resource: Resource) -> None:
    """Raise if the resource must not be stored. Fill in defaults before.

    Raises:
        ValidationError: ``problems`` holds every breach as ``path: what is wrong; what is right``.
    """
    problems = problems_with(resource)
    if problems:
        raise ValidationError(*problems)


def problems_with(resource: Resource) -> list[str]:
    """Return every breach of the rules; rules are only tried on a resource of the right shape."""
    problems: list[str] = []
    if not codec.is_well_formed(resource):
        strict.clean(codec.to_known_mapping(resource), type(resource), problems)
    if not problems:
        problems.extend(_check_metadata(resource))
        problems.extend(_CHECKS[type(resource)](resource))
    return problems


def _check_metadata(resource: Resource) -> Iterator[str]:
    metadata = resource.metadata
    if not metadata.name:
        hint = "; generateName is not supported" if metadata.generate_name else ""
        yield f"metadata.name: missing{hint}"
    else:
        yield from _check_name(resource)
    if resource.INFO.namespaced and not metadata.namespace:
        yield f"metadata.namespace: missing; a {resource.kind} lives in a namespace"
    elif metadata.namespace and not resource.INFO.namespaced:
        yield (
            "metadata.namespace: namespace should not be specified for a non-namespaced resource. "
            f"{resource.kind} is not a namespaced resource"
        )
    elif metadata.namespace:
        yield from check.subdomain("metadata.namespace", metadata.namespace)
    if metadata.creation_timestamp:
        yield from check.moment("metadata.creationTimestamp", metadata.creation_timestamp)
    yield from check.label_map("metadata.labels", metadata.labels)
    yield from check.annotation_map("metadata.annotations", metadata.annotations)


def _check_name(resource: Resource) -> Iterator[str]:
    name = resource.name
    narrower = _NAMES.get(type(resource))
    if narrower is None or len(name) > 253:
        yield from check.subdomain("metadata.name", name)
        return
    pattern, what = narrower
    if not pattern.fullmatch(name):
        yield (
            f"metadata.name: {name!r} is not allowed for a {resource.kind}; use {what}, "
            "with a letter or digit at both ends of each part"
        )
