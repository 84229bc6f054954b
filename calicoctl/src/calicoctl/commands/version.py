"""version: of this client, and of the cluster."""

from __future__ import annotations

from importlib import metadata

from libcalico.client import Client
from libcalico.errors import NotFoundError
from libcalico.resources.clusterinfo import ClusterInformation


def of_client() -> str:
    """Return the version of this program."""
    return f"Client Version:    {metadata.version('calicoctl')}"


def of_cluster(client: Client) -> str | None:
    """Return the cluster's version and type, or None if no cluster is there yet."""
    try:
        found = client.resource("ClusterInformation").get("default")
    except NotFoundError:
        return None
    if not isinstance(found, ClusterInformation):
        return None
    return (
        f"Cluster Version:   {found.spec.calico_version or 'unknown'}\n"
        f"Cluster Type:      {found.spec.cluster_type or 'unknown'}"
    )
