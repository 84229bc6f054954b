"""The wiring: one update of the datastore goes to the parts that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from calico_node.felix.calc import decode, facts, hostendpoints
from calico_node.felix.calc.active import Active, Users
from calico_node.felix.calc.configuration import Configuration
from calico_node.felix.calc.endpoints import LocalEndpoints
from calico_node.felix.calc.hostendpoints import HostEndpoints
from calico_node.felix.calc.ipsets import IpSets
from calico_node.felix.calc.policies import PolicyResolver
from calico_node.felix.calc.remotes import Remotes, RouteSource
from calico_node.felix.calc.told import Told
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    EndpointId,
    NodeNetwork,
    PolicyId,
    Pool,
    Problem,
)
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey, BlockKey
from libcalico.net.addresses import Cidr
from libcalico.resources.model import ResourceId
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE

#: Takes a value, or None if the object is gone; returns what is wrong with it, or nothing.
_Taker = Callable[[ResourceId, bytes | None], str]


def prefixes(hostname: str) -> tuple[tuple[str, ...], ...]:
    """Return what is to be followed, in groups; the keys of a group are watched together."""
    return (keys.RESOURCES,), (keys.affinity_prefix(hostname),)


def overlay_prefixes() -> tuple[str, ...]:
    """Return what else is to be followed once it matters at which nodes the cluster's blocks are."""
    return (keys.BLOCKS,)


class Sizes(NamedTuple):
    """Numbers of objects that can be used.

    Attributes:
        hosts: Nodes with addresses.
        labelled: what selectors are asked about: endpoints and network sets.
        selectors: IP sets that policies in use on this host refer to.
    """

    hosts: int
    workload_endpoints: int
    host_endpoints: int
    policies: int
    profiles: int
    tiers: int
    labelled: int
    selectors: int


class Calculation:
    """What this host must enforce, as a function of the datastore.

    Args:
        hostname: this node's name.
    """

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._sets = IpSets()
        self._resolver = PolicyResolver()
        self._policies: Active[PolicyId] = Active(self._sets, None)
        missing = ActivePolicy("", (), (), missing=True)
        self._profiles: Active[str] = Active(self._sets, missing)
        profile_users = Users(self._profiles)
        self._local = LocalEndpoints(self._resolver, profile_users)
        self._host_endpoints = HostEndpoints(hostname, self._resolver, profile_users)
        self._stored_hosts: set[str] = set()
        self._pools: Told[str, Pool] = Told()
        self._blocks: Told[Cidr, bool] = Told()
        self._hosts: Told[str, tuple[Cidr, ...]] = Told()
        self._services: Told[Cidr, bool] = Told()
        self._nodes: Told[str, NodeNetwork] = Told()
        self._remotes = Remotes(hostname)
        self._overlays: set[str] = set()
        self._problems: Told[str, Problem] = Told()
        self._ready: Told[str, bool] = Told()
        self._configuration = Configuration(hostname)
        self._takers: dict[str, _Taker] = {
            "WorkloadEndpoint": self._take_endpoint,
            "HostEndpoint": self._take_host_endpoint,
            "NetworkSet": self._take_network_set,
            "GlobalNetworkSet": self._take_network_set,
            "NetworkPolicy": self._take_policy,
            "GlobalNetworkPolicy": self._take_policy,
            "Profile": self._take_profile,
            "Tier": self._take_tier,
            "IPPool": self._take_pool,
            "Node": self._take_node,
            "BGPConfiguration": self._take_bgp,
            "FelixConfiguration": self._take_configuration,
            "ClusterInformation": self._take_cluster,
        }
        self._profiles.define(DEFAULT_ALLOW_PROFILE, facts.allow_all())
        self._ready.put("", value=False)

    @property
    def is_ready(self) -> bool:
        """Whether the datastore may be used: the ClusterInformation says so; without one it may not."""
        return self._ready.get("") or False

    @property
    def has_overlay(self) -> bool:
        """Whether a pool is encapsulated."""
        return bool(self._overlays)

    def on_update(self, key: str, value: bytes | None) -> None:
        """The datastore holds this value at this key, or, None, nothing."""
        match keys.parse(key):
            case ResourceId() as which:
                if (take := self._takers.get(which.kind)) is not None:
                    self._note(which, take(which, value))
            case AffinityKey(host=self._hostname, cidr=text):
                self._note(key, self._take_affinity(text, value))
            case BlockKey(cidr=text):
                self._note(key, self._remotes.put(text, value))

    def on_interface(
        self, name: str, addresses: Collection[Cidr] | None, *, is_up: bool = True
    ) -> None:
        """An interface of this host that is no workload's has these addresses, or, None, is gone."""
        self._host_endpoints.on_interface(name, addresses, is_up=is_up)

    def route_by(self, source: RouteSource) -> dict[Cidr, str | None]:
        """Go by blocks or by workloads' addresses from now on; return what differs in where things are."""
        self._remotes.follow(source)
        return self._remotes.take()

    def sizes(self) -> Sizes:
        """Return how many objects of each kind there are in the datastore."""
        return Sizes(
            hosts=len(self._hosts),
            workload_endpoints=self._sets.endpoints,
            host_endpoints=len(self._stored_hosts),
            policies=self._policies.size,
            profiles=self._profiles.size,
            tiers=self._resolver.tiers,
            labelled=self._sets.owners,
            selectors=self._sets.size,
        )

    def flush(self) -> Changes:
        """Return everything that changed since the last call."""
        host_endpoints = self._host_endpoints.settle()
        for policy in self._resolver.take_touched():
            self._policies.use(policy, is_used=self._resolver.is_active(policy))
        endpoints = self._local.settle()
        policies, profiles = self._policies.settle(), self._profiles.settle()
        return Changes(
            sets=self._sets.flush(),
            policies=policies,
            profiles=profiles,
            endpoints=endpoints,
            host_endpoints=host_endpoints,
            host_links=self._host_endpoints.take_links(),
            pools=self._pools.take(),
            blocks=self._blocks.take(),
            hosts=self._hosts.take(),
            services=self._services.take(),
            nodes=self._nodes.take(),
            remotes=self._remotes.take(),
            problems=self._problems.take(),
            config=self._configuration.take(),
            ready=self._ready.take().get(""),
        )

    def _note(self, which: ResourceId | str, problem: str) -> None:
        if problem or self._problems:
            subject = str(which)
            self._problems.put(subject, Problem(subject, problem) if problem else None)

    def _take_endpoint(self, which: ResourceId, value: bytes | None) -> str:
        found = decode.Reading(None) if value is None else decode.endpoint(value)
        endpoint, item = found.value, EndpointId(which.namespace, which.name)
        if endpoint is None:
            self._remotes.put_workload(item, "", ())
            self._local.remove(item)
            self._sets.on_owner_removed(item)
            return found.problem
        self._sets.on_owner(item, endpoint.owner, endpoint.labels, endpoint.profiles)
        self._remotes.put_workload(item, endpoint.node, endpoint.owner.nets)
        if endpoint.node != self._hostname:
            self._local.remove(item)
            return ""
        return self._local.put(item, endpoint)

    def _take_host_endpoint(self, which: ResourceId, value: bytes | None) -> str:
        found = None if value is None else hostendpoints.read(value)
        if found is None or not found.value.owner.nets:
            self._sets.on_owner_removed(which)
        else:
            endpoint = found.value
            self._sets.on_owner(which, endpoint.owner, endpoint.labels, endpoint.profiles)
        (self._stored_hosts.discard if found is None else self._stored_hosts.add)(which.name)
        problem = self._host_endpoints.put(which.name, None if found is None else found.value)
        return "; ".join(filter(None, (found.problem if found else "", problem)))

    def _take_network_set(self, which: ResourceId, value: bytes | None) -> str:
        found = decode.Reading(None) if value is None else decode.network_set(which, value)
        if found.value is None:
            self._sets.on_owner_removed(which)
        else:
            self._sets.on_owner(which, *found.value)
        return found.problem

    def _take_policy(self, which: ResourceId, value: bytes | None) -> str:
        policy = PolicyId(which.kind, which.namespace, which.name)
        if value is None:
            self._resolver.on_policy_removed(policy)
            self._policies.define(policy, None)
            return ""
        found = decode.policy(which, value)
        self._resolver.on_policy(policy, found.value.place)
        self._policies.define(policy, found.value.definition)
        return found.problem

    def _take_profile(self, which: ResourceId, value: bytes | None) -> str:
        if which.name == DEFAULT_ALLOW_PROFILE:
            return ""  # built in; a stored one would shadow it
        found = decode.Reading(None) if value is None else decode.profile(value)
        labels = None if found.value is None else found.value.labels
        self._sets.on_parent(which.name, labels)
        self._resolver.on_parent(which.name, labels)
        definition = None if found.value is None else found.value.definition
        self._profiles.define(which.name, definition)
        return found.problem

    def _take_tier(self, which: ResourceId, value: bytes | None) -> str:
        found = decode.Reading(None) if value is None else decode.tier(value)
        self._resolver.on_tier(which.name, found.value)
        return found.problem

    def _take_pool(self, which: ResourceId, value: bytes | None) -> str:
        found = decode.Reading(None) if value is None else facts.pool(value)
        pool = found.value
        self._pools.put(which.name, pool)
        is_overlay = pool is not None and pool.tunnel is not None
        (self._overlays.add if is_overlay else self._overlays.discard)(which.name)
        return found.problem

    def _take_node(self, which: ResourceId, value: bytes | None) -> str:
        found = decode.Reading(None) if value is None else facts.node(value)
        node = found.value
        if which.name == self._hostname:
            self._configuration.label({} if node is None else node.labels)
        self._hosts.put(which.name, None if node is None else node.addresses or None)
        is_reached = node is not None and node.network.addresses
        network = node.network if node and is_reached else None
        self._nodes.put(which.name, network)
        self._remotes.put_workload(which, which.name, network.tunnels if network else ())
        return found.problem

    def _take_bgp(self, which: ResourceId, value: bytes | None) -> str:
        if which.name != "default":
            return ""  # services are the cluster's, not a node's
        found = decode.Reading(()) if value is None else facts.services(value)
        for gone in [cidr for cidr in self._services.names() if cidr not in found.value]:
            self._services.put(gone, None)
        for cidr in found.value:
            self._services.put(cidr, value=True)
        return found.problem

    def _take_configuration(self, which: ResourceId, value: bytes | None) -> str:
        return self._configuration.put(which.name, value)

    def _take_cluster(self, which: ResourceId, value: bytes | None) -> str:
        if which.name != "default":
            return ""
        found = decode.Reading(False) if value is None else facts.is_ready(value)
        self._ready.put("", value=found.value)
        return found.problem

    def _take_affinity(self, text: str, value: bytes | None) -> str:
        found = facts.claim(text, value)
        if found.value is not None:
            block, is_claimed = found.value
            self._blocks.put(block, is_claimed or None)
        return found.problem
