"""The objects that every cluster has: ClusterInformation and three tiers.

Source: ``calico-control-plane.md`` 1.8.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from libcalico.errors import AlreadyExistsError, ConflictError, NotFoundError
from libcalico.resources.clusterinfo import ClusterInformation, ClusterInformationSpec
from libcalico.resources.defaults import FIXED_TIERS
from libcalico.resources.model import ObjectMeta
from libcalico.resources.policy import Tier

if TYPE_CHECKING:
    from libcalico.client.client import Client

_NAME = "default"


def ensure_initialized(client: Client, version: str, cluster_type: str) -> None:
    """Create or complete ClusterInformation, and create the built-in tiers that are missing."""
    _ensure_cluster_information(client, version, cluster_type)
    for name in FIXED_TIERS:
        with contextlib.suppress(AlreadyExistsError):
            client.tiers.create(Tier(metadata=ObjectMeta(name=name)))


def _ensure_cluster_information(client: Client, version: str, cluster_type: str) -> None:
    information = client.clusterinformations

    def completed(stored: ClusterInformation) -> ClusterInformation:
        return stored.with_(spec=complete(stored.spec, version, cluster_type))

    while True:
        try:
            stored = information.get(_NAME)
        except NotFoundError:
            empty = ClusterInformation(metadata=ObjectMeta(name=_NAME))
            with contextlib.suppress(AlreadyExistsError):
                information.create(completed(empty))
                return
            continue
        if completed(stored) == stored:
            return
        with contextlib.suppress(ConflictError, NotFoundError):
            information.update(completed(stored))
            return


def complete(
    spec: ClusterInformationSpec, version: str, cluster_type: str
) -> ClusterInformationSpec:
    """Return the spec with identity and readiness set, and version and cluster type as reported.

    Args:
        spec: as stored.
        version: of the caller; "" leaves the stored one.
        cluster_type: comma-separated words, each of which is appended once.
    """
    words = [word for word in spec.cluster_type.split(",") if word]
    words += [word for word in cluster_type.split(",") if word and word not in words]
    return spec.with_(
        cluster_guid=spec.cluster_guid or uuid.uuid4().hex,
        cluster_type=",".join(dict.fromkeys(words)),
        calico_version=version or spec.calico_version,
        datastore_ready=True if spec.datastore_ready is None else spec.datastore_ready,
    )
