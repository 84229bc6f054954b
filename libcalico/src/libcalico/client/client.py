"""The client: one :class:`ResourceClient` for each kind, over one blocking backend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from libcalico.client import (
    initialization,
    nodes,
    peers,
    policymigration,
    pools,
    poolsplit,
    tiers,
)
from libcalico.client.behaviour import Behaviour
from libcalico.client.cleanup import AddressCleanup
from libcalico.client.resource_client import ResourceClient
from libcalico.datastore.backend import Backend
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
from libcalico.resources.profiles import Profile, default_allow
from libcalico.resources.registry import class_of
from libcalico.resources.reservations import IPReservation
from libcalico.resources.staged import (
    StagedGlobalNetworkPolicy,
    StagedKubernetesNetworkPolicy,
    StagedNetworkPolicy,
)

R = TypeVar("R", bound=Resource)

_BEHAVIOURS: dict[type[Resource], Behaviour[Any]] = {
    BGPPeer: peers.BEHAVIOUR,
    GlobalNetworkPolicy: tiers.POLICY_BEHAVIOUR,
    IPPool: pools.BEHAVIOUR,
    NetworkPolicy: tiers.POLICY_BEHAVIOUR,
    Node: nodes.BEHAVIOUR,
    Profile: Behaviour(synthetic=(default_allow(),)),
    StagedGlobalNetworkPolicy: tiers.POLICY_BEHAVIOUR,
    StagedNetworkPolicy: tiers.POLICY_BEHAVIOUR,
    Tier: tiers.BEHAVIOUR,
}


class Client:
    """Typed access to all resources of a datastore.

    Attributes:
        backend: where they are stored; stays the caller's to close.
        addresses: IPAM's part in deletions of pools and nodes, needed if any address was ever assigned. To
            assign and release make an ``IpamClient`` on the same backend.
        pause: blocks for so many seconds (tests pass a clock of their own).
    """

    def __init__(
        self,
        backend: Backend,
        addresses: AddressCleanup | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backend = backend
        self.addresses = addresses
        self.pause = pause
        self.bgpconfigurations = self._of(BGPConfiguration)
        self.bgpfilters = self._of(BGPFilter)
        self.bgppeers = self._of(BGPPeer)
        self.clusterinformations = self._of(ClusterInformation)
        self.felixconfigurations = self._of(FelixConfiguration)
        self.globalnetworkpolicies = self._of(GlobalNetworkPolicy)
        self.globalnetworksets = self._of(GlobalNetworkSet)
        self.hostendpoints = self._of(HostEndpoint)
        self.ippools = self._of(IPPool)
        self.ipreservations = self._of(IPReservation)
        self.kubecontrollersconfigurations = self._of(KubeControllersConfiguration)
        self.networkpolicies = self._of(NetworkPolicy)
        self.networksets = self._of(NetworkSet)
        self.nodes = self._of(Node)
        self.profiles = self._of(Profile)
        self.stagedglobalnetworkpolicies = self._of(StagedGlobalNetworkPolicy)
        self.stagedkubernetesnetworkpolicies = self._of(StagedKubernetesNetworkPolicy)
        self.stagednetworkpolicies = self._of(StagedNetworkPolicy)
        self.tiers = self._of(Tier)
        self.workloadendpoints = self._of(WorkloadEndpoint)

    def resource(self, kind: str) -> ResourceClient[Any]:
        """Return the client of a kind named exactly (``IPPool``).

        Raises:
            ValidationError: there is no such kind.
        """
        found: ResourceClient[Any] = getattr(self, class_of(kind).INFO.plural)
        return found

    def ensure_initialized(self, version: str = "", cluster_type: str = "") -> None:
        """Make sure that ClusterInformation and the built-in tiers exist and are complete.

        Args:
            version: stored as the cluster's Calico version, unless "".
            cluster_type: comma-separated words to add to the cluster's type.
        """
        initialization.ensure_initialized(self, version, cluster_type)

    def migrate_policy_names(self) -> policymigration.Migration:
        """Store policies of releases before 3.32 under their own names; return what became of them."""
        return policymigration.migrate(self)

    def split_pool(self, pool: IPPool, number: int) -> list[IPPool]:
        """Replace a pool by equal parts in one transaction; see :func:`.poolsplit.split`."""
        return poolsplit.split(self, pool, number)

    def _of(self, resource_class: type[R]) -> ResourceClient[R]:
        behaviour: Behaviour[R] = _BEHAVIOURS.get(resource_class, Behaviour())
        return ResourceClient(self, resource_class, behaviour)
