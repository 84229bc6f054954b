"""Start-up, and the services under supervision: startup, run, wait and stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calico_node import paths as node_paths
from calico_node.cli.health import bgp_address, felix_address
from calico_node.health import checks
from calico_node.paths import Paths
from libcalico.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from calico_node.supervisor.model import ProcessSpec

_READY_POLL_S: Final = 0.1


@click.command()
def startup() -> None:
    """Choose name and address, store the Node and the defaults, and end.

    \b
    Obeys: NODENAME, IP, IP6, IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD, AS,
    CALICO_NETWORKING_BACKEND, NO_DEFAULT_POOLS, CALICO_IPV4POOL_*, CALICO_IPV6POOL_*,
    WAIT_FOR_DATASTORE, DISABLE_NODE_IP_CHECK, CALICO_TAKE_OVER_NODE.
    Example: NODENAME=rack1-a IP=10.0.0.5/24 calico-node startup
    """
    _start_up(os.environ, node_paths.from_environ(os.environ))


def _start_up(environ: Mapping[str, str], paths: Paths) -> str:
    from calico_node.startup import apply, settings  # noqa: PLC0415 - only this command needs it
    from libcalico.client.client import Client  # noqa: PLC0415 - as above
    from libcalico.datastore import config as datastore  # noqa: PLC0415 - as above

    wanted = settings.parse(environ)
    with datastore.connect(datastore.load(environ)) as backend:
        planned = apply.run(wanted, paths, Client(backend))
    for note in planned.notes:
        click.echo(note)
    click.echo(f"Using node name: {planned.node_name}")
    return planned.node_name


@click.command()
@click.option("--detach", is_flag=True, help="Return when the services are ready; they stay.")
@click.option(
    "--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds to wait with --detach."
)
@click.option(
    "--etcd",
    "own_etcd",
    type=click.Choice(["embedded"]),
    help="embedded: run an etcd of this host's own, for a trial on one host.",
)
def run(*, detach: bool, timeout_s: float, own_etcd: str | None) -> None:
    """Start up, then keep Felix, the BGP agent, BIRD and the workload server running.

    Stays in the foreground unless --detach is given. Logs are in /var/log/calico/<process>/current.

    \b
    Obeys, beside what 'startup' obeys: CALICO_DISABLE_FELIX, CALICO_DISABLE_WORKLOADS,
    CALICO_DISABLE_FILE_LOGGING, CALICO_LIBNETWORK_ENABLED.
    Example: ETCD_ENDPOINTS=http://10.0.0.1:2379 calico-node run --detach
    """
    from calico_node.supervisor import apply, plan  # noqa: PLC0415 - only this command needs it

    paths = node_paths.from_environ(os.environ)
    supervisor = apply.Supervisor(paths)
    supervisor.refuse_if_running()
    bird = _bird_program(os.environ)
    others: list[ProcessSpec] = []
    given: Mapping[str, str] = os.environ
    store: AbstractContextManager[None] = nullcontext()
    if own_etcd:
        given, spec, store = _own_etcd(os.environ, paths)
        others.append(spec)
    if plan.wants_libnetwork(given):
        others.append(plan.libnetwork(_companion("libnetwork-plugin")))
    with store:
        name = _start_up(given, paths)
        if bird is not None:
            _install_bird_config(paths, name, bird)
    config = plan.plan(given, paths, own_program(), str(bird) if bird else None, others)
    supervisor.prepare(config)
    environ = plan.environment(given, name)
    if not detach:
        click.echo("Calico node started successfully")
        sys.stdout.flush()
        supervisor.become(environ)
    supervisor.start(environ)
    _wait_ready(supervisor, environ, timeout_s)
    click.echo("Calico node started successfully")


def _own_etcd(
    environ: Mapping[str, str], paths: Paths
) -> tuple[Mapping[str, str], ProcessSpec, AbstractContextManager[None]]:
    """Return the environment that leads to an etcd of our own, its process, and its run during start-up."""
    from calico_node.supervisor import etcd  # noqa: PLC0415 - only --etcd needs it

    if environ.get("ETCD_ENDPOINTS", etcd.ENDPOINT) != etcd.ENDPOINT:
        raise ConfigError(
            "--etcd=embedded and ETCD_ENDPOINTS contradict each other; leave one of them out"
        )
    spec = etcd.process(etcd.find_program(environ.get("PATH", "")), paths)
    paths.lib.mkdir(parents=True, exist_ok=True)
    return {**environ, "ETCD_ENDPOINTS": etcd.ENDPOINT}, spec, etcd.running(spec)


def _companion(name: str) -> str:
    """Return the path of another of our programs: beside this one, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ConfigError(f"{name} is not installed here; install it with: pip install {name}")
    return found


def _bird_program(environ: Mapping[str, str]) -> Path | None:
    """Return BIRD's program, None if something else programs routes between hosts."""
    from calico_node.bgp.apply import find_program  # noqa: PLC0415 - only this command needs it
    from calico_node.startup.settings import backend  # noqa: PLC0415 - as above

    return find_program(environ.get("PATH", "")) if backend(environ) == "bird" else None


def _install_bird_config(paths: Paths, name: str, bird: Path) -> None:
    from calico_node.bgp.agent import install_first_config  # noqa: PLC0415 - needs BIRD

    install_first_config(paths, name, bird)


def own_program() -> list[str]:
    """Return the command that runs this program again."""
    script = Path(sys.executable).with_name("calico-node")
    return [str(script)] if script.exists() else [sys.executable, "-m", "calico_node"]


def _wait_ready(supervisor: Any, environ: Mapping[str, str], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while reason := _why_not_started(supervisor, environ):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"calico-node runs but is not ready after {timeout_s:g}s: {reason};"
                " see 'calico-node status' and the logs"
            )
        time.sleep(_READY_POLL_S)


@click.command()
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds.")
def wait(*, timeout_s: float) -> None:
    """Wait until 'run', started elsewhere, has all services ready; silent and exit code 0 once they are."""
    from calico_node.supervisor.apply import Supervisor  # noqa: PLC0415 - only this command needs it

    _wait_ready(Supervisor(node_paths.from_environ(os.environ)), os.environ, timeout_s)


def _why_not_started(supervisor: Any, environ: Mapping[str, str]) -> str:
    from calico_node.supervisor import plan  # noqa: PLC0415 - only two commands need it

    try:
        states = supervisor.states()
    except UnavailableError:
        return "start-up has not finished"
    waiting = [f"{s.name} is {s.state} ({s.detail})" for s in states if not s.is_running]
    if waiting:
        return ", ".join(waiting)
    names = {state.name for state in states}
    for name, address in (("felix", felix_address), ("bgp", bgp_address)):
        if name in names:
            host, port = address(environ)
            if reason := asyncio.run(checks.why_not(host, port, "/readiness")):
                return f"{name}: {reason}"
    if "libnetwork" in names and (reason := checks.why_deaf(Path(plan.driver_socket(environ)))):
        return f"libnetwork: {reason}"
    return ""


@click.command()
def stop() -> None:
    """Stop the services. Policy and routes stay in force; peers keep routes for a restart's time."""
    from calico_node.supervisor.apply import Supervisor  # noqa: PLC0415 - only this command needs it

    ran = Supervisor(node_paths.from_environ(os.environ)).stop()
    click.echo("Calico node stopped" if ran else "Calico node is not running")
