"""An etcd of this host's own, for a trial on a single host: its command, and running it during start-up.

Start-up needs the datastore before the supervisor runs; so etcd runs for start-up alone, and then again
under the supervisor, on the same data.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from calico_node.paths import Paths
from calico_node.supervisor.model import ProcessSpec
from libcalico.errors import ConfigError, UnavailableError

ENDPOINT = "http://127.0.0.1:2379"
_PEER = "http://127.0.0.1:2380"
_START_S = 20.0
_STOP_S = 10.0
_POLL_S = 0.05
#: Source: linux/prctl.h.
_PR_SET_PDEATHSIG: Final = 1


def find_program(path: str) -> str:
    """Return etcd's program file.

    Args:
        path: as in the variable PATH.

    Raises:
        ConfigError: there is none.
    """
    found = shutil.which("etcd", path=path or None)
    if found is None:
        raise ConfigError("etcd is not installed; install it, e.g. apt-get install etcd-server")
    return found


def process(program: str, paths: Paths) -> ProcessSpec:
    """Return etcd's process: reachable on the loopback only."""
    command = (
        *(program, "--name=default", "--data-dir", str(paths.etcd_data)),
        *(f"--listen-client-urls={ENDPOINT}", f"--advertise-client-urls={ENDPOINT}"),
        *(f"--listen-peer-urls={_PEER}", f"--initial-advertise-peer-urls={_PEER}"),
        *(f"--initial-cluster=default={_PEER}", "--auto-compaction-retention=1"),
    )
    return ProcessSpec(name="etcd", command=command, priority=5)


@contextmanager
def running(spec: ProcessSpec) -> Iterator[None]:
    """Run etcd while the context lasts; it ends with this process, however that ends.

    Raises:
        UnavailableError: it does not start, e.g. because the port is taken; the text is its complaint.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        child = subprocess.Popen(
            spec.command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),  # noqa: PLW1509 - no other thread runs yet
        )
        try:
            _wait(child, log)
            yield
        finally:
            _stop(child)


def _ends_with(parent: int) -> Callable[[], None]:
    """Return what has the kernel end the calling child with its parent."""
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return tie


def _wait(child: subprocess.Popen[bytes], log: IO[str]) -> None:
    deadline = time.monotonic() + _START_S
    while not _is_healthy():
        if child.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["no reason given"])[-1]
            raise UnavailableError(f"etcd does not start: {last}")
        time.sleep(_POLL_S)
    if child.poll() is not None:  # another one answers there
        raise UnavailableError(f"etcd does not start: another one answers at {ENDPOINT}")


def _is_healthy() -> bool:
    connection = http.client.HTTPConnection(ENDPOINT.partition("//")[2], timeout=1.0)
    try:
        connection.request("GET", "/health")
        return b"true" in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
