"""CPU time, user and system: what work costs, however busy the machine is meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from resource import RUSAGE_CHILDREN, getrusage

from bench.measure import without_gc


def of_command_ms(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command, which must succeed; return its CPU time, spawn to exit, in milliseconds."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    used_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return used_s * 1000


def of_calls_ms(call: Callable[[], object], times: int) -> list[float]:
    """Return the CPU time of each call, all threads of this process together, in milliseconds."""
    samples = []
    with without_gc():
        for _ in range(times):
            began = time.process_time_ns()
            call()
            samples.append((time.process_time_ns() - began) / 1e6)
    return samples
