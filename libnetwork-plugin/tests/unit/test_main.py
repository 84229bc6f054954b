"""The program as it is installed: what Ctrl-C does while it starts."""

import signal
import subprocess
import sys

import pytest

DEADLINE_S = 60.0
#: Presses Ctrl-C when a module is imported, in a callback: an exception there is lost.
INTERRUPTED = """
import os, signal, sys, weakref
from importlib.metadata import entry_points
name, command, module = sys.argv[1:]
class Lock: pass
def press(event, arguments):
    if event == "import" and arguments[0] == module:
        lock = Lock()
        watch = weakref.ref(lock, lambda _: os.kill(os.getpid(), signal.SIGINT))
        del lock
sys.addaudithook(press)
sys.argv = [name, command]
(program,) = entry_points(group="console_scripts", name=name)
program.load()()
"""


@pytest.mark.parametrize("module", ["click", "libnetwork_plugin.plugin"])
def test_ctrl_c_while_it_starts_ends_it_quietly(module):
    # A run in the background ignores Ctrl-C, and so would its children.
    command = ["env", "--default-signal=INT", sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(
        [*command, "libnetwork-plugin", "serve", module],
        capture_output=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
