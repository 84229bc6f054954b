"""Many threads that decode at once, in a process that has decoded nothing before."""

import subprocess
import sys

SCRIPT = """
import sys, threading
from libcalico.resources import codec
from libcalico.resources.registry import KINDS

sys.setswitchinterval(1e-6)
start = threading.Barrier(16)

def work():
    start.wait()
    for kind in KINDS:
        codec.decode({"metadata": {"name": "x"}, "spec": {}}, kind=kind)

threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_decodings_may_come_at_the_same_time():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
