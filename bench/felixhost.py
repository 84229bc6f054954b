"""A host with nothing but Felix on it, and a datastore filled to size; what the kernel tells of commits."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import cluster
from calico_node.felix.nft.monitor import Monitor
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.netns import call_in
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import Backend

_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).parent.parent
_NANOSECONDS = 1e9
_DEADLINE_S = 300.0
#: Room for what the kernel tells of the first commit: all of a table for 250,000 endpoints.
_RECEIVE_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """What is in the datastore. ``local``, ``remote``: endpoints of this host and of fifty others."""

    local: int
    remote: int
    policies: int = 1000

    def __str__(self) -> str:
        """Readable form, e.g. ``250 local, 1000 remote endpoints``."""
        return f"{self.local} local, {self.remote} remote endpoints"


@dataclass(frozen=True, slots=True)
class FelixHost:
    """A host with Felix in sync.

    Attributes:
        started_ms: from the start of the process to its first commit.
        started_cpu_s: CPU that it took until then.
        watcher: prints when a bare watcher sees an event.
    """

    backend: Backend
    monitor: Monitor
    watcher: subprocess.Popen[Any]
    process: subprocess.Popen[Any]
    started_ms: float
    started_cpu_s: float

    def sighted_ns(self) -> int:
        """Return when the watcher saw the event that is due next, in monotonic nanoseconds."""
        if self.watcher.stdout is None:
            raise RuntimeError("the watcher has no output")
        return int(self.watcher.stdout.readline())


@contextmanager
def running(size: Size) -> Iterator[FelixHost]:
    """Fill a datastore, start Felix, and wait for its first commit."""
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(1))
        host = lab.hosts[0]
        environment = {"ETCD_ENDPOINTS": endpoint_of(lab), "NODENAME": cluster.HOST}
        backend = stack.enter_context(connected(lab))
        _fill(backend, size)
        began = time.perf_counter()
        listen = partial(Monitor, "calico", receive_bytes=_RECEIVE_BYTES)
        monitor = stack.enter_context(call_in(_netns(host), listen))
        felix = host.popen([f"{_BIN}/calico-node", "felix"], log="felix", env=environment)
        wait_for_commit(monitor)
        started_ms, started_cpu_s = (time.perf_counter() - began) * 1e3, cpu_s(felix)
        watcher = _watcher(stack, host, environment)
        yield FelixHost(backend, monitor, watcher, felix, started_ms, started_cpu_s)


def cpu_s(process: subprocess.Popen[Any]) -> float:
    """Return the seconds of CPU that all threads of a process took so far, exactly."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / _NANOSECONDS


def endpoint_of(lab: Lab) -> str:
    """Return where the lab's etcd answers."""
    if lab.etcd is None:
        raise RuntimeError("the lab has no etcd")
    return lab.etcd.endpoint


@contextmanager
def connected(lab: Lab) -> Iterator[Backend]:
    """Connect to the lab's etcd from where its hosts are."""

    def connect() -> Backend:
        backend = datastore.connect(
            datastore.from_environment({"ETCD_ENDPOINTS": endpoint_of(lab)})
        )
        backend.get("/calico/ready")  # opens the connection while this thread is in the namespace
        return backend

    backend = call_in(_netns(lab.hosts[0]), connect)
    try:
        yield backend
    finally:
        backend.close()


def wait_for_commit(monitor: Monitor) -> int:
    """Wait for a commit of the table; return when it was seen, in monotonic nanoseconds."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        select.select([monitor], [], [], 1.0)
        seen = time.monotonic_ns()
        if monitor.read():
            return seen
    raise RuntimeError(f"felix committed nothing within {_DEADLINE_S} s")


def _netns(host: Host) -> Path:
    return Path(f"/proc/{host.holder.pid}/ns/net")


def _fill(backend: Backend, size: Size) -> None:
    cluster.write(backend, cluster.basics())
    cluster.write(backend, (cluster.policy(number) for number in range(size.policies)))
    cluster.write(backend, (cluster.endpoint(number) for number in range(size.local)))
    others = range(size.local, size.local + size.remote)
    cluster.write(
        backend,
        (
            cluster.endpoint(n, node=f"other{n % 50}", role=f"client{n % 50}-{n % 3}")
            for n in others
        ),
    )


def _watcher(stack: ExitStack, host: Host, environment: dict[str, str]) -> subprocess.Popen[Any]:
    process: subprocess.Popen[Any] = host.popen(
        [sys.executable, "-m", "bench.watcher"],
        env={**environment, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.kill)
    if process.stdout is None or process.stdout.readline() != "watching\n":
        raise RuntimeError("the watcher did not start")
    return process
