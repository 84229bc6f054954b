"""Felix at the sizes of large clusters: cold start, memory, and what it does when nothing changes."""

from __future__ import annotations

import time
from pathlib import Path

from bench import cluster, felixhost
from bench.felixhost import FelixHost, Size
from bench.measure import Report, Scale
from libcalico.resources import codec

_SIZES = (Size(100, 10_000), Size(100, 100_000), Size(250, 250_000, policies=10_000))
_SELECTOR_CHANGES = 10
_SETTLE_S = 2.0
_IDLE_S = 20.0


def run(report: Report) -> None:
    """Measure each size in a lab of its own."""
    for size in _SIZES:
        with felixhost.running(size) as host:
            where = f"{size}, {size.policies} policies"
            note = "process start to first commit"
            scale = _scale("cold start", size)
            report.add(f"felix: cold start, {where}", "ms", [host.started_ms], note, scale)
            report.add(f"felix: cold start, CPU, {where}", "s", [host.started_cpu_s], note)
            note, scale = "peak since the start", _scale("memory", size)
            report.add(f"felix: memory, {where}", "MB", [_peak_mb(host)], note, scale)
            _idle(report, host, where)
            _selectors(report, host, size, where)


def _scale(curve: str, size: Size) -> Scale:
    return Scale(f"felix: {curve}", "Felix", size.local + size.remote, "endpoints in the cluster")


def _idle(report: Report, host: FelixHost, where: str) -> None:
    """Measure Felix at rest, and the bare watcher: the threads of gRPC never rest quite."""
    time.sleep(_SETTLE_S)
    processes = {"felix": host.process, "bare watcher": host.watcher}
    before = {name: felixhost.cpu_s(process) for name, process in processes.items()}
    time.sleep(_IDLE_S)
    note = f"of one core, over {_IDLE_S:g} s"
    for name, process in processes.items():
        share = (felixhost.cpu_s(process) - before[name]) / _IDLE_S * 100
        report.add(f"{name}: idle, {where}", "% CPU", [share], note)
    report.add(f"felix: children, {where}", "", [float(_has_had_children(host))], "0: never one")


def _selectors(report: Report, host: FelixHost, size: Size, where: str) -> None:
    """Change the selector of a policy that applies here, so that its set has other members."""
    samples = []
    for number in range(_SELECTOR_CHANGES):
        policy = cluster.policy(1, clients=number % 2 + 2)
        host.monitor.read()
        began_ns = time.monotonic_ns()
        host.backend.put(cluster.key_of(policy), codec.encode(policy))
        samples.append((felixhost.wait_for_commit(host.monitor) - began_ns) / 1e6)
        time.sleep(_SETTLE_S / _SELECTOR_CHANGES)
    scale = _scale("selector of a policy changed", size)
    report.add(f"felix: selector changed, {where}", "ms", samples, "put to commit", scale)


def _peak_mb(host: FelixHost) -> float:
    for line in Path(f"/proc/{host.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no peak of memory")


def _stat(host: FelixHost) -> list[str]:
    """Return the fields of proc(5)'s ``stat`` behind the program's name, state first."""
    return Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()


def _has_had_children(host: FelixHost) -> bool:
    """Tell whether it ever forked: a child that ended left page faults, one that runs is listed."""
    faults_of_children = int(_stat(host)[8])
    children = Path(f"/proc/{host.process.pid}/task/{host.process.pid}/children").read_text()
    return bool(faults_of_children or children.strip())
