"""The kinds, and how to find one: by its name, its plural, or a short name people type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from libcalico.errors import ValidationError
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

_CLASSES: tuple[type[Resource], ...] = (
    BGPConfiguration,
    BGPFilter,
    BGPPeer,
    ClusterInformation,
    FelixConfiguration,
    GlobalNetworkPolicy,
    GlobalNetworkSet,
    HostEndpoint,
    IPPool,
    IPReservation,
    KubeControllersConfiguration,
    NetworkPolicy,
    NetworkSet,
    Node,
    Profile,
    StagedGlobalNetworkPolicy,
    StagedKubernetesNetworkPolicy,
    StagedNetworkPolicy,
    Tier,
    WorkloadEndpoint,
)

#: Kind → class, in alphabetical order.
KINDS: Mapping[str, type[Resource]] = MappingProxyType({c.INFO.kind: c for c in _CLASSES})
#: Plural as in keys (``ippools``) → kind.
KIND_BY_PLURAL: Mapping[str, str] = MappingProxyType({c.INFO.plural: c.INFO.kind for c in _CLASSES})
_KIND_BY_WORD: Mapping[str, str] = MappingProxyType(
    {
        word: c.INFO.kind
        for c in _CLASSES
        for word in (c.INFO.kind.lower(), c.INFO.plural, *c.INFO.aliases)
    }
)


def class_of(kind: str) -> type[Resource]:
    """Return the class of a kind named exactly (``IPPool``).

    Raises:
        ValidationError: there is no such kind.
    """
    try:
        return KINDS[kind]
    except KeyError:
        raise ValidationError(
            f"kind: {kind!r} is not known; known kinds are {', '.join(KINDS)}"
        ) from None


def kind_by_name(word: str) -> str:
    """Return the kind that a person means: kind, plural or alias, in any case (``pools`` → ``IPPool``).

    Raises:
        ValidationError: nothing is called so. Text as calicoctl prints it.
    """
    try:
        return _KIND_BY_WORD[word.lower()]
    except KeyError:
        raise ValidationError(f"resource type '{word}' is not supported") from None
