"""A reader at a shell of each host of a lab."""

import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from calico_docs.blocks import missing

BIN = Path(sys.executable).parent
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
END = "--- end of block"
#: Longest time that a block may take, in seconds; starting a node is the slowest.
DEADLINE_S = 90.0
#: Longest time until what a page says is seen, in seconds.
UNTIL_S = 20.0


class Shell:
    """One shell on a host, in a directory of its own; what a block exports is there in the next."""

    def __init__(self, host, folder):
        self.folder = folder
        folder.mkdir()
        argv = ["bash", "--noprofile", "--norc"]
        env = {"PATH": PATH, "PWD": str(folder), "HOME": str(folder)}
        self._process = host.popen(
            argv,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._send(f"cd {folder}; set -E; trap 'failed=$?' ERR\n")

    def run(self, text, deadline_s=DEADLINE_S):
        """Run a block; return the exit code of what failed last, 0 if nothing did, and all output."""
        self._send(f"failed=0\n{text}\nprintf '\\n{END} %s\\n' \"$failed\"\n")
        until, output = time.monotonic() + deadline_s, []
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no end within {deadline_s} s:\n{''.join(output)}") from None
            if line is None:
                raise AssertionError(f"the shell ended:\n{''.join(output)}")
            if line.startswith(END):
                return int(line.split()[-1]), "".join(output)
            output.append(line)

    def close(self):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    def _send(self, text):
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _read(self):
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


def follow(steps, shells):
    """Do one step after the other, each with what the page says that is seen."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        expected = following.text if following and following.action == "output" else ""
        host = next((word for word in step.mark[1:] if word in shells), "host1")
        if step.action == "file":
            for shell in shells.values():
                (shell.folder / step.mark[1]).write_text(step.text)
        elif step.action in {"run", "until"}:
            deadline = time.monotonic() + (UNTIL_S if step.action == "until" else 0)
            _do(step, shells[host], expected, deadline)


def _do(step, shell, expected, deadline):
    while True:
        code, output = shell.run(step.text)
        lost = missing(output, expected)
        if code == 0 and not lost:
            return
        if time.monotonic() >= deadline:
            pytest.fail(f"{step}: exit code {code}, not seen: {lost}, but:\n{output}")


@pytest.fixture
def reader(lab, tmp_path):
    """Makes the lab that a page describes, and does what the page says at shells of its hosts."""
    shells = {}

    def read(steps, wanted, prepare=None):
        made = lab(int(wanted.get("hosts", "1")), etcd="etcd" in wanted)
        if prepare is not None:
            prepare(made)
        for host in made.hosts:
            shells[host.name] = Shell(host, tmp_path / host.name)
        follow(steps, shells)

    yield read
    for shell in shells.values():
        shell.close()
