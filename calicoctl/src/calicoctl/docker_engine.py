"""This host's Docker engine, asked about containers by its API. The library is loaded when it is needed."""

from __future__ import annotations

import os
from pathlib import Path

from calicoctl.containers import Described, parse_description
from libcalico.errors import CalicoError, ConfigError, NotFoundError, UnavailableError
from libcalico.netlink.netns import Netns, open_netns

_TIMEOUT_S = 10


def describe(name: str) -> Described:
    """Return what Docker says of a container.

    Args:
        name: its name, its id, or the beginning of its id.

    Raises:
        NotFoundError: there is none, or several.
        ConfigError: we may not ask Docker.
        UnavailableError: Docker does not answer.
    """
    import docker  # noqa: PLC0415 - takes longer to load than most commands take
    import docker.errors  # noqa: PLC0415
    import docker.utils  # noqa: PLC0415
    import requests.exceptions  # noqa: PLC0415

    try:
        where = docker.utils.kwargs_from_env()
        client = docker.APIClient(**where, version="auto", timeout=_TIMEOUT_S)
        try:
            return parse_description(client.inspect_container(name))
        finally:
            client.close()
    except docker.errors.NotFound as error:
        raise NotFoundError(
            f"Docker has no container {name}; other network namespaces are named by an absolute path"
        ) from error
    except docker.errors.APIError as error:
        raise NotFoundError(f"container {name}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise unreachable(error) from error


def unreachable(error: Exception) -> CalicoError:
    """Return what to say of an engine that could not be asked."""
    if "Permission denied" in str(error):
        return ConfigError(
            "we may not ask Docker: run this with sudo, or as a user of the group docker"
        )
    where = os.environ.get("DOCKER_HOST") or "its usual socket"
    return UnavailableError(f"Docker does not answer at {where}; is its daemon running?")


def open_network(name: str, described: Described) -> Netns:
    """Open the network namespace of a running container.

    Raises:
        ConfigError: its process is not to be seen here: Docker is on another host, or we are in a container
            without the host's processes.
    """
    hint = (
        f"the process of container {name} is not on this host; run this where its Docker is,"
        " in a container with --pid=host"
    )
    try:
        netns = open_netns(pid=described.pid)
    except CalicoError as error:
        raise ConfigError(hint) from error
    if described.id not in _text(Path(f"/proc/{described.pid}/mountinfo")):
        netns.close()
        raise ConfigError(hint)
    return netns


def _text(path: Path) -> str:
    """Return a file's text; empty if it is gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
