"""This host: policy and routes together, and the status of its endpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from calico_node.felix import dump, metrics
from calico_node.felix.dataplane.audits import Audit
from calico_node.felix.dataplane.enforcer import Enforcer
from calico_node.felix.dataplane.mtufile import MtuFile
from calico_node.felix.dataplane.overlays import Overlays
from calico_node.felix.dataplane.router import Router
from calico_node.felix.dataplane.states import State, States
from calico_node.felix.dataplane.status import StatusFiles
from calico_node.felix.dump import Section
from calico_node.felix.firewall.apply import HostFirewall
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.messages import (
    Changes,
    EndpointId,
    HostEndpoint,
    HostLinks,
    LocalEndpoint,
)
from calico_node.felix.nft import text
from calico_node.felix.program.classes import subjects, subjects_of_host
from calico_node.felix.program.program import Subject
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.routes.overlay import Changed
from calico_node.felix.routes.settings import RouteSettings
from calico_node.felix.shaping.apply import Shaper


class Host:
    """Programs this host. Policy comes before the routes that lead to an endpoint.

    Args:
        rules: what rules depend on.
        routes: what routes depend on.
        firewall: what our rules in the host's own firewall depend on.
        status: below it, files tell which endpoints are programmed.
        mtu: this file tells plugins the MTU of workloads' interfaces.
    """

    def __init__(
        self,
        rules: RuleSettings,
        routes: RouteSettings,
        firewall: FirewallSettings,
        status: Path,
        mtu: Path,
    ) -> None:
        with ExitStack() as stack:
            self.enforcer = stack.enter_context(closing(Enforcer(rules)))
            self.router = stack.enter_context(closing(Router(routes)))
            self.overlays = stack.enter_context(closing(Overlays(routes.overlay, self.router)))
            self._shaper = stack.enter_context(closing(Shaper()))
            self.firewall = HostFirewall(firewall, [self.enforcer.port])
            stack.pop_all()
        self._status = StatusFiles(status)
        self.mtu_file = MtuFile(mtu)
        self._endpoints: dict[EndpointId, LocalEndpoint] = {}
        self._by_interface: dict[str, set[EndpointId]] = {}
        self._told: dict[EndpointId, bool] = {}
        self._governing: dict[str, HostEndpoint] = {}
        self._links: dict[str, HostLinks] = {}
        self._hosts_told: set[str] = set()
        self.states = States()
        self._refused: set[Subject] = set()
        self._policies: set[object] = set()

    def close(self) -> None:
        """Close what is open; what was programmed stays."""
        self.firewall.close()
        self.overlays.close()
        self._shaper.close()
        self.router.close()
        self.enforcer.close()

    @property
    def is_in_sync(self) -> bool:
        """Whether the kernel has everything that it should have."""
        return all((self.enforcer.is_in_sync, self.router.is_in_sync, self.overlays.is_in_sync))

    @property
    def watched(self) -> tuple[tuple[int, Callable[[], None]], ...]:
        """File descriptors, and what to call when one is readable; raises as :meth:`start`."""
        return (
            (self.enforcer.monitor.fileno(), self.repair_policy),
            (self.router.monitor.fileno(), self.take_link_events),
            (self.firewall.monitor.fileno(), self.firewall.repair),
            (self.overlays.monitor.fileno(), self.take_overlay_events),
            *((each, self.router.repair_settings) for each in self.router.settings_watched),
        )

    def start(self, changes: Changes) -> None:
        """Program everything for the first time, in place of what a previous run left.

        Raises:
            NetlinkError: the kernel did not take it; :meth:`retry` later.
        """
        began = time.perf_counter()
        self._note(changes)
        self._status.prune(self._endpoints)
        try:
            self._commit(changes)
        finally:
            self.router.start()
            self._shaper.start()
            self._report(changes.endpoints)
            self._program_overlays()
            metrics.INITIAL_SECONDS.set(time.perf_counter() - began)

    def apply(self, changes: Changes) -> None:
        """Program changes. Raises as :meth:`start`."""
        began = time.perf_counter()
        self._note(changes)
        try:
            self._commit(changes)
        finally:
            self._report(changes.endpoints)
        self._program_overlays()
        metrics.BATCH_SIZE.observe(len(changes))
        metrics.MESSAGES.inc(len(changes))
        metrics.APPLY_SECONDS.observe(time.perf_counter() - began)

    def _commit(self, changes: Changes) -> None:
        """Hand changes to both, whatever happens: what one refuses it tries again by itself."""
        try:
            self.enforcer.apply(changes)
            self.firewall.start()
        finally:
            overlay = Changed(changes.pools, changes.nodes, changes.remotes)
            remotes = self.overlays.change(overlay)
            self.router.apply(changes.endpoints, changes.blocks, remotes)
            self._shaper.apply(changes.endpoints)

    def reconfigure(
        self, rules: RuleSettings, routes: RouteSettings, firewall: FirewallSettings
    ) -> None:
        """Program the same for another configuration. Raises as :meth:`start`."""
        try:
            self.enforcer.reconfigure(rules)
            self.firewall.reconfigure(firewall)
        finally:
            remotes = self.overlays.reconfigure(routes.overlay)
            try:
                self.router.reconfigure(routes)
            finally:
                self.router.apply({}, {}, remotes)
                self._report(self._endpoints)
            self._program_overlays()

    def retry(self) -> None:
        """Try what failed again. Raises as :meth:`start`."""
        try:
            self.enforcer.retry()
            self.firewall.start()
        finally:
            self.router.retry()
            self._program_overlays()
            self._shaper.retry()
        self._report([endpoint for endpoint, is_ready in self._told.items() if not is_ready])
        self._status.retry()

    def audit(self, what: Audit) -> None:
        """Compare with the kernel, and put right what differs. Raises as :meth:`start`."""
        audits = {"nftables": self.enforcer.audit, "routes": self.router.audit}
        audits |= {"interfaces": self._audit_interfaces}
        audits[what]()

    def _audit_interfaces(self) -> None:
        self.mtu_file.doubt()
        self.router.audit_interfaces()

    def move_status(self, status: Path) -> None:
        """Keep the status files in another place from now on."""
        if self._status.is_below(status):
            return
        self._status.prune(())
        self._status = StatusFiles(status)
        self._status.prune(self._endpoints)
        self._told.clear()
        self._report(list(self._endpoints))

    def repair_policy(self) -> None:
        """Put right what others changed in our table. Raises as :meth:`start`."""
        self.enforcer.repair()

    def take_link_events(self) -> None:
        """Follow the interfaces, and put right what others changed in our routes. Raises as :meth:`start`."""
        interfaces = self.router.take_events()
        self._shaper.refresh(interfaces)
        self._report({i for name in interfaces for i in self._by_interface.get(name, ())})

    def take_overlay_events(self) -> None:
        """Follow the host's interfaces, and put overlays right. Raises as :meth:`start`."""
        self.overlays.take_events()
        self.mtu_file.write(self.overlays.workload_mtu)

    def _program_overlays(self) -> None:
        try:
            self.overlays.program()
        finally:
            self.mtu_file.write(self.overlays.workload_mtu)

    def measure(self) -> None:
        """Set the metrics that tell how much there is."""
        sizes = self.enforcer.sizes()
        metrics.NFT_CHAINS.set(sizes.chains)
        metrics.NFT_RULES.set(sizes.rules)
        metrics.NFT_SETS.set(sizes.sets)
        metrics.NFT_ELEMENTS.set(sizes.elements)
        metrics.NFT_MAPS.set(sizes.maps)
        metrics.INTERFACES.set(self.router.interfaces)

    def sections(self) -> tuple[Section, ...]:
        """Return what this host has, for people."""
        refused = [f"{subject}: {why}" for subject, why in self.enforcer.refused.items()]
        return (
            dump.endpoints(self._endpoints, self._told),
            dump.host_endpoints(self._governing, self._links, is_in_force=self.enforcer.is_in_sync),
            Section("Policies that the kernel refused, and that deny", tuple(sorted(refused))),
            Section("Routes", tuple(self.router.describe())),
            Section("Table", tuple(text.render(self.enforcer.table()).splitlines())),
        )

    def _note(self, changes: Changes) -> None:
        for endpoint_id, endpoint in changes.endpoints.items():
            if (old := self._endpoints.pop(endpoint_id, None)) is not None:
                claimants = self._by_interface[old.interface]
                claimants.discard(endpoint_id)
                if not claimants:
                    del self._by_interface[old.interface]
            if endpoint is not None:
                self._endpoints[endpoint_id] = endpoint
                self._by_interface.setdefault(endpoint.interface, set()).add(endpoint_id)
        for interface, host in changes.host_endpoints.items():
            self._governing.pop(interface, None)
            if host is not None:
                self._governing[interface] = host
        for name, links in changes.host_links.items():
            self._links.pop(name, None)
            if links is not None:
                self._links[name] = links
        for policy_id, policy in changes.policies.items():
            (self._policies.discard if policy is None else self._policies.add)(policy_id)
        hosts = {host.name for host in self._governing.values()}
        metrics.ACTIVE_ENDPOINTS.set(len(self._endpoints) + len(hosts))
        metrics.ACTIVE_POLICIES.set(len(self._policies))

    def _report(self, among: Iterable[EndpointId]) -> None:
        """Bring the states and status files of some endpoints up to date."""
        refused = self.enforcer.refused
        if refused.keys() != self._refused:
            self._refused, among = set(refused), list(self._endpoints)
        for endpoint_id in among:
            endpoint = self._endpoints.get(endpoint_id)
            self.states.put(endpoint_id, None if endpoint is None else self._state(endpoint))
            self._report_file(endpoint_id, endpoint)
        self._report_hosts()

    def _report_hosts(self) -> None:
        """Bring the states of host endpoints up to date; one that governs nothing is in error."""
        for name in self._hosts_told - self._links.keys():
            self.states.put(name, None)
        self._hosts_told = set(self._links)
        refused = {
            host.name
            for host in self._governing.values()
            if not self._refused.isdisjoint(subjects_of_host(host.policies))
        }
        for name, links in self._links.items():
            is_error = name in refused or not self.enforcer.is_in_sync
            self.states.put(name, "error" if is_error or links == "missing" else links)

    def _state(self, endpoint: LocalEndpoint) -> State:
        if not self.enforcer.is_in_sync or self.router.has_failed(endpoint):
            return "error"
        if not self._refused.isdisjoint(subjects(endpoint.policies)):
            return "error"
        return "up" if self.router.is_ready(endpoint) else "down"

    def _report_file(self, endpoint_id: EndpointId, endpoint: LocalEndpoint | None) -> None:
        if endpoint is None:
            self._told.pop(endpoint_id, None)
            self._status.report(endpoint_id, None)
        elif self.enforcer.is_in_sync and self.router.is_ready(endpoint):
            self._told[endpoint_id] = True
            self._status.report(endpoint_id, endpoint)
        elif self._told.get(endpoint_id) is not False:
            self._told[endpoint_id] = False
            self._status.report(endpoint_id, None)
