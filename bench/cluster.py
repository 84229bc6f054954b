"""Writes a cluster of a given size into a datastore: endpoints, policies, tiers, profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from libcalico.datastore import keys
from libcalico.datastore.backend import Backend
from libcalico.datastore.model import Put
from libcalico.resources import codec
from libcalico.resources.clusterinfo import ClusterInformation, ClusterInformationSpec
from libcalico.resources.defaults import with_defaults
from libcalico.resources.endpoints import WorkloadEndpoint, WorkloadEndpointSpec
from libcalico.resources.model import ObjectMeta, Resource, id_of
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Rule,
    Tier,
    TierSpec,
)
from libcalico.resources.profiles import Profile, ProfileSpec

HOST = "bench"
#: Applications; endpoints of one application have the same policies.
APPLICATIONS = 20
_WRITES = 100


def endpoint(number: int, *, node: str = HOST, **labels: str) -> WorkloadEndpoint:
    """Return an endpoint, number n with address 10.x.y.z; ``app`` is one of the applications."""
    container = f"c{number}"
    spec = WorkloadEndpointSpec(
        orchestrator="cni",
        node=node,
        container_id=container,
        endpoint="eth0",
        interface_name=f"cali{number}",
        ip_networks=[f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"],
        profiles=["bench"],
        mac="ee:ee:ee:ee:ee:ee",
    )
    own = {"app": f"app{number % APPLICATIONS}", **labels}
    return with_defaults(
        WorkloadEndpoint(metadata=ObjectMeta(namespace="default", labels=own), spec=spec)
    )


def policy(number: int, port: int = 8000, clients: int = 3) -> GlobalNetworkPolicy:
    """Return a policy of ten rules; number n applies to application n if there is one, else to nobody.

    ``port``: of the first rule, to edit one. ``clients``: how many of the three groups of clients the
    selectors name.
    """
    sources = [f"role == 'client{number % 50}-{k % clients}'" for k in range(3)]
    rules = [
        Rule(
            action="Allow",
            protocol="TCP",
            source=EntityRule(selector=sources[k % 3]),
            destination=EntityRule(ports=[8000 + k if k else port]),
        )
        for k in range(10)
    ]
    spec = GlobalNetworkPolicySpec(
        tier="default", order=float(number), selector=f"app == 'app{number}'", ingress=rules
    )
    return with_defaults(
        GlobalNetworkPolicy(metadata=ObjectMeta(name=f"policy{number}"), spec=spec)
    )


def basics() -> Iterator[Resource]:
    """Yield what every cluster has."""
    ready = ClusterInformationSpec(cluster_guid="0" * 32, datastore_ready=True)
    yield ClusterInformation(metadata=ObjectMeta(name="default"), spec=ready)
    tier = TierSpec(order=1_000_000.0, default_action="Deny")
    yield Tier(metadata=ObjectMeta(name="default"), spec=tier)
    allow = [Rule(action="Allow")]
    yield Profile(metadata=ObjectMeta(name="bench"), spec=ProfileSpec(ingress=allow, egress=allow))


def key_of(resource: Resource) -> str:
    """Return the key that a resource is stored at."""
    return keys.path_of(id_of(resource))


def write(backend: Backend, resources: Iterable[Resource]) -> None:
    """Store resources, a hundred in a transaction."""
    batch: list[Put] = []
    for resource in resources:
        batch.append(Put(key_of(resource), codec.encode(resource)))
        if len(batch) == _WRITES:
            backend.transact(batch)
            batch = []
    if batch:
        backend.transact(batch)
