"""Programs that run once pay for nothing heavy when they use netlink."""

import subprocess
import sys

HEAVY = (
    "asyncio",
    "ctypes",
    "dataclasses",
    "inspect",
    "logging",
    "pyroute2",
    "netaddr",
    "msgspec",
    "subprocess",
)


def test_netlink_imports_nothing_heavy() -> None:
    program = (
        "import sys, libcalico.netlink.monitor, libcalico.netlink.sysctl, libcalico.netlink.links\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    # -S leaves out what the virtual environment's start-up files import.
    where = [path for path in sys.path if path]
    program = f"import sys; sys.path = {where!r}\n" + program
    done = subprocess.run(
        [sys.executable, "-IS", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
