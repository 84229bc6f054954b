"""Which versions of the data a client and a cluster may have together. Pure.

Source: calico-control-plane reference, section 6.1; but where Go Calico wants the very same release,
one of the same minor version will do: their data are the same.
"""

from __future__ import annotations

from libcalico.errors import CalicoError
from libcalico.resources.model import DATA_MODEL_VERSION


def require_same(cluster: str, client: str = DATA_MODEL_VERSION) -> None:
    """Refuse a cluster whose data are of another version.

    Args:
        cluster: what the cluster says of itself; "" is not known, and accepted.
        client: whose data model we have.

    Raises:
        CalicoError: they differ.
    """
    if cluster and _minor(cluster) != _minor(client):
        raise CalicoError(
            "version mismatch.\n"
            f"Client Version:   {client}\n"
            f"Cluster Version:  {_trimmed(cluster)}\n"
            "Use --allow-version-mismatch to override"
        )


def _trimmed(version: str) -> str:
    return version.removeprefix("v").partition("-")[0]


def _minor(version: str) -> list[str]:
    return _trimmed(version).split(".")[:2]
