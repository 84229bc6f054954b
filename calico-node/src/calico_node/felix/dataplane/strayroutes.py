"""Removes routes through workloads' interfaces that nobody has come to want."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from calico_node.felix import metrics
from calico_node.felix.dataplane.routelinks import RouteLinks
from calico_node.felix.routes.strays import Strays, ways
from libcalico.netlink import routes
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NetlinkSocket

log = logging.getLogger(__name__)


class StrayRoutes:
    """Routes through workloads' interfaces that nobody has come to want.

    Args:
        links: names of the interfaces.
        is_stray: whether nobody wants a route, as things are now.
    """

    def __init__(self, links: RouteLinks, is_stray: Callable[[Route], bool]) -> None:
        self._links = links
        self._is_stray = is_stray
        self._strays = Strays()

    def take(self, route: Route, *, is_gone: bool) -> bool:
        """Note a route that appeared or vanished; return whether it is there and nobody wants it."""
        if is_gone or not self._is_stray(route):
            self._strays.forget(route)
            return False
        self._strays.see(route, time.monotonic())
        return True

    def read(self, present: Collection[Route]) -> set[Route]:
        """Note that these are all routes there are; return those that nobody wants."""
        self._strays.keep(present)
        return {route for route in present if self.take(route, is_gone=False)}

    def describe(self) -> list[str]:
        """Return a line for each, for people."""
        return [f"{self._text(route)} is unwanted" for route in self._strays]

    def remove(self, socket: NetlinkSocket, grace_s: float) -> None:
        """Remove those that have been there for the grace period and that nobody wants still.

        What the kernel refuses is logged; the next full reading of routes finds it again.

        Raises:
            NetlinkError: answers were lost.
        """
        due = self._strays.due(time.monotonic(), grace_s)
        for route in due:
            self._strays.forget(route)
        unwanted = [route for route in due if self._is_stray(route)]
        refusals = socket.batch([routes.encode_delete(route) for route in unwanted])
        refused = {unwanted[refusal.seq - 1]: refusal for refusal in refusals}
        for route in unwanted:
            if route not in refused:
                log.warning("removed a route that nobody wants route=%s", self._text(route))
                metrics.REPAIRS.labels("routes").inc()
            elif refused[route].errno not in routes.ABSENT:
                log.warning("cannot remove route=%s error=%s", self._text(route), refused[route])
                metrics.FAILURES.inc()

    def _text(self, route: Route) -> str:
        names = ", ".join(self._links.name(index) for index in ways(route))
        return f"{route.dst} dev {names} metric {route.priority} proto {route.protocol}"
