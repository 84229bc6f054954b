"""ClusterInformation: the one object that says what cluster this is."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource


class ClusterInformationSpec(Model):
    """Spec of ClusterInformation; ``datastore_ready`` false means locked."""

    cluster_guid: str = field(default="", name="clusterGUID")
    cluster_type: str = ""
    calico_version: str = ""
    datastore_ready: bool | None = None
    variant: str = ""


class ClusterInformation(Resource, tag="ClusterInformation"):
    """Cluster identity, version and readiness; only the name ``default`` exists."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="ClusterInformation",
        plural="clusterinformations",
        aliases=("clusterinfo", "clusterinfos"),
    )
    spec: ClusterInformationSpec = field(default_factory=ClusterInformationSpec)
