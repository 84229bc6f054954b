"""The wiring: one update of the datastore goes to the parts that it concerns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Final, cast

import msgspec

from calico_node.felix.calc import facts
from calico_node.felix.calc.active import Active, Definition
from calico_node.felix.calc.facts import Configuration, Told
from calico_node.felix.calc.ipsets import IpSets, NamedPort, Owner
from calico_node.felix.calc.policies import PolicyPlace, PolicyResolver, TierPlace
from calico_node.felix.calc.rules import DENY_ALL, Compiled, compile_rules
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    EndpointId,
    LocalEndpoint,
    PolicyId,
    Pool,
    Problem,
)
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import protocol_number
from libcalico.resources import codec, rewrite
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import Resource, ResourceId
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE, NAMESPACE_LABEL
from libcalico.resources.networksets import NetworkSet
from libcalico.resources.nodes import Node
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, PolicyType, Rule, Tier
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.selector import parse

_DENIES: Final = Compiled([DENY_ALL])
_BOTH: Final[frozenset[PolicyType]] = frozenset({"Ingress", "Egress"})
_ALLOW: Final = Profile(
    spec=ProfileSpec(ingress=[Rule(action="Allow")], egress=[Rule(action="Allow")])
)


def prefixes(hostname: str) -> tuple[tuple[str, ...], ...]:
    """Return what is to be followed, in groups; the keys of a group are watched together."""
    return (keys.RESOURCES,), (keys.affinity_prefix(hostname),)


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
        self._local: dict[EndpointId, WorkloadEndpoint] = {}
        self._profile_users: Counter[str] = Counter()
        self._endpoints: Told[EndpointId, LocalEndpoint] = Told()
        self._pools: Told[str, Pool] = Told()
        self._blocks: Told[Cidr, bool] = Told()
        self._hosts: Told[str, tuple[Cidr, ...]] = Told()
        self._problems: Told[str, Problem] = Told()
        self._ready: Told[str, bool] = Told()
        self._configuration = Configuration(hostname)
        self._take_by_kind: dict[str, Callable[[ResourceId, Resource | None], None]] = {
            "WorkloadEndpoint": self._take_endpoint,
            "NetworkSet": self._take_network_set,
            "GlobalNetworkSet": self._take_network_set,
            "NetworkPolicy": self._take_policy,
            "GlobalNetworkPolicy": self._take_policy,
            "Profile": self._take_profile,
            "Tier": self._take_tier,
            "IPPool": self._take_pool,
            "Node": self._take_node,
            "FelixConfiguration": self._take_configuration,
            "ClusterInformation": self._take_cluster,
        }
        self._take_profile(ResourceId("Profile", "", DEFAULT_ALLOW_PROFILE), _ALLOW)
        self._ready.put("", value=False)

    def on_update(self, key: str, value: bytes | None) -> None:
        """The datastore holds this value at this key, or, None, nothing."""
        match keys.parse(key):
            case ResourceId() as which:
                self._on_resource(which, value)
            case AffinityKey(host=host, cidr=cidr) if host == self._hostname:
                self._blocks.put(parse_cidr(cidr), _is_claimed(value) or None)

    def flush(self) -> Changes:
        """Return everything that changed since the last call."""
        for policy in self._resolver.take_touched():
            self._policies.use(policy, is_used=self._resolver.is_active(policy))
        for endpoint in self._resolver.take_dirty():
            self._endpoints.put(endpoint, self._resolve(endpoint))
        policies, profiles = self._policies.settle(), self._profiles.settle()
        return Changes(
            sets=self._sets.flush(),
            policies=policies,
            profiles=profiles,
            endpoints=self._endpoints.take(),
            pools=self._pools.take(),
            blocks=self._blocks.take(),
            hosts=self._hosts.take(),
            problems=self._problems.take(),
            config=self._configuration.take(),
            ready=self._ready.take().get(""),
        )

    # Updates

    def _on_resource(self, which: ResourceId, value: bytes | None) -> None:
        take = self._take_by_kind.get(which.kind)
        if take is None:
            return
        problem = None
        try:
            resource = (
                None if value is None else codec.decode(value, kind=which.kind, keep_unknown=False)
            )
            take(which, resource)
        except ValidationError as error:
            problem = Problem(str(which), str(error))
            self._take_unusable(which)
        self._problems.put(str(which), problem)

    def _take_unusable(self, which: ResourceId) -> None:
        """Policies and profiles that cannot be understood deny; anything else is taken for absent."""
        if which.kind in ("NetworkPolicy", "GlobalNetworkPolicy"):
            namespaced = f"{NAMESPACE_LABEL} == '{which.namespace}'" if which.namespace else ""
            place = PolicyPlace("default", -inf, _BOTH, parse(namespaced))
            self._put_policy(which, place, Definition("default", _DENIES, _DENIES))
        elif which.kind == "Profile":
            self._lend_labels(which.name, None)
            self._profiles.define(which.name, Definition("", _DENIES, _DENIES))
        else:
            self._take_by_kind[which.kind](which, None)

    def _take_endpoint(self, which: ResourceId, resource: Resource | None) -> None:
        endpoint = cast(WorkloadEndpoint | None, resource)
        endpoint_id = EndpointId(which.namespace, which.name)
        if endpoint is None or not endpoint.spec.ip_networks:
            self._forget_local(endpoint_id)
            self._sets.on_owner(endpoint_id, None, {}, ())
            return
        spec, labels = endpoint.spec, endpoint.metadata.labels
        owner = _owner(endpoint)
        if spec.node == self._hostname:
            self._count_profiles(self._local.get(endpoint_id), endpoint)
            self._local[endpoint_id] = endpoint
            self._resolver.on_endpoint(endpoint_id, labels, spec.profiles)
        else:
            self._forget_local(endpoint_id)
        self._sets.on_owner(endpoint_id, owner, labels, spec.profiles)

    def _forget_local(self, endpoint_id: EndpointId) -> None:
        self._count_profiles(self._local.pop(endpoint_id, None), None)
        self._resolver.on_endpoint_removed(endpoint_id)

    def _count_profiles(self, old: WorkloadEndpoint | None, new: WorkloadEndpoint | None) -> None:
        before = set(old.spec.profiles) if old is not None else set()
        after = set(new.spec.profiles) if new is not None else set()
        for profile in before ^ after:
            self._profile_users[profile] += 1 if profile in after else -1
            self._profiles.use(profile, is_used=self._profile_users[profile] > 0)

    def _take_network_set(self, which: ResourceId, resource: Resource | None) -> None:
        if resource is None:
            self._sets.on_owner(which, None, {}, ())
            return
        labels = dict(resource.metadata.labels)
        parents: tuple[str, ...] = ()
        if isinstance(resource, NetworkSet):
            labels[NAMESPACE_LABEL] = which.namespace
            parents = (f"kns.{which.namespace}",)
        spec = cast(NetworkSet, resource).spec
        nets = tuple(dict.fromkeys(parse_cidr(net, strict=False) for net in spec.nets))
        self._sets.on_owner(which, Owner(nets), labels, parents)

    def _take_policy(self, which: ResourceId, resource: Resource | None) -> None:
        if not isinstance(resource, NetworkPolicy | GlobalNetworkPolicy) or _is_for_hosts(resource):
            self._put_policy(which, None, None)
            return
        spec = resource.spec
        tier = spec.tier or "default"
        place = PolicyPlace(
            tier,
            inf if spec.order is None else spec.order,
            rewrite.effective_types(resource),
            parse(
                rewrite.policy_selector(
                    resource.with_(metadata=resource.metadata.with_(namespace=which.namespace))
                )
            ),
        )
        try:
            ingress = compile_rules(spec.ingress, which.namespace)
            egress = compile_rules(spec.egress, which.namespace)
        except ValidationError:
            # Its place is known, so only those whom it selects are denied.
            self._put_policy(which, place, Definition(tier, _DENIES, _DENIES))
            raise
        self._put_policy(which, place, Definition(tier, ingress, egress))

    def _put_policy(
        self, which: ResourceId, place: PolicyPlace | None, definition: Definition | None
    ) -> None:
        policy = PolicyId(which.kind, which.namespace, which.name)
        self._resolver.on_policy(policy, place)
        self._policies.define(policy, definition)

    def _take_profile(self, which: ResourceId, resource: Resource | None) -> None:
        profile = cast(Profile | None, resource)
        if profile is None:
            self._lend_labels(which.name, None)
            self._profiles.define(which.name, None)
            return
        ingress = compile_rules(profile.spec.ingress, "")
        egress = compile_rules(profile.spec.egress, "")
        self._lend_labels(which.name, profile)
        self._profiles.define(which.name, Definition("", ingress, egress))

    def _lend_labels(self, name: str, profile: Profile | None) -> None:
        labels = profile.spec.labels_to_apply if profile is not None else None
        self._sets.on_parent(name, labels)
        self._resolver.on_parent(name, labels)

    def _take_tier(self, which: ResourceId, resource: Resource | None) -> None:
        tier = cast(Tier | None, resource)
        place = None
        if tier is not None:
            order = inf if tier.spec.order is None else tier.spec.order
            place = TierPlace(order, tier.spec.default_action or "Deny")
        self._resolver.on_tier(which.name, place)

    def _take_pool(self, which: ResourceId, resource: Resource | None) -> None:
        pool = cast(IPPool | None, resource)
        self._pools.put(which.name, None if pool is None else facts.pool_of(pool))

    def _take_node(self, which: ResourceId, resource: Resource | None) -> None:
        node = cast(Node | None, resource)
        if which.name == self._hostname:
            self._configuration.label({} if node is None else node.metadata.labels)
        self._hosts.put(which.name, None if node is None else facts.addresses_of(node) or None)

    def _take_configuration(self, which: ResourceId, resource: Resource | None) -> None:
        self._configuration.put(which.name, cast(FelixConfiguration | None, resource))

    def _take_cluster(self, which: ResourceId, resource: Resource | None) -> None:
        if which.name == "default":
            cluster = cast(ClusterInformation | None, resource)
            self._ready.put("", value=bool(cluster is not None and cluster.spec.datastore_ready))

    # What is told

    def _resolve(self, endpoint_id: EndpointId) -> LocalEndpoint | None:
        endpoint = self._local.get(endpoint_id)
        if endpoint is None:
            return None
        spec = endpoint.spec
        return LocalEndpoint(
            spec.interface_name,
            _addresses(spec.ip_networks),
            spec.mac,
            self._resolver.policies_of(endpoint_id),
            _addresses(spec.allow_spoofed_source_prefixes),
        )


def _is_for_hosts(policy: NetworkPolicy | GlobalNetworkPolicy) -> bool:
    """Policies before conntrack or DNAT never apply to workload endpoints."""
    if isinstance(policy, NetworkPolicy):
        return False
    return policy.spec.do_not_track or policy.spec.pre_dnat


def _owner(endpoint: WorkloadEndpoint) -> Owner:
    ports = tuple(
        NamedPort(port.name, protocol_number(port.protocol), port.port)
        for port in endpoint.spec.ports
    )
    return Owner(_addresses(endpoint.spec.ip_networks), ports)


def _addresses(texts: list[str]) -> tuple[Cidr, ...]:
    return tuple(dict.fromkeys(parse_cidr(text, strict=False) for text in texts))


def _is_claimed(value: bytes | None) -> bool:
    """Return whether an affinity is this host's: every state but pending, and what is unreadable."""
    if value is None:
        return False
    try:
        affinity = msgspec.json.decode(value or b"{}")
    except msgspec.DecodeError:
        return True
    return not (isinstance(affinity, dict) and affinity.get("state") == "pending")
