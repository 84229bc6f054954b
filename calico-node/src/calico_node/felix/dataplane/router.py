"""Keeps the routes and interface settings of this host as they are wanted. Synchronous.

Ours are: routes through workload interfaces with our priority, and blackholes with our protocol
number. Nothing else is looked at. What another process removes or changes is put right as soon as
the kernel tells; after lost notifications everything is read anew.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from calico_node.felix import metrics
from calico_node.felix.messages import EndpointId, LocalEndpoint
from calico_node.felix.routes.plan import Installed, Link, Operation, Wanted, plan
from libcalico.errors import NetlinkError, OverrunError
from libcalico.net.addresses import Cidr
from libcalico.netlink import links, monitor, routes, sysctl
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NETLINK_ROUTE, NetlinkSocket

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What routes depend on beside endpoints. Defaults are Felix's.

    Attributes:
        interface_prefixes: names of workload interfaces begin so.
        protocol: protocol number of routes to workloads.
        priorities: metric of routes to workloads, by IP version.
        sources: preferred source address of routes to workloads, by IP version.
        floating_ips: whether there are routes to floating addresses, too.
    """

    interface_prefixes: tuple[str, ...] = ("cali",)
    protocol: int = routes.PROTOCOL_BOOT
    priorities: Mapping[int, int] = field(
        default_factory=lambda: dict.fromkeys((4, 6), routes.WORKLOAD_PRIORITY)
    )
    sources: Mapping[int, Cidr] = field(default_factory=dict)
    ipv6: bool = True
    ip_forwarding: bool = True
    floating_ips: bool = False


class Router:
    """Routes in the kernel of the network namespace in which this was made."""

    def __init__(self, settings: RouteSettings) -> None:
        self._settings = settings
        self._wanted = Wanted(has_floating=settings.floating_ips)
        self._links: dict[str, Link] = {}
        self._names: dict[int, str] = {}
        self._installed: dict[Cidr, Installed] = {}
        self._configured: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._waiting: set[Cidr] = set()
        self._unconfigured: set[str] = set()
        self._is_started = False
        self._socket = NetlinkSocket(NETLINK_ROUTE)
        try:
            self._monitor = monitor.Monitor(monitor.LINKS | monitor.ROUTES)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the sockets. Routes stay."""
        self._monitor.close()
        self._socket.close()

    @property
    def monitor(self) -> monitor.Monitor:
        """Readable when links or routes changed; then call :meth:`take_events`."""
        return self._monitor

    def describe(self) -> list[str]:
        """Return a line for each route that is installed or waits, for people."""
        places = {
            d: f"dev {self._names.get(i.index)}" for d, i in self._installed.items() if i.index
        }
        lines = [f"{d} {places.get(d, 'blackhole')}" for d in sorted(self._installed)]
        return lines + [f"{destination} waits" for destination in sorted(self._waiting)]

    @property
    def interfaces(self) -> int:
        """How many workload interfaces there are."""
        return len(self._links)

    @property
    def is_in_sync(self) -> bool:
        """Whether every route that can be is installed."""
        return self._is_started and not self._waiting and not self._unconfigured

    def start(self) -> None:
        """Turn on forwarding, and make the kernel have what is wanted, in place of what a previous run left.

        Raises:
            NetlinkError: the kernel refused; :meth:`retry` later.
        """
        if self._settings.ip_forwarding:
            sysctl.apply({"net/ipv4/ip_forward": 1})
            if self._settings.ipv6:
                sysctl.apply({"net/ipv6/conf/all/forwarding": 1})
        self._read()
        self._is_started = True
        self._sync(None)
        for interface in self._wanted.interfaces():
            self._configure(interface)

    def reconfigure(self, settings: RouteSettings) -> None:
        """Take over another configuration and install every route anew. Raises as :meth:`start`."""
        if settings == self._settings:
            return
        try:
            self._remove(list(self._installed))
        finally:
            self._settings = settings
            self._wanted.enable_floating(is_enabled=settings.floating_ips)
            self._configured.clear()
            self._unconfigured.clear()
            self._is_started = False
        self.start()

    def apply(
        self,
        endpoints: Mapping[EndpointId, LocalEndpoint | None],
        blocks: Mapping[Cidr, bool | None],
    ) -> None:
        """Take in changed endpoints and blocks, and install what can be, once this has started.

        What the kernel refuses is logged and tried again by :meth:`retry`.

        Raises:
            NetlinkError: answers were lost.
        """
        touched = self._wanted.change(endpoints, blocks)
        if not self._is_started:
            return
        for endpoint in endpoints.values():
            if endpoint is not None:
                self._configure(endpoint.interface)
        self._sync(touched)

    def retry(self) -> None:
        """Try what failed again. Raises as :meth:`start`."""
        if not self._is_started:
            self.start()
        for interface in list(self._unconfigured):
            self._configure(interface)
        if self._waiting:
            self._sync(set(self._waiting))

    def audit(self) -> None:
        """Read links and routes anew, and put right what nothing told of. Raises as :meth:`start`."""
        self.take_events()
        believed = dict(self._installed)
        self._read()
        if differing := believed.items() ^ self._installed.items():
            log.warning("routes were changed without a word routes=%s", len(dict(differing)))
            metrics.REPAIRS.labels("routes").inc(len(dict(differing)))
        self._sync(None)

    def audit_interfaces(self) -> None:
        """Set up every workload interface anew, for nothing tells of changed settings."""
        self._configured.clear()
        for interface in self._wanted.interfaces():
            self._configure(interface)

    def is_ready(self, endpoint: LocalEndpoint) -> bool:
        """Return whether an endpoint's interface is up and set up, and its routes are installed."""
        link = self._links.get(endpoint.interface)
        if link is None or not link.is_up:
            return False
        if self._configured.get(endpoint.interface) != link.index:
            return False
        return all(
            (there := self._installed.get(address)) is not None and there.index == link.index
            for address in endpoint.addresses
        )

    def has_failed(self, endpoint: LocalEndpoint) -> bool:
        """Return whether the kernel refused a route or a setting of an endpoint's interface."""
        return endpoint.interface in self._unconfigured or not self._waiting.isdisjoint(
            endpoint.addresses
        )

    def take_events(self) -> set[str]:
        """Put right what changed; return the workload interfaces whose state changed.

        Raises:
            NetlinkError: as :meth:`apply`.
        """
        changed: set[str] = set()
        touched: set[Cidr] = set()
        try:
            events = self._monitor.read()
        except OverrunError:
            log.warning("lost notifications of links and routes; reading them again")
            self._read()
            self._sync(None)
            return set(self._links)
        metrics.INTERFACE_EVENTS.observe(len(events))
        for event in events:
            match event:
                case monitor.LinkEvent(link=link, is_gone=is_gone):
                    # One by one: an interface that is up again has lost its routes all the same.
                    for interface in self._take_link(link, is_gone=is_gone):
                        self._forget_dead(interface)
                        changed.add(interface)
                case monitor.RouteEvent(route=route, is_gone=is_gone):
                    touched |= self._take_route(route, is_gone=is_gone)
        for interface in changed:
            touched |= self._wanted.through(interface)
            self._configure(interface)
        if touched:
            self._sync(touched)
        return changed

    # What the kernel has

    @metrics.ROUTE_RESYNC_SECONDS.time()
    def _read(self) -> None:
        self._links.clear()
        self._names.clear()
        for link in links.list_links(self._socket):
            self._take_link(link, is_gone=False)
        self._installed.clear()
        for version in self._versions():
            for route in routes.list_routes(self._socket, version):
                if self._is_ours(route):
                    self._installed[route.dst] = Installed(self._index(route))

    def _versions(self) -> tuple[int, ...]:
        return (4, 6) if self._settings.ipv6 else (4,)

    def _index(self, route: Route) -> int:
        return 0 if route.type == routes.BLACKHOLE else route.oif

    def _is_ours(self, route: Route) -> bool:
        if route.table != routes.TABLE_MAIN:
            return False
        if route.type == routes.BLACKHOLE:
            return route.protocol == routes.PROTOCOL_FELIX
        return (
            self._is_workload(self._names.get(route.oif, ""))
            and route.priority == self._settings.priorities[route.dst.version]
            and route.dst.is_address
        )

    def _is_workload(self, interface: str) -> bool:
        return interface.startswith(self._settings.interface_prefixes)

    def _take_link(self, link: links.Link, *, is_gone: bool) -> set[str]:
        """Note a link; return the workload interfaces that appear, vanish, or go up or down."""
        changed: set[str] = set()
        old_name = self._names.get(link.ifindex)
        if old_name is not None and (is_gone or old_name != link.name):
            changed.add(old_name)
            self._names.pop(link.ifindex)
            if self._links.get(old_name, Link(0, is_up=False)).index == link.ifindex:
                del self._links[old_name]
        if not is_gone and self._is_workload(link.name):
            seen = Link(link.ifindex, link.is_up)
            if self._links.get(link.name) != seen:
                changed.add(link.name)
            self._links[link.name] = seen
            self._names[link.ifindex] = link.name
        return changed

    def _take_route(self, route: Route, *, is_gone: bool) -> set[Cidr]:
        """Note what somebody did to a route of ours; return its destination if it is to be looked at."""
        there = self._installed.get(route.dst)
        if not self._is_ours(route):
            return set()
        index = self._index(route)
        if is_gone and there is not None and there.index == index:
            del self._installed[route.dst]
            metrics.REPAIRS.labels("routes").inc()
            return {route.dst}
        if not is_gone and there != Installed(index):
            self._installed[route.dst] = Installed(index)
            return {route.dst}
        return set()

    def _forget_dead(self, interface: str) -> None:
        """Routes through an interface that is down or gone went with it, without a word for IPv4."""
        link = self._links.get(interface)
        for destination in self._wanted.through(interface):
            there = self._installed.get(destination)
            if there is None or not there.index:
                continue
            if link is None or not link.is_up or there.index != link.index:
                del self._installed[destination]

    # What we do to it

    def _configure(self, interface: str) -> None:
        """Make a workload interface answer for its gateway and forward; once for each new device."""
        self._unconfigured.discard(interface)
        link = self._links.get(interface)
        if link is None or self._configured.get(interface) == link.index:
            return
        settings = {
            sysctl.interface_key(4, interface, "route_localnet"): 1,
            sysctl.interface_key(4, interface, "proxy_arp"): 1,
            sysctl.neighbour_key(4, interface, "proxy_delay"): 0,
            sysctl.interface_key(4, interface, "forwarding"): 1,
        }
        if self._settings.ipv6:
            settings |= {
                sysctl.interface_key(6, interface, "accept_ra"): 0,
                sysctl.interface_key(6, interface, "proxy_ndp"): 1,
                sysctl.interface_key(6, interface, "forwarding"): 1,
            }
        try:
            changed = sysctl.apply(settings)
        except NetlinkError as error:
            # It may have gone meanwhile: then a link event will tell, and there is nothing to try again.
            log.warning("cannot configure interface interface=%s error=%s", interface, error)
            self._unconfigured.add(interface)
            return
        if changed and self._settled.get(interface) == link.index:
            log.warning("settings were changed interface=%s settings=%s", interface, list(changed))
            metrics.REPAIRS.labels("sysctls").inc(len(changed))
        self._configured[interface] = self._settled[interface] = link.index

    def _sync(self, among: Collection[Cidr] | None) -> None:
        operations = plan(self._wanted.targets, self._links, self._installed, among)
        operations = [o for o in operations if o.destination.version in self._versions()]
        looked_at = set(among) if among is not None else set(self._waiting)
        self._waiting -= looked_at
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
        metrics.ROUTES.set(len(self._installed))

    def _requests(self, operation: Operation) -> list[bytes]:
        """Return the messages of one operation; a route of another kind in its place goes first."""
        there = self._installed.get(operation.destination)
        removal = (
            []
            if there is None
            else [routes.encode_delete(self._route(operation.destination, there.index))]
        )
        if operation.index is None:
            return removal
        replacement = routes.encode_replace(self._route(operation.destination, operation.index))
        changes_kind = there is not None and bool(there.index) != bool(operation.index)
        return [*removal, replacement] if changes_kind else [replacement]

    def _note(self, operation: Operation, refusal: NetlinkError | None) -> None:
        if refusal is not None:
            log.warning("cannot change route dst=%s error=%s", operation.destination, refusal)
            metrics.FAILURES.inc()
            self._waiting.add(operation.destination)
        elif operation.index is None:
            self._installed.pop(operation.destination, None)
        else:
            self._installed[operation.destination] = Installed(operation.index)

    def _remove(self, destinations: Collection[Cidr]) -> None:
        requests = [
            routes.encode_delete(self._route(d, self._installed[d].index)) for d in destinations
        ]
        for error in self._socket.batch(requests):
            if not _is_gone(error):
                raise error
        for destination in destinations:
            del self._installed[destination]

    def _route(self, destination: Cidr, index: int) -> Route:
        if not index:
            return Route(destination, type=routes.BLACKHOLE, protocol=routes.PROTOCOL_FELIX)
        version = destination.version
        return Route(
            destination,
            oif=index,
            scope=routes.SCOPE_LINK if version == 4 else routes.SCOPE_UNIVERSE,
            protocol=self._settings.protocol,
            priority=self._settings.priorities[version],
            src=self._settings.sources.get(version),
        )


def _is_gone(error: NetlinkError) -> bool:
    """Whether what was to be removed was not there any more."""
    return error.errno in routes.ABSENT
