"""NetworkSet and GlobalNetworkSet: labelled lists of CIDRs that selectors can select."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource


class NetworkSetSpec(Model):
    """Addresses and CIDRs of either family."""

    nets: list[str] = []


class NetworkSet(Resource, tag="NetworkSet"):
    """A labelled set of CIDRs in a namespace."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="NetworkSet", plural="networksets", namespaced=True, aliases=("netsets",)
    )
    spec: NetworkSetSpec = field(default_factory=NetworkSetSpec)


class GlobalNetworkSet(Resource, tag="GlobalNetworkSet"):
    """A labelled set of CIDRs outside namespaces."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="GlobalNetworkSet", plural="globalnetworksets", aliases=("gnetsets",)
    )
    spec: NetworkSetSpec = field(default_factory=NetworkSetSpec)
