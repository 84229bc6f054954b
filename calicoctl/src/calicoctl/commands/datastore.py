"""datastore migrate: lock, unlock, and take everything from one datastore to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calicoctl import migration
from calicoctl.commands import ipam
from calicoctl.migration import Archive
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.model import KeyValue, Put
from libcalico.errors import ConfigError
from libcalico.resources import codec
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.defaults import FIXED_TIERS
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE

#: Keys of one transaction; etcd takes 128.
_AT_ONCE = 100
_NAME = "default"


def set_ready(client: Client, *, ready: bool) -> None:
    """Let nodes and plugins work on the datastore, or make them wait."""
    client.ensure_initialized()

    def changed(stored: ClusterInformation) -> ClusterInformation:
        return stored.with_(spec=stored.spec.with_(datastore_ready=ready))

    client.clusterinformations.modify(_NAME, changed)


def export(client: Client, *, everything: bool) -> Iterator[str]:
    """Yield the file that holds the datastore.

    Args:
        client: of the datastore.
        everything: for another etcd; else what can be imported into Kubernetes.

    Raises:
        ConfigError: the datastore is not locked, so that it might change meanwhile, or a node is none
            of Kubernetes.
    """
    ipam.require_locked(client, "to begin migration")
    listings: list[tuple[str, Sequence[Resource]]] = [
        (kind, [r for r in client.resource(kind).list() if r.name != DEFAULT_ALLOW_PROFILE])
        for kind in migration.kinds(everything=everything)
    ]
    stored: Sequence[KeyValue] = client.backend.read(keys.IPAM).items
    if not everything:
        listings, stored = migration.for_kubernetes(listings, stored)
    return migration.render(listings, client.clusterinformations.get(_NAME), stored)


def import_(client: Client, archive: Archive) -> tuple[int, int]:
    """Write an archive into an empty datastore, which stays locked; return resources and IPAM keys.

    An import that was interrupted is simply done again.

    Raises:
        ConfigError: the datastore is not empty.
    """
    _require_empty(client, archive)
    spec = archive.cluster.spec.with_(datastore_ready=False)
    cluster = archive.cluster.with_(spec=spec)
    puts = [Put(keys.path_of(id_of(cluster)), codec.encode(cluster))]
    puts += [
        Put(keys.path_of(id_of(r)), client.resource(r.kind).stored_form(r))
        for r in archive.resources
    ]
    puts += [Put(key, codec.encode_json(value)) for key, value in archive.ipam.items()]
    for first in range(0, len(puts), _AT_ONCE):
        client.backend.transact(puts[first : first + _AT_ONCE])
    return len(archive.resources), len(archive.ipam)


def _require_empty(client: Client, archive: Archive) -> None:
    found = ipam.cluster(client)
    resumed = (
        found.spec.datastore_ready is False
        and found.spec.cluster_guid == archive.cluster.spec.cluster_guid
    )
    stored = client.backend.read(keys.RESOURCES, keys.IPAM).items
    own = [keys.parse(item.key) for item in stored]
    foreign = [key for key in own if not _is_built_in(key)]
    if foreign and not resumed:
        raise ConfigError(
            f"the datastore holds {len(foreign)} objects already, such as {foreign[0]}; import needs"
            " an empty one"
        )


def _is_built_in(key: keys.Key | None) -> bool:
    """Whether a fresh cluster has it."""
    return isinstance(key, ResourceId) and (
        key.kind == "ClusterInformation" or (key.kind == "Tier" and key.name in FIXED_TIERS)
    )
