"""Private namespaces."""

import socket
import subprocess
from pathlib import Path

import pytest

from calico_test.errors import HarnessError
from calico_test.netns import NetNs


def test_a_namespace_has_its_loopback_up_and_nothing_else(netns):
    assert netns.run(["ip", "-brief", "address"]).stdout.split() == [
        "lo",
        "UNKNOWN",
        "127.0.0.1/8",
        "::1/128",
    ]
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True)
    assert netns.name in listed.stdout


def test_sockets_made_by_call_are_inside(netns):
    with netns.call(socket.socket) as inside, socket.socket() as outside:
        inside.bind(("127.0.0.1", 9))
        outside.bind(("127.0.0.1", 0))
    with pytest.raises(ZeroDivisionError):
        netns.call(lambda: 1 / 0)


def test_deletion_kills_what_runs_inside():
    with NetNs() as netns:
        child = netns.popen(["sleep", "infinity"])
    assert child.wait(10) == -9
    assert not Path(f"/run/netns/{netns.name}").exists()
    netns.delete()


def test_a_name_is_given_once(netns):
    with pytest.raises(HarnessError, match="already"):
        NetNs(netns.name)
    assert netns.path.exists()
