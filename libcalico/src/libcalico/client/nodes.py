"""Nodes: the first one initialises the cluster; deletion takes along all that hangs on it.

Source: ``calico-control-plane.md`` 1.8 and 1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libcalico.client import messages
from libcalico.client.behaviour import Behaviour
from libcalico.datastore import keys
from libcalico.errors import NotFoundError
from libcalico.resources.model import ResourceId
from libcalico.resources.nodes import Node

if TYPE_CHECKING:
    from libcalico.client.client import Client


def initialize(client: Client, node: Node) -> None:
    """Make sure that ClusterInformation and the built-in tiers exist."""
    del node
    client.ensure_initialized()


def remove_dependants(client: Client, which: ResourceId, resource_version: str) -> str:
    """Delete workload and host endpoints, addresses, peers and settings of the node.

    Also when the Node itself is gone: nobody else would ever remove what it left.

    Raises:
        NotFoundError: a version is asked for, and there is no such node.
        ConflictError: it was changed since ``resource_version``.
        UnsupportedOperationError: it holds addresses, and the client has no IPAM to release them.
    """
    if resource_version and resource_version != _version_of(client, which.name):
        raise messages.conflict(which)
    if client.addresses is None and client.backend.read(keys.affinity_prefix(which.name)).items:
        raise messages.unsupported(
            "delete", which, "it has affinities to address blocks, and this client has no IPAM"
        )
    _remove_endpoints(client, which.name)
    if client.addresses is not None:
        client.addresses.release_host(which.name)
    for peer in client.bgppeers.list():
        if peer.spec.node == which.name:
            _remove(client, "BGPPeer", peer.name)
    for kind in ("FelixConfiguration", "BGPConfiguration"):
        _remove(client, kind, f"node.{which.name}")
    for host_endpoint in client.hostendpoints.list():
        if host_endpoint.spec.node == which.name:
            _remove(client, "HostEndpoint", host_endpoint.name)
    return resource_version


def _version_of(client: Client, node: str) -> str:
    return client.nodes.get(node).metadata.resource_version


def _remove_endpoints(client: Client, node: str) -> None:
    for endpoint in client.workloadendpoints.list():
        if endpoint.spec.node != node:
            continue
        if client.addresses is not None:
            client.addresses.release_endpoint(endpoint)
        _remove(client, "WorkloadEndpoint", endpoint.name, endpoint.namespace)


def _remove(client: Client, kind: str, name: str, namespace: str = "") -> None:
    try:
        client.resource(kind).delete(name, namespace)
    except NotFoundError:
        return


BEHAVIOUR: Behaviour[Node] = Behaviour(before_create=initialize, before_delete=remove_dependants)
