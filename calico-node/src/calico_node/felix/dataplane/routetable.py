"""Our routes in the kernel: which are installed, which wait, and the requests that change them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from calico_node.felix import metrics
from calico_node.felix.routes.plan import Installed, Operation
from calico_node.felix.routes.settings import RouteSettings
from libcalico.errors import NetlinkError
from libcalico.net.addresses import Cidr
from libcalico.netlink import routes
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NetlinkSocket

log = logging.getLogger(__name__)


class RouteTable:
    """What the kernel has of ours, as far as is known.

    Attributes:
        settings: what new routes are made with.
        installed: by destination.
        waiting: destinations of which the kernel refused the last change.
    """

    def __init__(self, socket: NetlinkSocket, settings: RouteSettings) -> None:
        self._socket = socket
        self.settings = settings
        self.installed: dict[Cidr, Installed] = {}
        self.waiting: set[Cidr] = set()

    def change(self, operations: Sequence[Operation], among: Collection[Cidr] | None) -> None:
        """Do operations, which are all there is to do among some destinations (None: all).

        Raises:
            NetlinkError: answers were lost.
        """
        self.waiting -= set(self.waiting if among is None else among)
        if not operations:
            return
        requests: list[bytes] = []
        origins: list[Operation] = []
        for operation in operations:
            for request in self._requests(operation):
                requests.append(request)
                origins.append(operation)
        refusals = {origins[e.seq - 1]: e for e in self._socket.batch(requests) if not _is_gone(e)}
        for operation in operations:
            self._note(operation, refusals.get(operation))
        metrics.ROUTES.set(len(self.installed))

    def _requests(self, operation: Operation) -> list[bytes]:
        """Return the messages of one operation; a route of another kind in its place goes first."""
        there, way = self.installed.get(operation.destination), operation.way
        removal = [routes.encode_delete(self._route(operation.destination, there))] if there else []
        if way is None:
            return removal
        replacement = routes.encode_replace(self._route(operation.destination, way))
        changes_kind = there is not None and _kind(there) != _kind(way)
        return [*removal, replacement] if changes_kind else [replacement]

    def _note(self, operation: Operation, refusal: NetlinkError | None) -> None:
        if refusal is not None:
            log.warning("cannot change route dst=%s error=%s", operation.destination, refusal)
            metrics.FAILURES.inc()
            self.waiting.add(operation.destination)
        elif operation.way is None:
            self.installed.pop(operation.destination, None)
        else:
            self.installed[operation.destination] = operation.way

    def clear(self) -> None:
        """Remove every route of ours.

        Raises:
            NetlinkError: the kernel refused.
        """
        destinations = list(self.installed)
        requests = [routes.encode_delete(self._route(d, self.installed[d])) for d in destinations]
        for error in self._socket.batch(requests):
            if not _is_gone(error):
                raise error
        self.installed.clear()

    def _route(self, destination: Cidr, way: Installed) -> Route:
        if not way.index:
            return Route(destination, type=routes.BLACKHOLE)
        if way.gateway is not None:
            return Route(destination, oif=way.index, gateway=way.gateway, onlink=way.onlink)
        version = destination.version
        return Route(
            destination,
            oif=way.index,
            scope=routes.SCOPE_LINK if version == 4 else routes.SCOPE_UNIVERSE,
            protocol=self.settings.protocol,
            priority=self.settings.priorities[version],
            src=self.settings.sources.get(version),
        )


def _kind(way: Installed) -> int:
    """Return what tells routes that can be replaced from those that stand beside each other."""
    return 2 if way.gateway is not None else int(bool(way.index))


def _is_gone(error: NetlinkError) -> bool:
    """Whether what was to be removed was not there any more."""
    return error.errno in routes.ABSENT
