"""The server's unix socket: for root only, one server at a time, never left stale."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

from libcalico.errors import CalicoError

_BACKLOG = 512
#: struct ucred: process, user, group. Source: unix(7).
_CREDENTIALS = Struct("=iII")


class ServerRunsError(CalicoError):
    """Another workload server of this host has the socket."""


class Listener:
    """Listens on a unix socket until closed. Use it as a context manager.

    The socket is bound under another name and renamed when it listens, so that whoever sees the path
    can connect, and a socket that a killed server left is replaced in one step.

    Raises (when constructed):
        ServerRunsError: another server has it.
        OSError: the place cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(path.with_name(path.name + ".lock"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._identity = self._listen()
        except BaseException:
            self.close()
            raise

    def _listen(self) -> tuple[int, int]:
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        self.socket.bind(os.fspath(fresh))
        fresh.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self.socket.listen(_BACKLOG)
        self.socket.setblocking(False)
        fresh.rename(self.path)
        return _identity_of(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def accept(self) -> socket.socket | None:
        """Return a connection that waits, None if there is none. Other users than root are hung up on."""
        try:
            connection, _ = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        if _user_of(connection) not in (0, os.geteuid()):
            connection.close()
            return None
        connection.setblocking(True)
        return connection

    def hide(self) -> None:
        """Remove the path, so that nobody connects any more; who has connected can still be accepted."""
        with suppress(FileNotFoundError):
            if _identity_of(self.path) == self._identity:
                self.path.unlink()

    def close(self) -> None:
        """Stop listening; nothing happens the second time."""
        if hasattr(self, "_identity"):
            self.hide()
        self.socket.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _locked(path: Path) -> int:
    """Return the descriptor of the lock file; the lock ends with the process, however that ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ServerRunsError(f"{path}: another workload server runs on this host") from error
    return lock


def _identity_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _user_of(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    return int(user)
