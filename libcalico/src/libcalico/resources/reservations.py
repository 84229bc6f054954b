"""IPReservation: addresses that are never assigned by themselves."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource


class IPReservationSpec(Model):
    """Addresses and CIDRs of either family; only automatic assignment heeds them."""

    reserved_cidrs: list[str] = field(default_factory=list, name="reservedCIDRs")


class IPReservation(Resource, tag="IPReservation"):
    """Addresses that automatic assignment leaves out."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="IPReservation", plural="ipreservations", aliases=("reservation", "reservations")
    )
    spec: IPReservationSpec = field(default_factory=IPReservationSpec)
