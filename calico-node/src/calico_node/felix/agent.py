"""The state of one Felix, and what it does in one turn: calculate, commit, report.

What arrives while a commit is in flight is taken together in the next turn. Nothing is programmed
before the datastore was read whole and says that it is ready; until then what a previous run programmed
stays in force. So it does when the datastore is away or says that it is not ready any more, and when
Felix ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from calico_node.felix import config as felix_config
from calico_node.felix import dump, metrics
from calico_node.felix.calc.graph import Calculation, overlay_prefixes, prefixes
from calico_node.felix.config import Config, Source
from calico_node.felix.dataplane.audits import Schedule
from calico_node.felix.dataplane.host import Host
from calico_node.felix.dataplane.interfaces import Interfaces
from calico_node.felix.dataplane.states import State, Subject
from calico_node.felix.dump import Section
from calico_node.felix.loggers import Loggers
from calico_node.felix.messages import Changes, Problem
from calico_node.felix.settings import (
    DATAPLANE,
    audit_intervals,
    excluded_interfaces,
    health_timeouts,
    host_settings,
    log_settings,
    needs_blocks,
)
from calico_node.health.model import Aggregator, Report, Reporter
from libcalico import logs
from libcalico.datastore.follow import Change, Connected, Disconnected
from libcalico.datastore.syncer import InSync, Update
from libcalico.errors import ConfigError, NetlinkError

log = logging.getLogger(__name__)
repeated = logs.RateLimited(log)

_DATASTORE = "Datastore"
_CONFIGURATION, _OBJECTS = "Configuration", "Objects"
_WAITING, _READING, _IN_SYNC = 1, 2, 3
_SHOWN: Final = 10

Group = tuple[str, ...]


class Felix:
    """The state of one Felix, and what it does in one turn.

    Args:
        hostname: this node's name in the datastore.
        own: settings of this host's file and environment, low to high.
        health: where to report to.
        loggers: where to log.
        mtu: the file that tells plugins the MTU of workloads' interfaces.
    """

    def __init__(
        self,
        hostname: str,
        own: Sequence[Source],
        health: Aggregator,
        loggers: Loggers,
        mtu: Path,
    ) -> None:
        self._reconfigured = asyncio.Event()
        self._changed = asyncio.Event()
        self._announced = 0
        self._audits = Schedule()
        self._loggers = loggers
        self._mtu = mtu
        self._hostname = hostname
        self._own = own
        self._health = health
        self._calculation = Calculation(hostname)
        self._config = felix_config.resolve(own)
        self._is_configured = False
        self._interfaces = Interfaces()
        self._host: Host | None = None
        self._unprogrammed: list[Changes] = []
        self._unread: set[Group] = set(prefixes(hostname))
        self._overlay_wanted = asyncio.Event()
        self._in_force = asyncio.Event()
        self._away: dict[Group, str] = {}
        self._problems: dict[str, Problem] = {}
        for name in (_DATASTORE, _CONFIGURATION, _OBJECTS):
            health.register(Reporter(name=name, speaks_for_liveness=False))
        health.register(Reporter(name=DATAPLANE))
        health.report(_CONFIGURATION, Report(detail="of this host alone so far"))
        health.report(_OBJECTS, Report(detail="none read yet"))
        health.set_timeouts(health_timeouts(self._config))

    @property
    def hostname(self) -> str:
        """This node's name."""
        return self._hostname

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def reconfigured(self) -> asyncio.Event:
        """Set when the configuration in force changes next."""
        return self._reconfigured

    @property
    def states(self) -> Mapping[Subject, State] | None:
        """The state of each endpoint of this host; None before policy is in force."""
        return self._host.states.all if self._host is not None else None

    @property
    def changed(self) -> asyncio.Event:
        """Set when a state of an endpoint, or the configuration in force, changes next."""
        return self._changed

    @property
    def in_force(self) -> asyncio.Event:
        """Set once the datastore was read and policy is in force."""
        return self._in_force

    @property
    def is_live(self) -> bool:
        """Whether nothing hangs."""
        return self._health.summary().live

    @property
    def overlay_wanted(self) -> asyncio.Event:
        """Set once :func:`.needs_blocks`: then :func:`.overlay_prefixes` are to be followed, too."""
        return self._overlay_wanted

    def close(self) -> None:
        """Close what is open. What was programmed stays in force."""
        self._interfaces.close()
        if self._host is not None:
            self._host.close()

    def take(self, group: Sequence[str], changes: Iterable[Change]) -> None:
        """Do one turn: calculate, and once every group of prefixes was read, program."""
        began = time.perf_counter()
        for change in changes:
            match change:
                case Update(key=key, value=value):
                    self._calculation.on_update(key, value)
                    metrics.UPDATES.inc()
                case InSync():
                    self._unread.discard(tuple(group))
                case Connected():
                    metrics.RESYNCS_STARTED.inc()
                    self._found(tuple(group))
                case Disconnected(reason=reason):
                    self._lost(tuple(group), reason)
        self._program()
        self._report_datastore()
        if self._host is None:
            self._report_dataplane()
        metrics.UPDATE_SECONDS.observe(time.perf_counter() - began)

    def tend(self) -> None:
        """Try again what failed, audit what is due, and show that the loop is alive."""
        self._follow_interfaces()
        if self._host is not None:
            self._guard(self._host.retry)
            for audit in self._audits.due(time.monotonic(), audit_intervals(self._config)):
                self._guard(self._host.audit, audit)
        elif self._unprogrammed and self._is_configured and not self._unread:
            self._start()
        self._report_dataplane()

    def measure(self) -> None:
        """Set the metrics that tell how much there is; asked for when they are shown."""
        metrics.HOST.labels(self._hostname).set(1)
        sizes = self._calculation.sizes()
        metrics.CLUSTER_HOSTS.set(sizes.hosts)
        metrics.CLUSTER_ENDPOINTS.set(sizes.workload_endpoints)
        metrics.CLUSTER_HOST_ENDPOINTS.set(sizes.host_endpoints)
        metrics.CLUSTER_POLICIES.set(sizes.policies)
        metrics.CLUSTER_PROFILES.set(sizes.profiles)
        metrics.CLUSTER_TIERS.set(sizes.tiers)
        metrics.LABELLED.set(sizes.labelled)
        metrics.SELECTORS.set(sizes.selectors)
        metrics.INDEX_SELECTORS.set(sizes.selectors)
        if self._host is not None:
            self._host.measure()

    def sections(self) -> tuple[Section, ...]:
        """Return the state of everything, for people."""
        return (
            Section("Health", tuple(self._health.summary().table().splitlines())),
            dump.settings(self._config),
            dump.problems(self._problems),
            *(self._host.sections() if self._host is not None else ()),
        )

    # The datastore

    def _found(self, group: Group) -> None:
        if self._away.pop(group, None) is not None and not self._away:
            log.info("datastore is back")

    def _lost(self, group: Group, reason: str) -> None:
        if not self._away:
            log.warning("datastore is away, keeping what is programmed reason=%s", reason)
        self._away[group] = reason

    @property
    def _is_told_to_wait(self) -> bool:
        """Whether the datastore was read, and says that it must not be used."""
        return not (self._away or self._unread or self._calculation.is_ready)

    def _report_datastore(self) -> None:
        """Say where reading stands. Who is told to wait does what he is to do: he is ready.

        Else no host could be restarted while a datastore is locked, to be migrated say.
        """
        state, detail = _WAITING, "in sync"
        if self._away:
            detail = f"away, keeping what is programmed: {next(iter(self._away.values()))}"
        elif self._unread:
            state, detail = _READING, "reading"
        elif self._is_told_to_wait:
            detail = "not ready, says ClusterInformation default: keeping what is programmed"
        else:
            state = _IN_SYNC
        metrics.RESYNC_STATE.set(state)
        is_ready = state == _IN_SYNC or self._is_told_to_wait
        self._health.report(_DATASTORE, Report(ready=is_ready, detail=detail))

    # What it says

    def _program(self) -> None:
        """Program what changed, once everything is known that says what is to be in force."""
        self._take_interfaces()
        if self._unread or not self._calculation.is_ready or not self._interfaces.is_known:
            return
        changes = self._calculation.flush()
        metrics.OUTPUT_EVENTS.inc(len(changes))
        if changes.ready is not None:
            log.info("datastore readiness is_ready=%s", changes.ready)
        if changes.config is not None:
            self._reconfigure(changes.config)
        self._follow_blocks()
        if not self._unread:
            remotes = self._calculation.route_by(self._config["RouteSource"])
            changes = replace(changes, remotes={**changes.remotes, **remotes})
        self._note_problems(changes.problems)
        if self._host is not None:
            if changes:
                self._guard(self._host.apply, changes)
        else:
            self._unprogrammed.append(changes)
            if self._is_configured and not self._unread:
                self._start()
        self._report_dataplane()

    def _follow_blocks(self) -> None:
        """Let the cluster's blocks be read once they matter; until then nothing may be left out for them."""
        if self._overlay_wanted.is_set():
            return
        if needs_blocks(self._config, has_overlay=self._calculation.has_overlay):
            self._overlay_wanted.set()
            self._unread.add(overlay_prefixes())

    def _follow_interfaces(self) -> None:
        """Program anew if there is news of interfaces that host endpoints may mean, or was none so far."""
        waits = not self._interfaces.is_known
        if self._take_interfaces() or waits:
            self._program()

    def _take_interfaces(self) -> bool:
        """Tell the calculation what interfaces there are; return whether there is news."""
        workloads = tuple(self._config["InterfacePrefix"].split(","))
        try:
            news = self._interfaces.take(workloads, excluded_interfaces(self._config))
        except NetlinkError as error:
            metrics.FAILURES.inc()
            repeated.log(logging.ERROR, "", "cannot read interfaces, trying again error=%s", error)
            return False
        for name, found in news.items():
            addresses, is_up = (None, False) if found is None else found
            self._calculation.on_interface(name, addresses, is_up=is_up)
        return bool(news)

    def _start(self) -> None:
        """Take over from a previous run."""
        settings = host_settings(self._config, self._hostname)
        status = Path(self._config["EndpointStatusPathPrefix"])
        try:
            host = Host(*settings, status, self._mtu)
        except NetlinkError as error:
            repeated.log(logging.ERROR, "", "kernel refused, trying again error=%s", error)
            return
        self._host = host
        first, *others = self._unprogrammed
        self._unprogrammed = []
        self._guard(host.start, first)
        for changes in others:
            self._guard(host.apply, changes)
        self._watch(host)
        self._in_force.set()
        log.info("in force is_in_sync=%s", host.is_in_sync)

    def _reconfigure(self, stored: Sequence[Mapping[str, str]]) -> None:
        found = felix_config.from_stored(self._hostname, stored)
        try:
            config = felix_config.resolve((*found, *self._own))
            settings = host_settings(config, self._hostname)
        except ConfigError as error:
            log.error("configuration cannot be used, keeping the old one error=%s", error)
            detail = f"cannot be used, keeping the old one: {error}"
            self._health.report(_CONFIGURATION, Report(ready=False, detail=detail))
            return
        for problem in config.problems:
            log.warning("bad setting, using the next lower one problem=%s", problem)
        detail = "; ".join(config.problems) or "in force"
        self._health.report(_CONFIGURATION, Report(detail=detail))
        self._config = config
        self._is_configured = True
        self._reconfigured.set()
        self._reconfigured = asyncio.Event()
        self._announce()
        self._loggers.apply(log_settings(config))
        self._health.set_timeouts(health_timeouts(config))
        if self._host is not None:
            self._guard(self._host.reconfigure, *settings)
            self._host.move_status(Path(config["EndpointStatusPathPrefix"]))

    def _note_problems(self, problems: Mapping[str, Problem | None]) -> None:
        for subject, problem in problems.items():
            if problem is None:
                del self._problems[subject]
                log.info("object can be used again subject=%s", subject)
            else:
                self._problems[subject] = problem
                log.warning("object cannot be used subject=%s problem=%s", subject, problem.message)
        metrics.INVALID.set(len(self._problems))
        told = [f"{p.subject} cannot be used: {p.message}" for p in self._problems.values()]
        if len(told) > _SHOWN:
            told[_SHOWN:] = [f"and {len(told) - _SHOWN} more"]
        self._health.report(_OBJECTS, Report(detail="; ".join(told) or "all can be used"))

    # The kernel

    def _watch(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._interfaces.fileno(), self._follow_interfaces)
        for descriptor, take in host.watched:
            loop.add_reader(descriptor, self._guard, take)

    def _guard(self, do: Callable[..., None], *arguments: object) -> None:
        """Do something to the kernel; a failure is reported, and tried again by :meth:`tend`."""
        try:
            do(*arguments)
        except NetlinkError as error:
            metrics.FAILURES.inc()
            repeated.log(logging.ERROR, "", "kernel refused, trying again error=%s", error)
        if self._host is not None and self._host.states.revision != self._announced:
            self._announced = self._host.states.revision
            self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _report_dataplane(self) -> None:
        host = self._host
        if host is None:
            detail = "waiting for the datastore, keeping what is programmed"
            self._health.report(DATAPLANE, Report(ready=self._is_told_to_wait, detail=detail))
            return
        refused = [f"{subject} denies: {why}" for subject, why in host.enforcer.refused.items()]
        if host.firewall.problem:
            refused.append(f"host's firewall not changed: {host.firewall.problem}")
        refused += [f"no {tunnel}: {why}" for tunnel, why in host.overlays.problems.items()]
        if host.mtu_file.problem:
            refused.append(host.mtu_file.problem)
        lacks_mtu = bool(host.mtu_file.problem) and self._config["RequireMTUFile"]
        detail = "; ".join(refused) or ("in sync" if host.is_in_sync else "trying again")
        is_ready = host.is_in_sync and not lacks_mtu
        self._health.report(DATAPLANE, Report(ready=is_ready, detail=detail))
