"""From etcd's put to the kernel's commit, beside a bare watcher that sees the same event.

One host with only Felix on it. A commit is what the kernel tells about it (nfnetlink's new generation).
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from bench import cluster
from bench.measure import Report
from calico_node.felix.nft.monitor import Monitor
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.netns import call_in
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import Backend
from libcalico.resources import codec
from libcalico.resources.model import Resource

_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).parent.parent
_LOCAL = (10, 250, 1000)
_POLICIES = 1000
_REMOTE = (1000, 100_000)
_SAMPLES = 60
_GAP_S = 0.005
_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement uses."""

    backend: Backend
    monitor: Monitor
    watcher: IO[str]


def run(report: Report) -> None:
    """Measure the three kinds of changes at three scales of local endpoints, then with many remote ones."""
    scales = [(local, _REMOTE[0]) for local in _LOCAL] + [(250, _REMOTE[1])]
    for local, remote in scales:
        with _felix(report, local, remote) as bench:
            where = f"{local} local, {remote} remote endpoints"
            for title, change in (
                ("set element", _remote_endpoint()),
                ("policy rule", _edited_policy()),
                ("endpoint added", _added_endpoint(local + remote)),
            ):
                _compare(report, bench, f"felix: {title}, {where}", change)


@contextmanager
def _felix(report: Report, local: int, remote: int) -> Iterator[Bench]:
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(1))
        host = lab.hosts[0]
        if lab.etcd is None:
            raise RuntimeError("the lab has no etcd")
        # The bench and the watcher reach etcd where the host does: inside the lab.
        environment = {"ETCD_ENDPOINTS": lab.etcd.endpoint, "NODENAME": cluster.HOST}
        netns = Path(f"/proc/{host.holder.pid}/ns/net")
        settings = datastore.from_environment(environment)
        backend = stack.enter_context(call_in(netns, lambda: _connected(settings)))
        _fill(backend, local, remote)
        began = time.perf_counter()
        monitor = stack.enter_context(call_in(netns, lambda: Monitor("calico")))
        host.popen([f"{_BIN}/calico-node", "felix"], log="felix", env=environment)
        _commit(monitor)
        report.add(
            f"felix: cold start, {local} local, {remote} remote endpoints, {_POLICIES} policies",
            "ms",
            [(time.perf_counter() - began) * 1e3],
            "process start to first commit",
        )
        yield Bench(backend, monitor, _watcher(stack, host, environment))


def _connected(settings: datastore.DatastoreConfig) -> Backend:
    backend = datastore.connect(settings)
    backend.get("/calico/ready")  # opens the connection while this thread is in the namespace
    return backend


def _fill(backend: Backend, local: int, remote: int) -> None:
    cluster.write(backend, cluster.basics())
    cluster.write(backend, (cluster.policy(number) for number in range(_POLICIES)))
    cluster.write(backend, (cluster.endpoint(number) for number in range(local)))
    others = range(local, local + remote)
    cluster.write(
        backend,
        (
            cluster.endpoint(n, node=f"other{n % 50}", role=f"client{n % 50}-{n % 3}")
            for n in others
        ),
    )


def _watcher(stack: ExitStack, host: Host, environment: dict[str, str]) -> IO[str]:
    process: subprocess.Popen[Any] = host.popen(
        [sys.executable, "-m", "bench.watcher"],
        env={**environment, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.kill)
    if process.stdout is None or process.stdout.readline() != "watching\n":
        raise RuntimeError("the watcher did not start")
    return process.stdout


def _compare(report: Report, bench: Bench, name: str, change: Callable[[], Resource | str]) -> None:
    commits, sights = [], []
    for _ in range(_SAMPLES):
        changed = change()
        time.sleep(_GAP_S)
        bench.monitor.read()
        began_ns = time.monotonic_ns()
        if isinstance(changed, str):
            bench.backend.delete(changed)
        else:
            bench.backend.put(cluster.key_of(changed), codec.encode(changed))
        commits.append((_commit(bench.monitor) - began_ns) / 1e6)
        sights.append((int(bench.watcher.readline()) - began_ns) / 1e6)
    felix = report.add(f"{name}, put to commit", "ms", commits)
    bare = report.add(f"{name}, put to bare watcher", "ms", sights)
    report.ratio(f"{name}, felix over bare watcher", felix, bare)


def _commit(monitor: Monitor) -> int:
    """Wait for a commit of the table; return when it was seen, in monotonic nanoseconds."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        select.select([monitor], [], [], 1.0)
        seen = time.monotonic_ns()
        if monitor.read():
            return seen
    raise RuntimeError(f"felix committed nothing within {_DEADLINE_S} s")


def _remote_endpoint() -> Callable[[], Resource | str]:
    """A remote pod that policies select comes and goes."""
    turn = count()
    pod = cluster.endpoint(15_000_000, node="other0", role="client1-1")

    def change() -> Resource | str:
        return cluster.key_of(pod) if next(turn) % 2 else pod

    return change


def _edited_policy() -> Callable[[], Resource | str]:
    """A rule of a policy that applies here gets another port."""
    turn = count()
    return lambda: cluster.policy(1, port=9000 + next(turn) % 1000)


def _added_endpoint(first: int) -> Callable[[], Resource | str]:
    """One more local endpoint of an application that is here already."""
    numbers = count(first)
    return lambda: cluster.endpoint(next(numbers))
