"""What routes of this host depend on beside endpoints. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from calico_node.felix.routes import strays
from calico_node.felix.routes.overlay import OverlaySettings
from libcalico.net.addresses import Cidr
from libcalico.netlink import routes


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What routes depend on beside endpoints. Defaults are Felix's.

    Attributes:
        interface_prefixes: names of workload interfaces begin so.
        protocol: protocol number of routes to workloads.
        priorities: metric of routes to workloads, by IP version.
        sources: preferred source address of routes to workloads, by IP version.
        overlay: what tunnels depend on.
        floating_ips: whether there are routes to floating addresses, too.
        is_disabled: whether routes are left to others, as they are.
        removes_strays: whether routes of others do not stay on workload interfaces.
        grace_s: how long a route that nobody wants may stay there.
    """

    interface_prefixes: tuple[str, ...] = ("cali",)
    protocol: int = routes.PROTOCOL_BOOT
    priorities: Mapping[int, int] = field(
        default_factory=lambda: dict.fromkeys((4, 6), routes.WORKLOAD_PRIORITY)
    )
    sources: Mapping[int, Cidr] = field(default_factory=dict)
    ipv6: bool = True
    ip_forwarding: bool = True
    overlay: OverlaySettings = field(default_factory=OverlaySettings)
    floating_ips: bool = False
    is_disabled: bool = False
    removes_strays: bool = True
    grace_s: float = strays.GRACE_S
