"""Who waits is woken: by a call of any thread, and by signals, wherever the kernel delivers them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from calico_node.workloads.stopping import Stop

DEADLINE_MS = 20_000
#: The other thread takes the signal, as a kernel that picks it would have it, while the main thread waits.
WAITS = """
import os, select, signal, sys, threading
from calico_node.workloads.stopping import Stop
with Stop() as stop:
    stop.on_signals()
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    ready = threading.Event()
    def other():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGINT])
        ready.set()
        threading.Event().wait()
    threading.Thread(target=other, daemon=True).start()
    ready.wait()
    print("waits", flush=True)
    os._exit(0 if poll.poll(20_000) else 1)
"""


def is_told(stop, timeout_ms=0):
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def test_who_waits_is_woken():
    with Stop() as stop:
        assert not is_told(stop)
        threading.Thread(target=stop.set).start()
        assert is_told(stop, DEADLINE_MS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_takes_wakes_who_waits(number):
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"waits\n"
        process.send_signal(number)
        assert process.wait(2 * DEADLINE_MS / 1000) == 0


def test_the_pipe_is_never_too_full():
    with Stop() as stop:
        for _ in range(100_000):
            stop.set()
        assert is_told(stop)


def test_closed_it_hears_nothing_more():
    before = len(os.listdir("/proc/self/fd"))
    with Stop() as stop:
        stop.close()
        stop.set()
    assert len(os.listdir("/proc/self/fd")) == before
