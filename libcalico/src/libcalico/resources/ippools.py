"""IPPool: a range of addresses for workloads and tunnels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource

EncapsulationMode = Literal["Never", "Always", "CrossSubnet"]


class IPPoolSpec(Model):
    """Spec of an IPPool; family-dependent defaults come from ``resources.defaults``."""

    cidr: str = ""
    vxlan_mode: EncapsulationMode | None = None
    ipip_mode: EncapsulationMode | None = None
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = field(default=False, name="disableBGPExport")
    block_size: int = 0
    node_selector: str = ""
    namespace_selector: str = ""
    allowed_uses: list[Literal["Workload", "Tunnel", "LoadBalancer"]] = []
    assignment_mode: Literal["Automatic", "Manual"] | None = None


class IPPool(Resource, tag="IPPool"):
    """A range of addresses, and how its traffic leaves the node."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="IPPool", plural="ippools", aliases=("ipp", "ipps", "pool", "pools")
    )
    spec: IPPoolSpec = field(default_factory=IPPoolSpec)
    status: dict[str, Any] | None = None

    @property
    def is_enabled(self) -> bool:
        """Whether addresses may be assigned from it, as its owner and Calico's controllers say.

        Controllers withhold a pool that overlaps with another one, or that is to go. Source: Go Calico's
        ``libcalico-go/lib/clientv3/client.go``.
        """
        conditions = (self.status or {}).get("conditions")
        is_withheld = isinstance(conditions, list) and any(
            isinstance(one, dict)
            and (one.get("type"), one.get("status")) == ("Allocatable", "False")
            for one in conditions
        )
        return not (self.spec.disabled or is_withheld)
