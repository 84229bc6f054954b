"""The file that ``calicoctl datastore migrate export`` writes and ``import`` reads. Pure.

Three parts with ``===`` lines between them: resources as YAML lists, ClusterInformation as JSON, and
IPAM as JSON, each key with its value and its time to live. Source: calico-control-plane reference,
section 6.7; ``calicoctl/commands/datastore/migrate`` of Go Calico.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from calicoctl import kubernetes_names, printers
from libcalico import yamlform
from libcalico.datastore import keys
from libcalico.datastore.model import KeyValue
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.model import Resource
from libcalico.resources.registry import KINDS

_SEPARATOR = "===\n"
#: Kinds in the order in which they are written; those that another one refers to come first.
_ORDER = (
    "IPPool",
    "BGPPeer",
    "Tier",
    "GlobalNetworkPolicy",
    "StagedGlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "KubeControllersConfiguration",
    "NetworkPolicy",
    "StagedNetworkPolicy",
    "StagedKubernetesNetworkPolicy",
    "NetworkSet",
    "Node",
    "BGPConfiguration",
    "FelixConfiguration",
    "IPReservation",
    "BGPFilter",
)
#: Kinds that Go Calico's import into Kubernetes does not know, as Kubernetes makes them itself.
_OF_ETCD = ("Profile", "WorkloadEndpoint")
_IPAM_PARTS = {
    "block_affinities": (keys.AffinityKey, keys.VirtualAffinityKey),
    "blocks": (keys.BlockKey,),
    "handles": (keys.HandleKey,),
    "config": (keys.IpamConfigKey,),
}


def kinds(*, everything: bool) -> list[str]:
    """Return the kinds that are exported, in order."""
    wanted = (*_ORDER, *_OF_ETCD) if everything else _ORDER
    return [kind for kind in wanted if kind in KINDS]


@dataclass(frozen=True, slots=True)
class Archive:
    """A datastore's content: resources by kind, the cluster, and the keys of IPAM with JSON values."""

    resources: Sequence[Resource]
    cluster: ClusterInformation
    ipam: Mapping[str, Any]


def render(
    listings: Sequence[tuple[str, Sequence[Resource]]],
    cluster: ClusterInformation,
    ipam: Sequence[KeyValue],
) -> Iterator[str]:
    """Yield the file."""
    for kind, resources in listings:
        documents = [printers.document(resource) for resource in resources]
        yield printers.as_yaml(printers.listing(kind, documents, ""))
        yield "---\n"
    yield _SEPARATOR
    yield f"{printers.as_json(printers.document(cluster))}\n"
    yield _SEPARATOR
    yield f"{json.dumps(_ipam(ipam), indent=2)}\n"


def _ipam(items: Sequence[KeyValue]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, classes in _IPAM_PARTS.items():
        entries = [_entry(item) for item in items if isinstance(keys.parse(item.key), classes)]
        if part != "config":
            found[part] = entries
        elif entries:
            found[part] = entries[0]
    return found


def _entry(item: KeyValue) -> dict[str, Any]:
    value = json.loads(item.value) if item.value else {}
    return {"Key": item.key, "Value": value, "TTL": 0}


def for_kubernetes(
    listings: Sequence[tuple[str, Sequence[Resource]]], ipam: Sequence[KeyValue]
) -> tuple[list[tuple[str, Sequence[Resource]]], list[KeyValue]]:
    """Return what Go Calico's import into Kubernetes takes.

    Raises:
        ConfigError: a node is none of Kubernetes.
    """
    names = kubernetes_names.names_of(dict(listings)["Node"])
    kept: list[tuple[str, Sequence[Resource]]] = [
        (kind, kubernetes_names.resources(members, names)) for kind, members in listings
    ]
    return kept, [_renamed(item, names) for item in ipam]


def _renamed(item: KeyValue, names: kubernetes_names.Names) -> KeyValue:
    value = item.value
    if value:
        value = codec.encode_json(kubernetes_names.value(json.loads(value), names))
    return KeyValue(kubernetes_names.key(item.key, names), value, item.revision)


def parse(text: str) -> Archive:
    """Return what a file holds.

    Raises:
        ValidationError: it is no such file.
    """
    parts = text.split(f"\n{_SEPARATOR}")
    if len(parts) != 3:
        raise ValidationError(
            "this is no output of calicoctl datastore migrate export: "
            f"it has {len(parts)} parts instead of 3"
        )
    try:
        cluster = codec.decode(json.loads(parts[1]), kind="ClusterInformation")
        ipam = dict(_stored_ipam(json.loads(parts[2])))
        resources = list(_resources(parts[0]))
    except (
        yaml.YAMLError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValidationError(
            f"this is no output of calicoctl datastore migrate export: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(cluster, ClusterInformation):
        raise ValidationError("the second part is no ClusterInformation")
    return Archive(resources, cluster, ipam)


def _resources(text: str) -> Iterator[Resource]:
    for listing in yaml.load_all(text, Loader=yamlform.Loader):
        for item in listing["items"] if listing else ():
            yield codec.decode(item, kind=item["kind"])


def _stored_ipam(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part, classes in _IPAM_PARTS.items():
        found = document.get(part) or []
        entries: list[dict[str, Any]] = [found] if isinstance(found, dict) else found
        for entry in entries:
            if not isinstance(keys.parse(entry["Key"]), classes):
                raise ValidationError(f"{entry['Key']!r} is no key of {part}")
            yield entry["Key"], entry["Value"]
