"""From etcd's put to the kernel's commit, beside a bare watcher that sees the same event.

One host with only Felix on it. A commit is what the kernel tells about it (nfnetlink's new generation).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from bench import cluster, felixhost
from bench.felixhost import FelixHost, Size
from bench.measure import Report, Scale
from libcalico.resources import codec
from libcalico.resources.model import Resource

_SIZES = (Size(10, 1000), Size(250, 1000), Size(1000, 1000), Size(250, 100_000))
_SAMPLES = 60
_GAP_S = 0.005


def run(report: Report) -> None:
    """Measure the three kinds of changes at three scales of local endpoints, then with many remote ones."""
    for size in _SIZES:
        with felixhost.running(size) as host:
            for title, change in (
                ("set element", _remote_endpoint()),
                ("policy rule", _edited_policy()),
                ("endpoint added", _added_endpoint(size.local + size.remote)),
            ):
                _compare(report, host, title, size, change)


def _compare(
    report: Report, host: FelixHost, title: str, size: Size, change: Callable[[], Resource | str]
) -> None:
    name = f"felix: {title}, {size}"
    commits, sights = [], []
    for _ in range(_SAMPLES):
        changed = change()
        time.sleep(_GAP_S)
        host.monitor.read()
        began_ns = time.monotonic_ns()
        if isinstance(changed, str):
            host.backend.delete(changed)
        else:
            host.backend.put(cluster.key_of(changed), codec.encode(changed))
        commits.append((felixhost.wait_for_commit(host.monitor) - began_ns) / 1e6)
        sights.append((int(host.watcher.readline()) - began_ns) / 1e6)
    felix = report.add(
        f"{name}, put to commit", "ms", commits, scale=_scale("put to commit", title, size)
    )
    bare = report.add(f"{name}, put to bare watcher", "ms", sights)
    report.ratio(
        f"{name}, felix over bare watcher",
        felix,
        bare,
        scale=_scale("over bare watcher", title, size),
    )


def _scale(what: str, title: str, size: Size) -> Scale:
    return Scale(
        f"felix: {what}", f"{title}, {size.remote} remote endpoints", size.local, "local endpoints"
    )


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
