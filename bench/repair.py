"""From somebody's tampering with the table to the kernel's commit of the repair.

One host with only Felix on it. Beside it, in the same run, a change of one policy from put to commit: what
Felix does when it is asked properly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import cluster, felixhost
from bench.felixhost import FelixHost, Size
from bench.measure import Report
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.monitor import Monitor
from calico_node.felix.nft.operations import DestroyTable, FlushChain, Operation
from calico_test.netns import call_in
from libcalico.resources import codec

_SIZES = (Size(10, 1000), Size(250, 1000))
_SAMPLES = 40
_GAP_S = 0.02
_WHO = "bench"
_TAMPERING: dict[str, list[Operation]] = {
    "chain flushed": [FlushChain("calico", "filter-FORWARD", _WHO)],
    "table deleted": [DestroyTable("calico")],
}


def run(report: Report) -> None:
    """Measure both kinds of tampering at two sizes."""
    for size in _SIZES:
        with ExitStack() as stack:
            host = stack.enter_context(felixhost.running(size))
            place = Path(f"/proc/{host.process.pid}/ns/net")
            vandal = stack.enter_context(call_in(place, Nftables))
            monitor = call_in(place, partial(Monitor, "calico", [vandal.port]))
            stack.enter_context(monitor)
            asked = report.add(f"repair: a policy changed, {size}", "ms", _changes(host, monitor))
            for name, operations in _TAMPERING.items():
                samples = _samples(monitor, partial(vandal.commit, operations))
                repaired = report.add(f"repair: {name}, {size}", "ms", samples)
                report.ratio(f"repair: {name}, over a policy changed, {size}", repaired, asked)


def _changes(host: FelixHost, monitor: Monitor) -> list[float]:
    changed = iter(range(_SAMPLES))

    def change() -> None:
        policy = cluster.policy(1, port=1000 + next(changed))
        host.backend.put(cluster.key_of(policy), codec.encode(policy))

    return _samples(monitor, change)


def _samples(monitor: Monitor, do: Callable[[], None]) -> list[float]:
    """Return the milliseconds from doing something to Felix's next commit."""
    found = []
    for _ in range(_SAMPLES):
        time.sleep(_GAP_S)
        monitor.read()
        began_ns = time.monotonic_ns()
        do()
        found.append((felixhost.wait_for_commit(monitor) - began_ns) / 1e6)
    return found
