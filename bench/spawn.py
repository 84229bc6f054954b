"""Runs inside a host: spawns a program again and again and prints how long each took, spawn to exit.

``python -m bench.spawn COUNT PROGRAM [together]``; standard input holds one JSON object for each run with
``env`` and ``stdin``, or nothing, for a program that needs neither. Prints milliseconds, a line for each
run; ``together`` starts all at once and prints how long it took until the last had ended.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import IO, Any


def main() -> int:
    """Spawn and print."""
    times, program, *mode = sys.argv[1:]
    lines = sys.stdin.read().splitlines()
    runs = [json.loads(line) for line in lines] or [{"env": {}, "stdin": ""}] * int(times)
    for batch in [runs] if mode else [[run] for run in runs]:
        print(_spawn(program, batch), flush=True)
    return 0


def _spawn(program: str, runs: list[dict[str, Any]]) -> float:
    with ExitStack() as files:
        prepared = [_prepare(files, run) for run in runs]
        began = time.perf_counter_ns()
        children = [
            os.posix_spawn(program, [program], environment, file_actions=actions)
            for environment, actions, _ in prepared
        ]
        codes = [os.waitpid(child, 0)[1] for child in children]
        took = (time.perf_counter_ns() - began) / 1e6
        for code, (_, _, said) in zip(codes, prepared, strict=True):
            if code:
                said.seek(0)
                raise RuntimeError(f"{program} failed: {said.read().decode()}")
    return took


def _prepare(
    files: ExitStack, run: dict[str, Any]
) -> tuple[dict[str, str], list[tuple[int, int, int]], IO[bytes]]:
    given = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    said = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    given.write(run["stdin"].encode())
    given.seek(0)
    actions = [(os.POSIX_SPAWN_DUP2, given.fileno(), 0), (os.POSIX_SPAWN_DUP2, said.fileno(), 1)]
    return {**os.environ, **run["env"]}, actions, said


if __name__ == "__main__":
    sys.exit(main())
