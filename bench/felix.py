"""From etcd's put to the kernel's commit, beside a bare watcher that sees the same event.

One host with only Felix on it. A commit is what the kernel tells about it (nfnetlink's new generation).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from bench import cluster, felixhost
from bench.felixhost import FelixHost, Size
from bench.measure import Report, Result, Scale
from libcalico.resources import codec
from libcalico.resources.model import Resource

_FEW, _SOME, _MANY = Size(10, 1000), Size(250, 1000), Size(1000, 1000)
_LARGE = Size(250, 100_000)
_SIZES = (_FEW, _SOME, _MANY, _LARGE)
#: What should cost the same although there is more of it.
_FLAT = ((_MANY, _FEW), (_LARGE, _SOME))
_SAMPLES = 60
_GAP_S = 0.005


def run(report: Report) -> None:
    """Measure the three kinds of changes at three scales of local endpoints, then with many remote ones."""
    results: dict[tuple[str, Size], dict[str, Result]] = {}
    for size in _SIZES:
        with felixhost.running(size) as host:
            for title, change in (
                ("set element", _remote_endpoint()),
                ("policy rule", _edited_policy()),
                ("endpoint added", _added_endpoint(size.local + size.remote)),
            ):
                results[title, size] = _compare(report, host, title, size, change)
    for (title, size), found in results.items():
        for smaller in (smaller for larger, smaller in _FLAT if larger == size):
            for what, result in found.items():
                name = f"felix: {title}, {what}, {size} over {smaller}"
                report.ratio(name, result, results[title, smaller][what])


def _compare(
    report: Report, host: FelixHost, title: str, size: Size, change: Callable[[], Resource | str]
) -> dict[str, Result]:
    """Return what Felix took: until its commit, beside the watcher, and of CPU."""
    name = f"felix: {title}, {size}"
    commits, sights = [], []
    processes = (host.process, host.watcher)
    before_s = [felixhost.cpu_s(process) for process in processes]
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
        sights.append((host.sighted_ns() - began_ns) / 1e6)
    took_s = [felixhost.cpu_s(p) - before for p, before in zip(processes, before_s, strict=True)]
    felix = report.add(
        f"{name}, put to commit", "ms", commits, scale=_scale("put to commit", title, size)
    )
    bare = report.add(f"{name}, put to bare watcher", "ms", sights)
    beside = report.ratio(
        f"{name}, felix over bare watcher",
        felix,
        bare,
        scale=_scale("over bare watcher", title, size),
    )
    note, cpu_ms = "the mean of all samples", [seconds / _SAMPLES * 1e3 for seconds in took_s]
    scale = _scale("CPU of a change", title, size)
    cpu = report.add(f"{name}, CPU of felix", "ms", cpu_ms[:1], note, scale)
    report.add(f"{name}, CPU of the bare watcher", "ms", cpu_ms[1:], note)
    return {"put to commit": felix, "over bare watcher": beside, "CPU": cpu}


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
