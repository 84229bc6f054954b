"""The calico/node container on this host's Docker engine: starting, asking, stopping it.

Docker's own command is used, so that what ``--dryrun`` prints is what is done.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from calicoctl.docker_node import CONTAINER
from libcalico import process
from libcalico.errors import CalicoError, ConfigError, ProcessError
from libcalico.process import Completed

_LOG_LINES = 15
#: More than supervisord takes to end all services.
_STOP_S = 75
_SLACK_S = 30.0
#: Exit code of a command in a container whose first process ended: the kernel killed it.
_KILLED = 137


def docker(
    *arguments: str,
    check: bool = True,
    timeout_s: float = process.TIMEOUT_S,
    environ: Mapping[str, str] | None = None,
) -> Completed:
    """Run a docker command, in another environment than ours if one is given.

    Raises:
        ConfigError: Docker is not installed.
        CalicoError: it failed; the text is Docker's.
    """
    try:
        command = [_program(), *arguments]
        done = process.run(command, check=False, timeout_s=timeout_s, env=environ)
    except ProcessError as error:
        raise CalicoError(str(error)) from error
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CalicoError(f"docker {arguments[0]}: {said[-1] if said else 'failed'}")
    return done


def require(image: str) -> None:
    """Make sure that an engine answers and has the image; nothing is fetched from a registry.

    Raises:
        ConfigError: says what is missing, and what to do.
    """
    engine = docker("version", "--format", "{{.Server.Version}}", check=False)
    if engine.returncode:
        said = engine.stderr.strip().splitlines() or ["no reason given"]
        raise ConfigError(
            f"no Docker engine answers here ({said[-1]}); start it, or run the services without it:"
            " calicoctl node run --runtime=native"
        )
    if docker("image", "inspect", image, check=False).returncode:
        raise ConfigError(
            f"Docker has no image {image} here; load or pull it, or name another with --node-image"
        )


def state() -> dict[str, Any] | None:
    """Return Docker's description of the container; None if there is none, or no engine."""
    if shutil.which("docker") is None:
        return None
    found = docker("container", "inspect", CONTAINER, check=False)
    if found.returncode:
        return None
    described: dict[str, Any] = json.loads(found.stdout)[0]
    return described


def is_running() -> bool:
    """Whether the container runs."""
    found = state()
    return found is not None and bool(found["State"]["Running"])


def start(command: Sequence[str], environ: Mapping[str, str], *, timeout_s: float) -> None:
    """Start the container in place of an earlier one, and wait until its services are ready.

    Args:
        command: what docker is told.
        environ: what docker sees; it hands some of it on.
        timeout_s: how long to wait.

    Raises:
        CalicoError: it did not start, and was removed again; or it is not ready in time.
    """
    _remove()
    try:
        docker(*command, environ=environ)
    except CalicoError:
        _remove()  # Docker keeps a container that it could not start
        raise
    wait = ("exec", CONTAINER, "calico-node", "wait", f"--timeout={timeout_s:g}")
    waited = docker(*wait, check=False, timeout_s=timeout_s + _SLACK_S)
    if waited.returncode == 0:
        return
    if waited.returncode == _KILLED or _has_ended():
        log = _log_tail()
        _remove()
        raise CalicoError(f"calico/node did not start (its container was removed):\n{log}")
    reason = waited.stderr.strip() or waited.stdout.strip() or "no reason given"
    raise CalicoError(
        f"calico/node runs, but: {reason}\nIts log, also: docker logs {CONTAINER}:\n{_log_tail()}"
    )


def _has_ended() -> bool:
    """Whether the container ended at least once; Docker may have started it again."""
    found = state()
    return found is None or not found["State"]["Running"] or bool(found["RestartCount"])


def become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by docker in the foreground."""
    _remove()
    sys.stdout.flush()
    os.execve(_program(), ["docker", *command], environ)


def stop() -> bool:
    """Stop and remove the container; returns whether it ran."""
    ran = is_running()
    if ran:
        docker("stop", f"--time={_STOP_S}", CONTAINER, timeout_s=_STOP_S + _SLACK_S)
    _remove()
    return ran


def report() -> str:
    """Return what calico-node says of itself, in JSON."""
    arguments = ("exec", CONTAINER, "calico-node", "status", "--output", "json")
    return docker(*arguments, check=False).stdout


def _remove() -> None:
    docker("rm", "--force", CONTAINER, check=False)


def _log_tail() -> str:
    log = docker("logs", f"--tail={_LOG_LINES}", CONTAINER, check=False)
    lines = [*log.stdout.splitlines(), *log.stderr.splitlines()]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"


def _program() -> str:
    found = shutil.which("docker")
    if found is None:
        raise ConfigError(
            "Docker is not installed here; install it, or run the services without it:"
            " calicoctl node run --runtime=native"
        )
    return found
