"""Runs inside a host: spawns a program again and again and prints how long each took, spawn to exit.

``python -m bench.spawn COUNT PROGRAM``; standard input holds one JSON object for each run with ``env`` and
``stdin``, or nothing, for a program that needs neither. Prints milliseconds, a line for each run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time


def main() -> int:
    """Spawn and print."""
    times, program = int(sys.argv[1]), sys.argv[2]
    lines = sys.stdin.read().splitlines()
    runs = [json.loads(line) for line in lines] or [{"env": {}, "stdin": ""}] * times
    for run in runs:
        print(_spawn(program, run["env"], run["stdin"]), flush=True)
    return 0


def _spawn(program: str, environment: dict[str, str], text: str) -> float:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text.encode())
        given.seek(0)
        actions = [
            (os.POSIX_SPAWN_DUP2, given.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, said.fileno(), 1),
        ]
        began = time.perf_counter_ns()
        child = os.posix_spawn(
            program, [program], {**os.environ, **environment}, file_actions=actions
        )
        _, status = os.waitpid(child, 0)
        took = (time.perf_counter_ns() - began) / 1e6
        if status:
            said.seek(0)
            raise RuntimeError(f"{program} failed: {said.read().decode()}")
    return took


if __name__ == "__main__":
    sys.exit(main())
