"""Serves the application on Docker's plugin socket until it is told to stop.

Waitress: threads of one process, so that all calls share the datastore's connection and the thread that
follows Docker. Only root may connect. Docker repeats a call for 15 s while nobody listens, so a restart of
the plugin is not noticed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

from waitress import create_server, wasyncore

from libcalico.errors import ConfigError

DEFAULT_SOCKET: Final = Path("/run/docker/plugins/calico.sock")

_log = logging.getLogger(__name__)
_MODE: Final = 0o600
_THREADS: Final = 8
_BACKLOG: Final = 128
_DRAIN_S: Final = 10.0
_TURN_S: Final = 1.0


class Server:
    """The application at a socket. Use it as a context manager: what is left of the socket is removed.

    Args:
        application: WSGI.
        path: of the socket; its name without suffix is what Docker knows the driver by.

    Raises:
        ConfigError: another plugin listens there, or nobody can.
    """

    def __init__(self, application: Callable[..., Any], path: Path) -> None:
        self.path = path
        self._channels: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._listener = _listen(path)
        self._inode = path.stat().st_ino
        self._server = create_server(
            application,
            map=self._channels,
            sockets=[self._listener],
            threads=_THREADS,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._channels)
        self._unlink()

    def serve(self) -> None:
        """Answer until :meth:`stop`; calls that are under way then are answered."""
        _log.info("plugin listens socket=%s", self.path)
        while not self._stopping.is_set():
            self._turn()
        self._unlink()
        self._server.accepting = False
        deadline = time.monotonic() + _DRAIN_S
        while self._is_busy() and time.monotonic() < deadline:
            self._turn()
        _log.info("plugin stopped socket=%s", self.path)

    def _turn(self) -> None:
        wasyncore.loop(timeout=_TURN_S, use_poll=True, map=self._channels, count=1)

    def _is_busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)

    def stop(self) -> None:
        """End :meth:`serve`, from a signal handler or another thread."""
        self._stopping.set()
        self._server.pull_trigger()

    def stop_on_signals(self) -> None:
        """Have SIGTERM and SIGINT stop the server."""

        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def _unlink(self) -> None:
        """Remove our socket, not that of a plugin which was started meanwhile."""
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


def _listen(path: Path) -> socket.socket:
    """Return a listening socket that only root reaches; a stale one is removed."""
    if _answers(path):
        raise ConfigError(f"{path}: another plugin listens there; stop it first")
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        previous = os.umask(0o777 & ~_MODE)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{path}: cannot listen there: {error.strerror or error}") from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            return probe.connect_ex(str(path)) == 0
        except OSError:  # the path is too long for a socket
            return False
