"""version: of this client, and of the cluster."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from libcalico.errors import NotFoundError

if TYPE_CHECKING:
    from libcalico.client import Client


def of_client() -> str:
    """Return the version of this program."""
    return f"Client Version:    {metadata.version('calicoctl')}"


def of_cluster(client: Client) -> str:
    """Return the cluster's version and type.

    Raises:
        NotFoundError: the datastore holds no cluster yet.
    """
    try:
        spec = client.clusterinformations.get("default").spec
    except NotFoundError as error:
        raise NotFoundError(
            "unable to retrieve Cluster Version or Type: the datastore holds no cluster yet; the first"
            " calicoctl create or apply, or the first node that starts, makes it one"
        ) from error
    return (
        f"Cluster Version:   {spec.calico_version or 'unknown'}\n"
        f"Cluster Type:      {spec.cluster_type or 'unknown'}"
    )
