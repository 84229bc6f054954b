"""What an export for Kubernetes leaves out, and the names that nodes have there. Pure.

Go Calico's import matches nodes by their names in Kubernetes, so its export writes those wherever it
knows of nodes: in Node, in the ``node.NAME`` configurations, and in IPAM. Source: calico-control-plane
reference, section 6.7; ``calicoctl/commands/datastore/migrate`` of Go Calico.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calicoctl import managed
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey, HandleKey
from libcalico.errors import ConfigError
from libcalico.resources.model import ObjectMeta, Resource, id_of
from libcalico.resources.nodes import Node

_OF_NODE = "node."
_HOST = "host:"
_TUNNEL_HANDLES = ("ipip-tunnel-addr-", "vxlan-tunnel-addr-", "wireguard-tunnel-addr-")

#: Node → its name in Kubernetes.
Names = Mapping[str, str]


def names_of(nodes: Sequence[Resource]) -> dict[str, str]:
    """Return the names in Kubernetes.

    Raises:
        ConfigError: a node has none, so that it could not be imported.
    """
    found = {}
    for node in nodes:
        assert isinstance(node, Node)
        names = [ref.node_name for ref in node.spec.orch_refs if ref.orchestrator == "k8s"]
        if not names:
            raise ConfigError(
                f"node {node.name} missing a 'k8s' orchestrator reference. Unable to export data unless"
                " every node has a 'k8s' orchestrator reference; for another etcd, export with --all"
            )
        found[node.name] = names[-1]
    return found


def resources(members: Sequence[Resource], names: Names) -> list[Resource]:
    """Return what is exported of a kind, without what belongs to this cluster only."""
    return [_exported(r, names) for r in members if not managed.is_of_kubernetes(id_of(r))]


def _exported(resource: Resource, names: Names) -> Resource:
    metadata = ObjectMeta(
        name=_renamed(resource, names),
        namespace=resource.metadata.namespace,
        labels=resource.metadata.labels,
        annotations=resource.metadata.annotations,
    )
    return resource.with_(metadata=metadata)


def _renamed(resource: Resource, names: Names) -> str:
    if resource.kind == "Node":
        return names[resource.name]
    if resource.kind in ("FelixConfiguration", "BGPConfiguration"):
        return _with_node(resource.name, _OF_NODE, names)
    return resource.name


def _with_node(text: str, prefix: str, names: Names) -> str:
    """Return the text with the other name of a node, if it is one after the prefix."""
    node = text.removeprefix(prefix)
    return f"{prefix}{names[node]}" if text.startswith(prefix) and node in names else text


def key(path: str, names: Names) -> str:
    """Return a key of IPAM with the other name of the node in it."""
    match keys.parse(path):
        case AffinityKey(host, cidr):
            return keys.path_of(AffinityKey(names.get(host, host), cidr))
        case HandleKey(handle):
            return keys.path_of(HandleKey(_handle(handle, names)))
    return path


def _handle(handle: str, names: Names) -> str:
    for prefix in _TUNNEL_HANDLES:
        handle = _with_node(handle, prefix, names)
    return handle


def value(document: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return the JSON value of a key of IPAM with the other names of nodes in it."""
    renamed = dict(document)
    if affinity := document.get("affinity"):
        renamed["affinity"] = _with_node(affinity, _HOST, names)
    if attributes := document.get("attributes"):
        renamed["attributes"] = [_attribute(attribute, names) for attribute in attributes]
    return renamed


def _attribute(attribute: dict[str, Any], names: Names) -> dict[str, Any]:
    renamed = dict(attribute)
    if handle := attribute.get("handle_id"):
        renamed["handle_id"] = _handle(handle, names)
    if (owner := attribute.get("secondary")) and "node" in owner:
        renamed["secondary"] = {**owner, "node": names.get(owner["node"], owner["node"])}
    return renamed
