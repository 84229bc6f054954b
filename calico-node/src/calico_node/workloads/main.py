"""Runs the workload server of this host until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from calico_node import paths
from calico_node.tunnels import apply as tunnels
from calico_node.workloads.listener import Listener
from calico_node.workloads.server import WorkloadServer
from calico_node.workloads.stopping import Stop
from libcalico.datastore import config
from libcalico.errors import CalicoError, ConfigError
from libcalico.workload.cni.answer import answer
from libcalico.workload.cni.connections import Connections

_log = logging.getLogger(__name__)
_JOIN_TIMEOUT_S = 5.0


def socket_path(run_directory: Path) -> Path:
    """Return where the shims find the server."""
    return run_directory / "workloads.sock"


def main(environ: Mapping[str, str]) -> int:
    """Serve; the datastore of networks that name none is the one of the environment.

    Returns:
        Exit status.

    Raises:
        ServerRunsError: another one runs on this host.
        ConfigError: the socket cannot be made.
    """
    places = paths.from_environ(environ)
    directory = places.run / "endpoint-status"
    connections = Connections(partial(config.load, environ), status_directory=directory)
    path = socket_path(places.run)
    with Stop() as stop:
        stop.on_signals()
        with _listening(path) as listener:
            server = WorkloadServer(listener, lambda call: answer(call, connections), stop)
            threading.Thread(target=_warm_up, args=(connections,), daemon=True).start()
            with _tunnels_kept(environ, places):
                _log.info("workload server listens socket=%s", path)
                server.serve()
        connections.close()
    _log.info("workload server stopped socket=%s", path)
    return 0


def _listening(path: Path) -> Listener:
    try:
        return Listener(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot listen there: {error.strerror}") from error


def _warm_up(connections: Connections) -> None:
    try:
        connections.warm_up()
    except CalicoError as error:
        _log.warning("datastore is not at hand yet error=%r", str(error))


@contextmanager
def _tunnels_kept(environ: Mapping[str, str], places: paths.Paths) -> Iterator[None]:
    """Keep the addresses of this node's tunnels: this process is the one of this node that assigns.

    The thread ends before the interpreter does, whose end would hang on gRPC's event loop otherwise.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(_keep_tunnels(environ, places))
    thread = threading.Thread(target=_run, args=(loop, task), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(_JOIN_TIMEOUT_S)


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _keep_tunnels(environ: Mapping[str, str], places: paths.Paths) -> None:
    try:
        node_name = environ.get("NODENAME") or places.nodename.read_text(encoding="utf-8").strip()
        await tunnels.keep(config.load(environ), node_name)
    except (OSError, CalicoError) as error:
        _log.warning("tunnel addresses stay as they are error=%r", str(error))
