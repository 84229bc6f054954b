"""supervisord: its configuration file, starting it, asking it over its socket, stopping it."""

from __future__ import annotations

import os
import select
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from supervisor.xmlrpc import SupervisorTransport

from calico_node.paths import Paths
from calico_node.supervisor import parse
from calico_node.supervisor.model import ProcessState, SupervisorConfig
from calico_node.supervisor.render import render
from libcalico import process
from libcalico.errors import CalicoError, ProcessError, UnavailableError

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.05


class SupervisorError(CalicoError):
    """supervisord could not be started or stopped."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisord of one node, running or not."""

    paths: Paths

    def prepare(self, config: SupervisorConfig) -> None:
        """Write supervisord's configuration and make the directories that it writes to."""
        for name in ("supervisord", *(spec.name for spec in config.processes)):
            (self.paths.log / name).mkdir(parents=True, exist_ok=True)
        self.paths.supervisor_conf.parent.mkdir(parents=True, exist_ok=True)
        self.paths.supervisor_conf.write_text(render(config), encoding="utf-8")

    def refuse_if_running(self) -> None:
        """Make sure that there is no supervisord of this node yet.

        Raises:
            SupervisorError: it runs already.
        """
        pid = self.pid()
        if pid is not None:
            raise SupervisorError(f"calico-node is already running (pid {pid}); stop it first")

    def become(self, environ: Mapping[str, str]) -> NoReturn:
        """Replace this process by supervisord in the foreground."""
        argv = self._argv("--nodaemon")
        os.execve(argv[0], argv, dict(environ))

    def start(self, environ: Mapping[str, str]) -> None:
        """Start supervisord in the background and wait until it answers.

        Raises:
            SupervisorError: it does not start; the text holds its complaint.
        """
        try:
            process.run(self._argv(), env=environ)
        except ProcessError as error:
            raise SupervisorError(f"supervisord does not start: {error}") from error
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                log = self.paths.log / "supervisord" / "current"
                raise SupervisorError(f"supervisord does not answer; see {log}")
            time.sleep(_POLL_S)

    def _argv(self, *options: str) -> list[str]:
        conf = str(self.paths.supervisor_conf)
        return [sys.executable, "-m", "supervisor.supervisord", *options, "--configuration", conf]

    def _answers(self) -> bool:
        try:
            self.states()
        except UnavailableError:
            return False
        return True

    def states(self) -> tuple[ProcessState, ...]:
        """Return the state of every process, by name.

        Raises:
            UnavailableError: supervisord does not run, or does not answer.
        """
        return parse.process_states(self._call("getAllProcessInfo"))

    def stop(self) -> bool:
        """Stop all processes, then supervisord, and wait for its end; returns whether it ran.

        Raises:
            SupervisorError: it does not end in time.
        """
        pid = self.pid()
        if pid is None:
            return False
        watched = _open_pid(pid)
        if watched is None:
            return False
        try:
            self._call("shutdown")
            ready, _, _ = select.select([watched], [], [], _STOP_TIMEOUT_S)
        finally:
            os.close(watched)
        if not ready:
            raise SupervisorError(
                f"supervisord (pid {pid}) did not end within {_STOP_TIMEOUT_S:g}s"
            )
        return True

    def pid(self) -> int | None:
        """Return supervisord's process id, None if it does not run."""
        try:
            pid = int(self.paths.supervisor_pid.read_text(encoding="ascii"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.paths.supervisor_conf).encode() in command.split(b"\0") else None

    def _call(self, method: str) -> Any:
        url = f"unix://{self.paths.supervisor_socket}"
        transport = SupervisorTransport(None, None, serverurl=url)
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(proxy.supervisor, method)()
        except (OSError, xmlrpc.client.Error) as error:
            raise UnavailableError(f"calico-node is not running ({url}: {error})") from error
        finally:
            transport.close()


def _open_pid(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
