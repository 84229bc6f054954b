"""calico-node: the command line of a node's services. Errors are one line on stderr and exit code 1."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calico_node import paths as node_paths
from calico_node.health import checks
from calico_node.paths import Paths
from libcalico import logs
from libcalico.errors import CalicoError, ConfigError, UnavailableError

if TYPE_CHECKING:
    from calico_node.supervisor.model import ProcessSpec

_READY_POLL_S = 0.1
_FELIX_PORT = 9099


class _Group(click.Group):
    """A group whose errors of ours become one line; bugs still show their traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CalicoError as error:
            click.echo(f"calico-node: {' '.join(str(error).split())}", err=True)
            context.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--log-level",
    default=lambda: os.environ.get("CALICO_STARTUP_LOGLEVEL") or "info",
    help="debug, info, warning, error or none  [default: CALICO_STARTUP_LOGLEVEL, else info]",
)
def main(log_level: str) -> None:
    """Run Calico's services on this host.

    The datastore is found through the environment: ETCD_ENDPOINTS and so on.

    \b
    Examples:
      ETCD_ENDPOINTS=http://10.0.0.1:2379 calico-node run --detach
      calico-node status
      calico-node health --felix-ready --bird-ready
      calico-node stop
    """
    logs.configure(log_level)


@main.command()
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


@main.command()
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
    config = plan.plan(given, paths, _own_program(), str(bird) if bird else None, others)
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


def _own_program() -> list[str]:
    script = Path(sys.executable).with_name("calico-node")
    return [str(script)] if script.exists() else [sys.executable, "-m", "calico_node.cli"]


def _wait_ready(supervisor: Any, environ: Mapping[str, str], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while reason := _why_not_started(supervisor, environ):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"calico-node runs but is not ready after {timeout_s:g}s: {reason};"
                " see 'calico-node status' and the logs"
            )
        time.sleep(_READY_POLL_S)


@main.command()
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
    for name, address in (("felix", _felix_address), ("bgp", _bgp_address)):
        if name in names:
            host, port = address(environ)
            if reason := asyncio.run(checks.why_not(host, port, "/readiness")):
                return f"{name}: {reason}"
    if "libnetwork" in names and (reason := checks.why_deaf(Path(plan.driver_socket(environ)))):
        return f"libnetwork: {reason}"
    return ""


@main.command()
def stop() -> None:
    """Stop the services. Policy and routes stay in force; peers keep routes for a restart's time."""
    from calico_node.supervisor.apply import Supervisor  # noqa: PLC0415 - only this command needs it

    ran = Supervisor(node_paths.from_environ(os.environ)).stop()
    click.echo("Calico node stopped" if ran else "Calico node is not running")


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def uninstall(*, yes: bool) -> None:
    """Remove everything of Calico's from this host: processes, interfaces, routes, rules, files.

    What the operator wrote to /etc/calico stays, and so does the Node in the datastore: 'calicoctl delete
    node NAME'. IP forwarding stays as it is.
    """
    from calico_node.supervisor.apply import Supervisor  # noqa: PLC0415 - only this command needs it
    from calico_node.uninstall import apply  # noqa: PLC0415 - as above

    paths = node_paths.from_environ(os.environ)
    supervisor = Supervisor(paths)
    _refuse_foreign_supervisor(supervisor)
    found = apply.find(paths, _own_program())
    lines = found.lines()
    if lines:
        click.echo("\n".join(["This removes:", *(f"  {line}" for line in lines)]))
        if not yes:
            click.confirm("Workloads lose their network. Remove all this?", abort=True)
        supervisor.stop()
        apply.remove(found)
        click.echo("Removed")
    plugins = apply.remove_plugins()
    for sentence in plugins or ([] if lines else ["Nothing of Calico is on this host"]):
        click.echo(sentence)


def _refuse_foreign_supervisor(supervisor: Any) -> None:
    """Refuse when the services run, but where we cannot end them for good: in a container."""
    if supervisor.pid() is not None:
        return
    try:
        supervisor.states()
    except UnavailableError:
        return
    raise ConfigError("calico-node runs in a container; stop it first: calicoctl node stop")


@main.command()
@click.option(
    "--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def status(output: str) -> None:
    """Show the state of each process, with its exit code, and the BGP sessions."""
    from calico_node.supervisor import apply, model  # noqa: PLC0415 - only this command needs it

    paths = node_paths.from_environ(os.environ)
    try:
        states = apply.Supervisor(paths).states()
    except UnavailableError:
        states = ()
    bgp = asyncio.run(_bgp_sessions(paths))
    if output == "json":
        services = {state.name: state.state for state in states}
        click.echo(json.dumps({"services": services, "bgp": bgp}))
    elif not states:
        raise UnavailableError("calico-node is not running; start it with 'calico-node run'")
    else:
        click.echo(model.table(states))
        for line in _session_lines(bgp):
            click.echo(line)
    if not states or not all(state.is_running for state in states):
        raise click.exceptions.Exit(1)


async def _bgp_sessions(paths: Paths) -> dict[str, list[dict[str, str]]] | None:
    from calico_node.bgp import control, readiness  # noqa: PLC0415 - only this command needs it

    try:
        return readiness.peers(await control.show_protocols(paths.bird_socket))
    except CalicoError:
        return None


def _session_lines(bgp: dict[str, list[dict[str, str]]] | None) -> Iterator[str]:
    for family, peers in (bgp or {}).items():
        for peer in peers:
            yield f"bgp {family} {peer['type']} {peer['address']} {peer['info'] or peer['state']}"


@main.group(invoke_without_command=True)
@click.pass_context
def felix(context: click.Context) -> None:
    """Run Felix, which enforces policy, in the foreground.

    SIGUSR1 makes it write its state to /var/run/calico/felix-state.txt.
    """
    if context.invoked_subcommand is None:
        _run_agent("calico_node.felix.daemon", os.environ)


@felix.command()
@click.option("--node", help="The node's name.  [default: this host's]")
@click.option(
    "--filename", "-f", "files", multiple=True, help="Read this file, folder or '-', no datastore."
)
def render(*, node: str | None, files: tuple[str, ...]) -> None:
    """Print the nftables table that Felix would program on a node, and change nothing.

    Reads the datastore, or YAML and JSON resources in its place. What is wrong with an object is said on
    standard error. felix.cfg and FELIX_ variables of this host count for this host only.

    \b
    Examples:
      calico-node felix render --node rack1-a
      calicoctl get globalnetworkpolicies -o yaml | calico-node felix render --node a -f - -f rest/
    """
    from calico_node.felix.preview import preview  # noqa: PLC0415 - only this command needs it
    from libcalico.manifests import ManifestError  # noqa: PLC0415 - as above

    try:
        rendering = preview(os.environ, node, files)
    except ManifestError as error:
        for problem in error.problems:
            click.echo(f"calico-node: {problem}", err=True)
        raise click.exceptions.Exit(1) from None
    for problem in rendering.problems:
        click.echo(f"calico-node: {problem}", err=True)
    click.echo(rendering.text, nl=False)


@main.command()
def bgp() -> None:
    """Run the BGP agent, which configures BIRD, in the foreground.

    Passwords of sessions are read from /etc/calico/bgp-secrets/<secret>/<key>; SIGHUP reads them again.
    """
    _run_agent("calico_node.bgp.agent", os.environ)


@main.command()
def workloads() -> None:
    """Run the workload server, which the plugins ask to attach workloads, in the foreground."""
    _run_agent("calico_node.workloads", os.environ)


def _run_agent(module: str, environ: Mapping[str, str]) -> None:
    """Run an agent's ``main(environ) -> exit code``; its modules load only if it is asked for."""
    raise click.exceptions.Exit(import_module(module).main(environ))


@main.command()
@click.option("--felix-live", is_flag=True, help="Felix runs and does not hang.")
@click.option("--felix-ready", is_flag=True, help="Felix has programmed what the datastore holds.")
@click.option("--bird-live", is_flag=True, help="BIRD and its agent run and answer.")
@click.option("--bird-ready", is_flag=True, help="BIRD has its sessions.")
@click.option(
    "--threshold-time",
    "threshold_s",
    default=30.0,
    show_default=True,
    help="Seconds after start-up in which every session must be up.",
)
def health(**asked: Any) -> None:
    """Check the services; silent and exit code 0 if all asked for is well.

    \b
    Example: calico-node health --felix-ready --bird-ready
    """
    if not any(asked[name] for name in _CHECKS):
        raise click.UsageError("name at least one check, e.g. --felix-ready")
    paths = node_paths.from_environ(os.environ)
    for name, check in _CHECKS.items():
        if asked[name] and (reason := check(paths, asked["threshold_s"])):
            click.echo(f"calico/node is not ready: {reason}")
            raise click.exceptions.Exit(1)


def _felix_address(environ: Mapping[str, str]) -> tuple[str, int]:
    text = environ.get("FELIX_HEALTHPORT", "").strip() or str(_FELIX_PORT)
    if not text.isdecimal():
        raise ConfigError(f"FELIX_HEALTHPORT: {text!r} is no port")
    return environ.get("FELIX_HEALTHHOST", "").strip() or "localhost", int(text)


def _bgp_address(environ: Mapping[str, str]) -> tuple[str, int]:
    from calico_node.bgp.agent import health_address  # noqa: PLC0415 - loads the agent

    return health_address(environ)


def _felix_check(path: str) -> Callable[[Paths, float], str]:
    def check(_paths: Paths, _threshold_s: float) -> str:
        return _named("Felix", asyncio.run(checks.why_not(*_felix_address(os.environ), path)))

    return check


def _bird_live(paths: Paths, _threshold_s: float) -> str:
    from calico_node.bgp import control  # noqa: PLC0415 - only this check needs it

    async def reason() -> str:
        agent = await checks.why_not(*_bgp_address(os.environ), "/liveness")
        if not agent:
            await control.show_status(paths.bird_socket)
        return agent

    return _named("BIRD", _outcome(reason()))


def _bird_ready(paths: Paths, threshold_s: float) -> str:
    from calico_node.bgp import control, readiness  # noqa: PLC0415 - only this check needs it

    async def reason() -> str:
        protocols = await control.show_protocols(paths.bird_socket)
        status = await control.show_status(paths.bird_socket)
        recent = _age_s(paths.nodename) < threshold_s
        return readiness.why_not_ready(protocols, status, just_started=recent)

    return _named("BIRD", _outcome(reason()))


def _outcome(question: Coroutine[Any, Any, str]) -> str:
    """Return the answer; an error of ours is a reason, too."""
    try:
        return asyncio.run(question)
    except CalicoError as error:
        return str(error)


def _named(subject: str, reason: str) -> str:
    return f"{subject} is not ready: {reason}" if reason else ""


def _age_s(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


_CHECKS: dict[str, Callable[[Paths, float], str]] = {
    "felix_live": _felix_check("/liveness"),
    "felix_ready": _felix_check("/readiness"),
    "bird_live": _bird_live,
    "bird_ready": _bird_ready,
}


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(installed_version("calico-node"))


if __name__ == "__main__":
    main()
