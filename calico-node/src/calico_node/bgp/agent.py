"""The BGP agent: follows the datastore and keeps BIRD's configuration right.

Three tasks share one state. *Follow* takes changes of the datastore; *apply* plans and brings the newest
plan into force, collecting what arrives meanwhile; *watch* asks BIRD now and then whether it still runs
with what it was given. While the datastore is away, the last configuration stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from calico_node.bgp import plan as bgp_plan
from calico_node.bgp.apply import Bird, BirdRefusedError, find_program
from calico_node.bgp.cluster import Cluster
from calico_node.bgp.model import BirdConfig, Problem
from calico_node.bgp.state import State, prefixes
from calico_node.health import apply as health_endpoint
from calico_node.health.model import Aggregator, Report, Reporter
from calico_node.paths import Paths, from_environ
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import AsyncBackend
from libcalico.datastore.follow import Change, Connected, Disconnected, follow
from libcalico.datastore.syncer import InSync, Update
from libcalico.errors import CalicoError, ConfigError, UnavailableError, ValidationError

_log = logging.getLogger(__name__)
_BIRD_POLL_S = 5.0
_BIRD_RETRY_S = 0.3
_SILENCE_S = 60.0
DEFAULT_HEALTH_PORT = 9098


class Agent:
    """The agent of one node.

    Args:
        node_name: of this node.
        bird: the daemon to keep right.
        secrets: directory of session passwords.
        settings: ``router_id_setting`` and ``log_setting`` of the plan.
        health: is told how it goes.
    """

    def __init__(
        self,
        node_name: str,
        bird: Bird,
        secrets: Path,
        settings: Mapping[str, str],
        health: Aggregator,
    ) -> None:
        self._node_name = node_name
        self._bird = bird
        self._secrets = secrets
        self._settings = dict(settings)
        self._health = health
        self._state = State(node_name)
        self._in_sync = False
        self._dirty = asyncio.Event()
        self._in_force: BirdConfig | None = None
        self._is_certain = False
        self._told: tuple[Problem, ...] = ()
        self._waits_because = ""
        health.register(Reporter(name="datastore", speaks_for_liveness=False))
        health.register(Reporter(name="bird", speaks_for_liveness=False))
        health.register(Reporter(name="loop", speaks_for_readiness=False, timeout_s=_SILENCE_S))

    async def run(self, backend: AsyncBackend) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(backend), name="follow")
            tasks.create_task(self._apply_changes(), name="apply")
            tasks.create_task(self._watch_bird(), name="watch")

    def replan(self) -> None:
        """Plan again, e.g. because a password file changed."""
        if self._in_sync:
            self._dirty.set()

    # --- the datastore ---

    async def _follow(self, backend: AsyncBackend) -> None:
        async for batch in follow(backend, prefixes(self._node_name)):
            for change in batch:
                self._on_change(change)
            self.replan()

    def _on_change(self, change: Change) -> None:
        match change:
            case Update(key, value):
                self._state.on_update(key, value)
            case InSync():
                self._in_sync = True
                _log.info("in sync with the datastore")
                self._health.report("datastore", Report(detail="in sync"))
            case Connected():
                if self._in_sync:
                    _log.info("datastore answers again")
                    self._health.report("datastore", Report(detail="in sync"))
            case Disconnected(reason):
                _log.warning("datastore lost, the last state stays in force: %s", reason)
                detail = f"datastore lost, the last state stays in force: {reason}"
                self._health.report("datastore", Report(ready=self._in_sync, detail=detail))

    # --- BIRD ---

    async def _apply_changes(self) -> NoReturn:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if not await self._apply_once():
                await asyncio.sleep(_BIRD_RETRY_S)
                self._dirty.set()

    async def _apply_once(self) -> bool:
        """Plan and apply; returns whether it is done, false if BIRD must be asked again."""
        if not self._state.knows_own_node:
            self._report_bird(f"Node({self._node_name}) does not exist; start-up makes it")
            return True
        try:
            planned = bgp_plan.plan(self._cluster())
        except ValidationError as error:
            self._report_bird(f"cannot plan, the last configuration stays in force: {error}")
            return True
        self._tell((*self._state.problems, *planned.problems))
        if self._is_certain and planned.config == self._in_force:
            self._report_bird("")
            return True
        try:
            changed = await self._bird.apply(planned.config)
        except BirdRefusedError as error:
            self._report_bird(str(error))
            return True
        except UnavailableError as error:
            self._wait_for_bird(str(error))
            return False
        self._waits_because = ""
        self._in_force, self._is_certain = planned.config, True
        if changed:
            _log.info("bird configured sessions=%d", len(planned.config.sessions))
        self._report_bird("")
        return True

    def _wait_for_bird(self, reason: str) -> None:
        if reason != self._waits_because:
            _log.warning("waiting: %s", reason)
        self._waits_because, self._is_certain = reason, False
        self._health.report("bird", Report(ready=False, detail=reason))

    def _cluster(self) -> Cluster:
        return self._state.cluster(read_passwords(self._secrets), **self._settings)

    def _tell(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self._told:
                _log.warning("left out: %s", problem)
        self._told = problems

    def _report_bird(self, trouble: str) -> None:
        if trouble:
            _log.error("%s", trouble)
        left_out = [f"left out {problem}" for problem in self._told]
        detail = "; ".join([trouble] if trouble else [*left_out] or ["configured"])
        self._health.report("bird", Report(ready=self._in_force is not None, detail=detail))

    async def _watch_bird(self) -> NoReturn:
        """Notice a BIRD that restarted, hangs, or was given another configuration by hand."""
        while True:
            self._health.report("loop", Report(detail="runs"))
            await asyncio.sleep(_BIRD_POLL_S)
            if self._in_force is None:
                continue
            try:
                if await self._bird.missing_sessions(self._in_force):
                    self._is_certain = False
                    self.replan()
            except CalicoError as error:
                self._wait_for_bird(str(error))
                self.replan()


def read_passwords(directory: Path) -> dict[tuple[str, str], str]:
    """Return (secret, key) → password, from files ``<directory>/<secret>/<key>``."""
    found = {}
    for file in sorted(directory.glob("*/*")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found[file.parent.name, file.name] = file.read_text(encoding="utf-8").strip("\r\n")
    return found


def install_first_config(paths: Paths, node_name: str, program: Path) -> None:
    """Let BIRD find a configuration at its start: the one from before, else one without sessions."""
    bird = Bird(program, paths.bird_conf, paths.bird_socket)
    bird.install(bgp_plan.plan(Cluster(node_name=node_name)).config)


async def _run(environ: Mapping[str, str]) -> None:
    paths = from_environ(environ)
    name = environ.get("NODENAME", "").strip() or _stored_name(paths)
    bird = Bird(find_program(environ.get("PATH", "")), paths.bird_conf, paths.bird_socket)
    settings = {
        "router_id_setting": environ.get("CALICO_ROUTER_ID", "").strip(),
        "log_setting": environ.get("BGP_LOGSEVERITYSCREEN", "").strip(),
    }
    health = Aggregator(time.monotonic)
    agent = Agent(name, bird, paths.bgp_secrets, settings, health)
    host, port = health_address(environ)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    loop.add_signal_handler(signal.SIGHUP, agent.replan)
    backend = datastore.connect_async(datastore.load(environ))
    try:
        async with health_endpoint.serve(health, host, port):
            await agent.run(backend)
    finally:
        await backend.close()


def _stored_name(paths: Paths) -> str:
    try:
        name = paths.nodename.read_text(encoding="utf-8").strip()
    except OSError:
        name = ""
    if not name:
        raise ConfigError(
            f"no node name: set NODENAME, or run start-up, which writes {paths.nodename}"
        )
    return name


def health_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return where the agent's health endpoint is: CALICO_BGP_HEALTHHOST, CALICO_BGP_HEALTHPORT.

    Raises:
        ConfigError: the port is none.
    """
    text = environ.get("CALICO_BGP_HEALTHPORT", "").strip() or str(DEFAULT_HEALTH_PORT)
    if not text.isdecimal() or not int(text) < 2**16:
        raise ConfigError(f"CALICO_BGP_HEALTHPORT: {text!r} is no port; it is 0 to 65535")
    return environ.get("CALICO_BGP_HEALTHHOST", "").strip() or "127.0.0.1", int(text)


def main(environ: Mapping[str, str]) -> int:
    """Run the agent until a signal ends it; returns the exit code.

    Raises:
        CalicoError: it cannot run at all.
    """
    try:
        asyncio.run(_run(environ))
    except asyncio.CancelledError:
        _log.info("stopped; routes and sessions stay in force")
    except ExceptionGroup as group:
        expected, rest = group.split(CalicoError)
        if rest is not None or expected is None:
            raise
        raise expected.exceptions[0] from group
    return 0
