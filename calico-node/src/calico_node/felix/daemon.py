"""Felix: follows the datastore, calculates, programs this host. One event loop owns all state.

Work happens in turns: take what the datastore sent, calculate, commit to the kernel. What arrives while a
commit is in flight is taken together in the next turn. Nothing is programmed before the datastore was
read whole; until then what a previous run programmed stays in force. So it does when the datastore is
away, and when Felix ends.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Final

from calico_node import paths
from calico_node.felix import config as felix_config
from calico_node.felix import metrics
from calico_node.felix.calc.graph import Calculation, prefixes
from calico_node.felix.config import Config, Source
from calico_node.felix.dataplane.host import Host
from calico_node.felix.settings import route_settings, rule_settings
from calico_node.health import apply as health_http
from calico_node.health.apply import Answer
from calico_node.health.model import Aggregator, Report, Reporter
from libcalico import logs
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import AsyncBackend
from libcalico.datastore.follow import Change, Connected, Disconnected, follow
from libcalico.datastore.syncer import InSync, Update
from libcalico.errors import CalicoError, ConfigError, NetlinkError

log = logging.getLogger(__name__)

_RETRY_S: Final = 1.0
_DATASTORE, _DATAPLANE = "Datastore", "Dataplane"


class Felix:
    """The state of one Felix, and what it does in one turn.

    Args:
        hostname: this node's name in the datastore.
        local: settings of file and environment, low to high.
        health: where to report to.
    """

    def __init__(self, hostname: str, local: Sequence[Source], health: Aggregator) -> None:
        self._hostname = hostname
        self._local = local
        self._health = health
        self._calculation = Calculation(hostname)
        self._config = felix_config.resolve(local)
        self._host: Host | None = None
        self._unread = set(prefixes(hostname))
        health.register(Reporter(name=_DATASTORE, speaks_for_liveness=False))
        health.register(
            Reporter(name=_DATAPLANE, timeout_s=self._config["DataplaneWatchdogTimeout"])
        )

    @property
    def hostname(self) -> str:
        """This node's name."""
        return self._hostname

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def close(self) -> None:
        """Close what is open. What was programmed stays in force."""
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
                    metrics.RESYNC_STATE.set(2 if self._unread else 3)
                case Connected():
                    metrics.RESYNCS_STARTED.inc()
                    self._report_datastore("connected", is_ready=True)
                case Disconnected(reason=reason):
                    metrics.RESYNC_STATE.set(1)
                    log.warning("datastore is away, keeping what is programmed reason=%s", reason)
                    self._report_datastore(
                        f"away, keeping what is programmed: {reason}", is_ready=False
                    )
        if not self._unread:
            self._program()
        metrics.UPDATE_SECONDS.observe(time.perf_counter() - began)

    def tend(self) -> None:
        """Try again what failed, and show that the loop is alive."""
        if self._host is not None:
            self._guard(self._host.retry)
        self._report_dataplane()

    def _program(self) -> None:
        changes = self._calculation.flush()
        if changes.ready is not None:
            log.info("datastore readiness is_ready=%s", changes.ready)
        if changes.config is not None:
            self._reconfigure(changes.config)
        for problem in changes.problems.values():
            if problem is not None:
                log.warning(
                    "object cannot be used subject=%s problem=%s", problem.subject, problem.message
                )
        host = self._host
        if host is None:
            host = self._host = Host(
                rule_settings(self._config),
                route_settings(self._config),
                Path(self._config["EndpointStatusPathPrefix"]),
            )
            self._guard(host.start, changes)
            self._watch(host)
        elif changes:
            self._guard(host.apply, changes)
        self._report_dataplane()

    def _reconfigure(self, stored: Sequence[Mapping[str, str]]) -> None:
        names = ("default", "that selects this node", f"node.{self._hostname}")
        found = [
            Source(f"FelixConfiguration {name}", texts)
            for name, texts in zip(names, stored, strict=True)
        ]
        sources = (*found, *self._local)
        try:
            self._config = felix_config.resolve(sources)
        except ConfigError as error:
            log.error("configuration cannot be used, keeping the old one error=%s", error)
            return
        for problem in self._config.problems:
            log.warning("bad setting, using the default problem=%s", problem)
        logging.getLogger().setLevel(logs.parse_level(self._config["LogSeverityScreen"]))
        if self._host is not None:
            rules, routes = rule_settings(self._config), route_settings(self._config)
            self._guard(self._host.reconfigure, rules, routes)

    def _watch(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(host.enforcer.monitor.fileno(), self._guard, host.repair_policy)
        loop.add_reader(host.router.monitor.fileno(), self._guard, host.take_link_events)

    def _guard(self, do: Callable[..., None], *arguments: object) -> None:
        """Do something to the kernel; a failure is reported, and tried again by :meth:`tend`."""
        try:
            do(*arguments)
        except NetlinkError as error:
            metrics.FAILURES.inc()
            log.error("kernel refused, trying again error=%s", error)

    def _report_datastore(self, detail: str, *, is_ready: bool) -> None:
        # What is programmed stays in force while the store is away, so traffic may still come here.
        ready = is_ready or not self._unread
        self._health.report(_DATASTORE, Report(ready=ready, detail=detail))

    def _report_dataplane(self) -> None:
        host = self._host
        if host is None:
            self._health.report(_DATAPLANE, Report(ready=False, detail="waiting for the datastore"))
            return
        refused = [f"{subject} denies: {why}" for subject, why in host.enforcer.refused.items()]
        detail = "; ".join(map(str, refused)) or ("in sync" if host.is_in_sync else "trying again")
        self._health.report(_DATAPLANE, Report(ready=host.is_in_sync, detail=detail))


async def run(felix: Felix, backend: AsyncBackend, health: Aggregator) -> None:
    """Run until cancelled."""
    async with AsyncExitStack() as stack:
        if felix.config["HealthEnabled"]:
            where = felix.config["HealthHost"], felix.config["HealthPort"]
            await stack.enter_async_context(health_http.serve(health, *where))
        if felix.config["PrometheusMetricsEnabled"]:
            where = felix.config["PrometheusMetricsHost"], felix.config["PrometheusMetricsPort"]
            pages = {"/metrics": lambda: Answer(200, metrics.page(), "text/plain; version=0.0.4")}
            await stack.enter_async_context(health_http.serve(health, *where, pages))
        async with asyncio.TaskGroup() as tasks:
            for group in prefixes(felix.hostname):
                tasks.create_task(_follow(felix, backend, group))
            tasks.create_task(_tend(felix))


async def _follow(felix: Felix, backend: AsyncBackend, group: Sequence[str]) -> None:
    async with aclosing(follow(backend, group)) as batches:
        async for changes in batches:
            felix.take(group, changes)


async def _tend(felix: Felix) -> None:
    while True:
        felix.tend()
        await asyncio.sleep(_RETRY_S)


def main(environ: Mapping[str, str]) -> int:
    """Run Felix as the environment says, until SIGTERM or SIGINT. Returns the exit code."""
    try:
        places = paths.from_environ(environ)
        local = [*_file_source(places.felix_config), felix_config.from_environment(environ)]
        hostname = _hostname(environ, places)
        logs.configure(felix_config.resolve(local)["LogSeverityScreen"])
        settings = datastore.from_felix_environment(environ)
        asyncio.run(_main(hostname, local, settings))
    except CalicoError as error:
        log.critical("cannot run error=%s", error)
        return 1
    return 0


async def _main(
    hostname: str, local: Sequence[Source], settings: datastore.DatastoreConfig
) -> None:
    health = Aggregator(time.monotonic)
    felix = Felix(hostname, local, health)
    backend = datastore.connect_async(settings)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    log.info("felix starts host=%s", hostname)
    try:
        await run(felix, backend, health)
    except asyncio.CancelledError:
        log.info("felix stops, policy stays in force")
    finally:
        felix.close()
        await backend.close()


def _file_source(path: Path) -> list[Source]:
    if not path.is_file():
        return []
    return [felix_config.from_file(path.read_text(encoding="utf-8"), str(path))]


def _hostname(environ: Mapping[str, str], places: paths.Paths) -> str:
    """Return this node's name: Felix's own setting, the node's, or what start-up wrote."""
    for variable in ("FELIX_FELIXHOSTNAME", "NODENAME"):
        if name := environ.get(variable, "").strip():
            return name
    try:
        return places.nodename.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"the node's name is not known: set NODENAME, or run calico-node startup, which writes it to"
            f" {places.nodename}"
        ) from error
