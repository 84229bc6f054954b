"""Keeps the routes and interface settings of this host as they are wanted. Synchronous.

Ours are: routes through workload interfaces with our priority, and those with our protocol number that lead
nowhere or to another node. What another process removes or changes is put right as soon as the kernel tells;
after lost notifications everything is read anew. Whatever else leads through workload interfaces is removed
after a grace period, if it is so configured. Nothing else is looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Final

from calico_node.felix import metrics
from calico_node.felix.dataplane.routelinks import RouteLinks
from calico_node.felix.dataplane.routetable import RouteTable
from calico_node.felix.dataplane.strayroutes import StrayRoutes
from calico_node.felix.dataplane.sysctls import Sysctls
from calico_node.felix.dataplane.workloadlinks import WorkloadLinks
from calico_node.felix.messages import EndpointId, LocalEndpoint
from calico_node.felix.routes import strays
from calico_node.felix.routes.plan import Installed, Target, Wanted, plan
from calico_node.felix.routes.settings import RouteSettings
from libcalico.errors import NetlinkError, OverrunError
from libcalico.net.addresses import Cidr
from libcalico.netlink import conntrack, links, monitor, netconf, routes, sysctl
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket

log = logging.getLogger(__name__)

#: What stands for all interfaces in the keys of settings.
_ALL: Final = "all"


class Router:
    """Routes in the kernel of the network namespace in which this was made."""

    def __init__(self, settings: RouteSettings) -> None:
        self._settings = settings
        self._wanted = Wanted(has_floating=settings.floating_ips)
        self._links = RouteLinks(settings.interface_prefixes)
        self._strays = StrayRoutes(self._links, self._is_stray)
        self._is_started = False
        with ExitStack() as stack:
            self._socket = stack.enter_context(NetlinkSocket(NETLINK_ROUTE))
            self._tracking = stack.enter_context(NetlinkSocket(NETLINK_NETFILTER))
            self._sysctls = stack.enter_context(closing(Sysctls()))
            self._monitor = monitor.Monitor(monitor.LINKS | monitor.ROUTES)
            stack.pop_all()
        self._table = RouteTable(self._socket, settings)
        self._workloads = WorkloadLinks(self._sysctls, ipv6=settings.ipv6)

    def close(self) -> None:
        """Close the sockets. Routes stay."""
        self._monitor.close()
        self._sysctls.close()
        self._tracking.close()
        self._socket.close()

    @property
    def monitor(self) -> monitor.Monitor:
        """Readable when links or routes changed; then call :meth:`take_events`."""
        return self._monitor

    @property
    def settings_watched(self) -> tuple[int, ...]:
        """File descriptors, readable when settings changed; then call :meth:`repair_settings`."""
        return self._sysctls.watched

    def repair_settings(self) -> None:
        """Put right what others changed in the settings of interfaces."""
        self._sysctls.repair()

    def describe(self) -> list[str]:
        """Return a line for each route that is installed or waits, for people."""
        lines = [
            f"{d} {self._describe(self._table.installed[d])}" for d in sorted(self._table.installed)
        ]
        lines += [f"{destination} waits" for destination in sorted(self._table.waiting)]
        return lines + self._strays.describe()

    def _describe(self, way: Installed) -> str:
        if not way.index:
            return "blackhole"
        via = f"via {way.gateway.address} " if way.gateway else ""
        return f"{via}dev {self._links.name(way.index) or way.index}"

    @property
    def interfaces(self) -> int:
        """How many workload interfaces there are."""
        return sum(map(self._links.is_workload, self._links.by_name))

    @property
    def is_in_sync(self) -> bool:
        """Whether every route that can be is installed."""
        return self._is_started and not self._table.waiting and not self._workloads.unconfigured

    def start(self) -> None:
        """Turn on forwarding, and make the kernel have what is wanted, in place of what a previous run left.

        Raises:
            NetlinkError: the kernel refused; :meth:`retry` later.
        """
        self._forward()
        self._read()
        self._is_started = True
        self._sync(None)
        for interface in self._wanted.interfaces():
            self._configure(interface)

    def reconfigure(self, settings: RouteSettings) -> None:
        """Take over another configuration; install every route anew if need be. Raises as :meth:`start`.

        Routes that are left to others from now on stay as they are.
        """
        if self._differs_in_strays(settings):
            self._settings = self._table.settings = settings
            self.recover()
            return
        try:
            if not (settings.is_disabled or self._settings.is_disabled):
                self._table.clear()
        finally:
            self._settings = self._table.settings = settings
            self._wanted.enable_floating(is_enabled=settings.floating_ips)
            self._links.prefixes = settings.interface_prefixes
            self._workloads = WorkloadLinks(self._sysctls, ipv6=settings.ipv6)
            self._is_started = False
        self.start()

    def _forward(self) -> None:
        """Let the host forward packets; what has been is left as it is if that is not ours to do."""
        if not self._settings.ip_forwarding:
            self._sysctls.drop(_ALL)
            return
        versions = (4, 6) if self._settings.ipv6 else (4,)
        settings = {sysctl.interface_key(v, _ALL, "forwarding"): 1 for v in versions}
        self._sysctls.keep(_ALL, netconf.ALL_LINKS, settings)

    def _differs_in_strays(self, settings: RouteSettings) -> bool:
        """Whether our own routes are the same in another configuration."""
        return settings == replace(
            self._settings,
            overlay=settings.overlay,
            removes_strays=settings.removes_strays,
            grace_s=settings.grace_s,
        )

    def apply(
        self,
        endpoints: Mapping[EndpointId, LocalEndpoint | None],
        blocks: Mapping[Cidr, bool | None],
        remotes: Mapping[Cidr, Target | None] | None = None,
    ) -> None:
        """Take in changed endpoints, own blocks, and what is at other nodes (None: gone).

        What can be is installed, once this has started.

        What the kernel refuses is logged and tried again by :meth:`retry`.

        Raises:
            NetlinkError: answers were lost.
        """
        touched = self._wanted.change(endpoints, blocks, remotes or {})
        if not self._is_started:
            return
        for endpoint in endpoints.values():
            if endpoint is not None:
                self._configure(endpoint.interface)
        self._forget_connections()
        self._sync(touched)

    def _forget_connections(self) -> None:
        """End what is tracked of addresses that have left their interface, before they lead elsewhere.

        Policy has passed those connections for somebody else.
        """
        left = self._wanted.take_left()
        try:
            count = conntrack.delete_connections(self._tracking, left)
        except NetlinkError as error:
            log.warning("cannot end connections addresses=%s error=%s", len(left), error)
            metrics.FAILURES.inc()
        else:
            if count:
                log.info("ended connections addresses=%s connections=%s", len(left), count)

    def call(self, aliases: Mapping[str, int]) -> None:
        """Let targets call these links (by index) by other names, too. Raises as :meth:`apply`."""
        changed = self._links.call(aliases)
        if changed and self._is_started:
            self._sync({d for name in changed for d in self._wanted.through(name)})

    def recover(self) -> None:
        """Read links and routes anew, and put right what differs. Raises as :meth:`apply`."""
        if self._is_started:
            self._read()
            self._sync(None)
            for interface in self._wanted.interfaces():
                self._configure(interface)

    def retry(self) -> None:
        """Try what failed again, and remove what nobody wants. Raises as :meth:`start`."""
        if not self._is_started:
            self.start()
        for interface in list(self._workloads.unconfigured):
            self._configure(interface)
        if self._table.waiting:
            self._sync(set(self._table.waiting))
        self._strays.remove(self._socket, self._settings.grace_s)

    def audit(self) -> None:
        """Read links and routes anew, and put right what nothing told of. Raises as :meth:`start`."""
        self.take_events()
        believed = dict(self._table.installed)
        self._read()
        if differing := believed.items() ^ self._table.installed.items():
            log.warning("routes were changed without a word routes=%s", len(dict(differing)))
            metrics.REPAIRS.labels("routes").inc(len(dict(differing)))
        self._sync(None)

    def audit_interfaces(self) -> None:
        """Set up every workload interface anew: not every change of a setting is told of."""
        self._forward()
        self._workloads.doubt()
        for interface in self._wanted.interfaces():
            self._configure(interface)

    def is_ready(self, endpoint: LocalEndpoint) -> bool:
        """Return whether an endpoint's interface is up and set up, and its routes are installed."""
        link = self._links.by_name.get(endpoint.interface)
        if link is None or not link.is_up:
            return False
        if not self._workloads.is_configured(endpoint.interface, link):
            return False
        return self._settings.is_disabled or all(
            self._table.installed.get(a) == Installed(link.index) for a in endpoint.addresses
        )

    def has_failed(self, endpoint: LocalEndpoint) -> bool:
        """Return whether the kernel refused a route or a setting of an endpoint's interface."""
        is_unconfigured = endpoint.interface in self._workloads.unconfigured
        return is_unconfigured or not self._table.waiting.isdisjoint(endpoint.addresses)

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
            self.recover()
            return set(self._links.by_name)
        metrics.INTERFACE_EVENTS.observe(len(events))
        for event in events:
            match event:
                case monitor.LinkEvent(link=link, is_gone=is_gone):
                    # One by one: an interface that is up again has lost its routes all the same.
                    for interface in self._links.take(link, is_gone=is_gone):
                        self._forget_dead(interface)
                        changed.add(interface)
                        if is_gone:  # and may be back in the next event, without its settings
                            self._configure(interface)
                case monitor.RouteEvent(route=route, is_gone=is_gone):
                    touched |= self._take_route(route, is_gone=is_gone)
        touched |= self._wanted.see(self._links.are_up(changed))
        for interface in changed:
            touched |= self._wanted.through(interface)
            self._configure(interface)
        if touched:
            self._forget_connections()
            self._sync(touched)
        return changed

    # What the kernel has

    @metrics.ROUTE_RESYNC_SECONDS.time()
    def _read(self) -> None:
        known = set(self._links.by_name)
        self._links.read(links.list_links(self._socket))
        self._wanted.see(self._links.are_up(known | self._links.by_name.keys()))
        self._table.installed.clear()
        present = [r for v in self._versions() for r in routes.list_routes(self._socket, v)]
        unwanted = self._strays.read(present)
        for route in present:
            if route not in unwanted and self._is_ours(route):
                self._table.installed[route.dst] = _installed(route)

    def _versions(self) -> tuple[int, ...]:
        """Return the families whose routes are ours to keep."""
        if self._settings.is_disabled:
            return ()
        return (4, 6) if self._settings.ipv6 else (4,)

    def _is_ours(self, route: Route) -> bool:
        if route.table != routes.TABLE_MAIN or route.dst.version not in self._versions():
            return False
        is_felix = route.protocol == routes.PROTOCOL_FELIX
        if route.type == routes.BLACKHOLE or route.gateway is not None:
            return is_felix
        is_on_workload = self._links.is_workload(self._links.name(route.oif))
        return is_on_workload and self._has_our_key(route) and route.dst in self._wanted.targets

    def _has_our_key(self, route: Route) -> bool:
        """Whether a route is in the place of one to a workload."""
        return (
            route.dst.is_address and route.priority == self._settings.priorities[route.dst.version]
        )

    def _is_stray(self, route: Route) -> bool:
        """Whether a route leads through workloads' interfaces though nobody wants it there."""
        names = map(self._links.name, strays.ways(route))
        is_left_to_others = route.dst.version not in self._versions()
        if is_left_to_others or strays.is_of_the_link(route):
            return False
        if not all(map(self._links.is_workload, names)):
            return False
        if self._is_ours(route):
            return False
        is_as_we_make_it = route.protocol == self._settings.protocol and self._has_our_key(route)
        return is_as_we_make_it or self._settings.removes_strays

    def _take_route(self, route: Route, *, is_gone: bool) -> set[Cidr]:
        """Note what somebody did to a route of ours; return its destination if it is to be looked at."""
        there = self._table.installed.get(route.dst)
        if self._strays.take(route, is_gone=is_gone) or not self._is_ours(route):
            return set()
        seen = _installed(route)
        if is_gone and there == seen:
            del self._table.installed[route.dst]
            metrics.REPAIRS.labels("routes").inc()
            return {route.dst}
        if not is_gone and there != seen:
            self._table.installed[route.dst] = seen
            return {route.dst}
        return set()

    def _forget_dead(self, interface: str) -> None:
        """Routes through an interface that is down or gone went with it, without a word for IPv4."""
        link = self._links.by_name.get(interface)
        for destination in self._wanted.through(interface):
            there = self._table.installed.get(destination)
            if there is None or not there.index:
                continue
            if link is None or not link.is_up or there.index != link.index:
                del self._table.installed[destination]

    # What we do to it

    def _configure(self, interface: str) -> None:
        if self._links.is_workload(interface):
            self._workloads.configure(interface, self._links.by_name.get(interface))

    def _sync(self, among: Collection[Cidr] | None) -> None:
        operations = plan(self._wanted.targets, self._links.by_name, self._table.installed, among)
        ours = [o for o in operations if o.destination.version in self._versions()]
        self._table.change(ours, among)


def _installed(route: Route) -> Installed:
    """Return what a route of ours does."""
    index = 0 if route.type == routes.BLACKHOLE else route.oif
    return Installed(index, route.gateway)
