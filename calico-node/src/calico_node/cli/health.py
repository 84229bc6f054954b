"""Whether the services are alive and ready: health."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import click

from calico_node import paths as node_paths
from calico_node.health import checks
from calico_node.paths import Paths
from libcalico.errors import CalicoError, ConfigError

_FELIX_PORT: Final = 9099


@click.command()
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


def felix_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port at which Felix tells its health.

    Raises:
        ConfigError: the environment names no port.
    """
    text = environ.get("FELIX_HEALTHPORT", "").strip() or str(_FELIX_PORT)
    if not text.isdecimal():
        raise ConfigError(f"FELIX_HEALTHPORT: {text!r} is no port")
    return environ.get("FELIX_HEALTHHOST", "").strip() or "localhost", int(text)


def bgp_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port at which the BGP agent tells its health; raises as :func:`felix_address`."""
    from calico_node.bgp.agent import health_address  # noqa: PLC0415 - loads the agent

    return health_address(environ)


def _felix_check(path: str) -> Callable[[Paths, float], str]:
    def check(_paths: Paths, _threshold_s: float) -> str:
        return _named("Felix", asyncio.run(checks.why_not(*felix_address(os.environ), path)))

    return check


def _bird_live(paths: Paths, _threshold_s: float) -> str:
    from calico_node.bgp import control  # noqa: PLC0415 - only this check needs it

    async def reason() -> str:
        agent = await checks.why_not(*bgp_address(os.environ), "/liveness")
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
