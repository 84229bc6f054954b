"""Routes through workloads' interfaces that nobody wants, and which of them have been there too long. Pure.

Whoever connects a workload makes its route before Felix learns of it from the datastore: so what is there
is left alone for a while.

Source: calico-dataplane reference, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from libcalico.net.addresses import Cidr
from libcalico.netlink import routes
from libcalico.netlink.routes import Route

#: How long a route that nobody wants may stay.
GRACE_S: Final = 10.0

#: The kernel makes and keeps those: what answers for the link itself.
_OF_THE_LINK: Final = (Cidr(6, 0xFE80 << 112, 10), Cidr(6, 0xFF << 120, 8))


class Strays:
    """Since when each route that nobody wants was seen, in seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._since_s: dict[Route, float] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._since_s)

    def see(self, route: Route, now_s: float) -> None:
        """Note that a route is there."""
        self._since_s.setdefault(route, now_s)

    def forget(self, route: Route) -> None:
        """Note that a route is gone, or wanted."""
        self._since_s.pop(route, None)

    def keep(self, present: Collection[Route]) -> None:
        """Forget all routes but these."""
        for route in self._since_s.keys() - set(present):
            del self._since_s[route]

    def due(self, now_s: float, grace_s: float) -> list[Route]:
        """Return those that have been there for the grace period, the oldest first."""
        return [route for route, since_s in self._since_s.items() if now_s - since_s >= grace_s]


def ways(route: Route) -> tuple[int, ...]:
    """Return the indexes of the interfaces that a route leads through."""
    return tuple(hop.oif for hop in route.hops) or (route.oif,)


def is_of_the_link(route: Route) -> bool:
    """Whether the kernel made it for what the link itself is: addresses, multicast, its own table."""
    if route.table != routes.TABLE_MAIN or route.protocol == routes.PROTOCOL_KERNEL:
        return True
    return any(net.contains(route.dst) for net in _OF_THE_LINK)
