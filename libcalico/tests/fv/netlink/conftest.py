"""Two private namespaces, near and far, with a socket of ours in each, and ``ip`` as the oracle."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from calico_test.netns import NetNs
from libcalico.netlink import links
from libcalico.netlink.netns import Netns, open_netns, socket_in
from libcalico.netlink.sockets import NetlinkSocket


@dataclass(frozen=True)
class Place:
    """A namespace, seen by the harness and by us."""

    name: str
    harness: NetNs
    netns: Netns
    socket: NetlinkSocket

    def ip(self, *words: str) -> Any:
        """What ``ip -details -json`` prints."""
        printed = self.harness.run(["ip", "-details", "-json", *words]).stdout
        return json.loads(printed or "[]")

    def fdb(self, name: str) -> Any:
        """What ``bridge -json fdb show`` prints about a device."""
        return json.loads(self.harness.run(["bridge", "-json", "fdb", "show", "dev", name]).stdout)

    def index(self, name: str) -> int:
        """The number of an interface."""
        link = links.get_link(self.socket, name)
        assert link is not None
        return link.ifindex


def places() -> Iterator[Place]:
    with (
        NetNs() as harness,
        open_netns(harness.name) as netns,
        socket_in(netns) as socket,
    ):
        yield Place(harness.name, harness, netns, socket)


@pytest.fixture
def near() -> Iterator[Place]:
    yield from places()


@pytest.fixture
def far() -> Iterator[Place]:
    yield from places()


@pytest.fixture
def pair(near: Place, far: Place) -> tuple[int, int]:
    """A veth pair cali0 (near) and eth0 (far), both up: the indexes of its ends."""
    links.create_veth(near.socket, links.Veth("cali0", "eth0", far.netns.fileno()))
    links.set_up(far.socket, "eth0")
    return near.index("cali0"), far.index("eth0")
