"""The program as it is installed: what Ctrl-C does while it loads its modules."""

import os
import subprocess
import sys

import pytest

from calicoctl.__main__ import INTERRUPTED

DEADLINE_S = 60.0
#: Presses Ctrl-C when a module is imported, in a callback: an exception there is lost.
INTERRUPTED_IN = """
import os, signal, sys, weakref
from importlib.metadata import entry_points
module = sys.argv.pop(1)
class Lock: pass
def press(event, arguments):
    if event == "import" and arguments[0] == module:
        lock = Lock()
        watch = weakref.ref(lock, lambda _: os.kill(os.getpid(), signal.SIGINT))
        del lock
sys.addaudithook(press)
(program,) = entry_points(group="console_scripts", name="calicoctl")
program.load()()
"""


@pytest.mark.parametrize("module", ["click", "grpc._channel"])
def test_ctrl_c_in_an_import_is_quiet_and_not_lost(module):
    # A run in the background ignores Ctrl-C, and so would its children.
    command = ["env", "--default-signal=INT", sys.executable, "-c", INTERRUPTED_IN]
    done = subprocess.run(
        [*command, module, "get", "nodes"],
        env={**os.environ, "ETCD_ENDPOINTS": "http://127.0.0.1:9"},
        capture_output=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, b"", b"")
