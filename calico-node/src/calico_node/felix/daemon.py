"""Runs Felix: follows the datastore, answers over HTTP, obeys signals. One event loop owns all state."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from typing import Final

from calico_node import paths
from calico_node.felix import config as felix_config
from calico_node.felix import dump, local, metrics
from calico_node.felix.agent import Felix
from calico_node.felix.calc.graph import overlay_prefixes, prefixes
from calico_node.felix.config import Config
from calico_node.felix.loggers import Loggers
from calico_node.felix.reporting.apply import report_endpoints, report_life
from calico_node.felix.settings import Listener, health_listener, log_settings, metrics_listener
from calico_node.health import apply as health_http
from calico_node.health.apply import Answer
from calico_node.health.model import Aggregator
from calico_node.health.tls import CertificateError
from libcalico import logs
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import AsyncBackend
from libcalico.datastore.follow import follow
from libcalico.errors import CalicoError, ConfigError

log = logging.getLogger(__name__)
repeated = logs.RateLimited(log)

_RETRY_S: Final = 1.0
#: New objects, and rounds of younger generations, after which a generation is collected: seldom, but still
#: each some milliseconds at most.
_COLLECT_AFTER: Final = (20_000, 20, 50)


async def run(felix: Felix, backend: AsyncBackend, health: Aggregator) -> None:
    """Run until cancelled.

    Raises:
        CalicoError: something that does not heal: no place to listen, a store that refuses to be read.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_serve(felix, health, health_listener, {}))
            tasks.create_task(
                _serve(felix, health, metrics_listener, {"/metrics": partial(_metrics, felix)})
            )
            for group in prefixes(felix.hostname):
                tasks.create_task(_follow(felix, backend, group))
            tasks.create_task(_follow_overlay(felix, backend))
            tasks.create_task(_tend(felix))
            tasks.create_task(_spare_collector(felix))
            tasks.create_task(report_life(felix, backend))
            tasks.create_task(report_endpoints(felix, backend))
    except BaseExceptionGroup as group:
        expected, bugs = group.split(CalicoError)
        if expected is None or bugs is not None:
            raise
        raise expected.exceptions[0] from None


async def _follow(felix: Felix, backend: AsyncBackend, group: Sequence[str]) -> None:
    async with aclosing(follow(backend, group)) as batches:
        async for changes in batches:
            felix.take(group, changes)


async def _follow_overlay(felix: Felix, backend: AsyncBackend) -> None:
    """Where the cluster's blocks are changes with every workload: only an overlay makes it worth knowing."""
    await felix.overlay_wanted.wait()
    await _follow(felix, backend, overlay_prefixes())


async def _tend(felix: Felix) -> None:
    while True:
        felix.tend()
        await asyncio.sleep(_RETRY_S)


async def _spare_collector(felix: Felix) -> None:
    """Keep the garbage collector from what was read first: it stays, and a look at all of it takes long.

    A look at the objects of 100,000 endpoints would hold up a change for a tenth of a second.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    await felix.in_force.wait()
    gc.freeze()


async def _serve(
    felix: Felix,
    health: Aggregator,
    choose: Callable[[Config], Listener | None],
    pages: Mapping[str, health_http.Page],
) -> None:
    """Answer where the configuration in force says.

    A place that is taken at the start is an error: there may be another Felix. Later, and where certificates
    are all that is missing, policy matters more.
    """
    is_first = True
    while True:
        place = choose(felix.config)
        try:
            async with AsyncExitStack() as stack:
                if place is not None:
                    served = health_http.serve(health, place.host, place.port, pages, place.tls)
                    await stack.enter_async_context(served)
                is_first = False
                while place == choose(felix.config):
                    await felix.reconfigured.wait()
        except ConfigError as error:
            if is_first and not isinstance(error, CertificateError):
                raise
            repeated.log(logging.ERROR, choose, "cannot answer, trying again error=%s", error)
            await asyncio.sleep(_RETRY_S)


def _metrics(felix: Felix) -> Answer:
    felix.measure()
    text = metrics.page(with_process=felix.config["PrometheusProcessMetricsEnabled"])
    return Answer(200, text, "text/plain; version=0.0.4")


def main(environ: Mapping[str, str]) -> int:
    """Run Felix as the environment says, until SIGTERM or SIGINT. Returns the exit code."""
    try:
        places = paths.from_environ(environ)
        own = local.sources(environ, places)
        hostname = local.hostname(environ, places)
        loggers = Loggers(environ)
        loggers.apply(log_settings(felix_config.resolve(own)))
        settings = datastore.from_felix_environment(environ)
        health = Aggregator(time.monotonic)
        felix = Felix(hostname, own, health, loggers, places.mtu)
        asyncio.run(_main(felix, health, settings, places.felix_state))
    except CalicoError as error:
        log.critical("cannot run error=%s", error)
        return 1
    return 0


async def _main(
    felix: Felix, health: Aggregator, settings: datastore.DatastoreConfig, state: Path
) -> None:
    backend = datastore.connect_async(settings)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    loop.add_signal_handler(signal.SIGUSR1, _write_state, felix, state)
    log.info("felix starts host=%s", felix.hostname)
    try:
        await run(felix, backend, health)
    except asyncio.CancelledError:
        log.info("felix stops, policy stays in force")
    finally:
        felix.close()
        await backend.close()


def _write_state(felix: Felix, file: Path) -> None:
    """Write Felix's state in place of an earlier one; for root's eyes only, as it names every workload."""
    title = f"Felix on {felix.hostname} at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    unfinished = file.with_name(f".{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_text(dump.page(title, felix.sections()), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        log.warning("cannot write the state file=%s error=%s", file, error)
    else:
        log.info("wrote the state file=%s", file)
