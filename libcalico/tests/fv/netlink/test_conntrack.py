"""Connections of an address are found and deleted, those of others left, on the real kernel."""

import socket

import pytest

from libcalico.net.addresses import parse_address
from libcalico.netlink import conntrack
from libcalico.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket

pytestmark = pytest.mark.root

TRACK = "table inet t { chain c { type filter hook output priority 0; ct state established accept; }; }\n"
MINE = {4: ("10.0.0.9", "127.0.0.1"), 6: ("fd00::9", "::1")}
THEIRS = {4: ("10.0.0.8", "127.0.0.2"), 6: ("fd00::8", "fd00::7")}


@pytest.fixture
def kernel(netns):
    netns.run(["nft", "-f", "-"], stdin=TRACK)
    for address in ("10.0.0.8/32", "10.0.0.9/32"):
        netns.run(["ip", "address", "add", address, "dev", "lo"])
    for address in ("fd00::7/128", "fd00::8/128", "fd00::9/128"):
        # With duplicate address detection, the kernel lets nobody bind to it before a worker had its turn.
        netns.run(["ip", "address", "add", address, "dev", "lo", "nodad"])
    with netns.call(lambda: NetlinkSocket(NETLINK_NETFILTER)) as kernel:
        yield kernel


def send(netns, source, destination):
    """Send a datagram, which makes a connection."""

    def datagram():
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 5000))
            sender.sendto(b"x", (destination, 5001))

    netns.call(datagram)


@pytest.fixture(params=[0, 1 << 20], ids=["filtered", "whole"])
def _reading(request, monkeypatch):
    """Read with the kernel's filter, or everything, though there are few connections."""
    monkeypatch.setattr(conntrack, "_MANY", request.param)


@pytest.mark.usefixtures("_reading")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("end", [0, 1])
def test_an_addresss_connections_go_and_no_others(netns, kernel, version, end):
    mine, theirs = MINE[version], THEIRS[version]
    send(netns, *mine)
    send(netns, *theirs)
    address, other = parse_address(mine[end]), parse_address(theirs[end])
    (found,) = conntrack.list_connections(kernel, [address])
    assert found.addresses == set(map(parse_address, mine))
    assert conntrack.delete_connections(kernel, [address]) == 1
    assert conntrack.list_connections(kernel, [address]) == []
    assert len(conntrack.list_connections(kernel, [other])) == 1


@pytest.mark.usefixtures("_reading")
@pytest.mark.parametrize("version", [4, 6])
def test_a_translated_connection_is_found_by_the_address_behind(netns, kernel, version):
    family = "ip" if version == 4 else "ip6"
    source, destination = MINE[version]
    behind = THEIRS[version][0]
    target = behind if version == 4 else f"[{behind}]"
    netns.run(
        ["nft", "-f", "-"],
        stdin=f"table {family} n {{ chain c {{ type nat hook output priority -100;"
        f" {family} daddr {destination} udp dport 5001 dnat to {target}:5002; }}; }}\n",
    )
    send(netns, source, destination)
    (found,) = conntrack.list_connections(kernel, [parse_address(behind)])
    assert found.addresses >= set(map(parse_address, (source, destination, behind)))
    assert conntrack.delete_connections(kernel, [parse_address(behind)]) == 1


def test_connections_are_counted(netns, kernel):
    before = conntrack.count_connections(kernel)
    send(netns, *MINE[4])
    send(netns, *MINE[6])
    assert conntrack.count_connections(kernel) == before + 2


def test_no_connections_are_none(kernel):
    assert (
        conntrack.delete_connections(kernel, list(map(parse_address, ("10.9.9.9", "fd00::99"))))
        == 0
    )
    assert conntrack.delete_connections(kernel, []) == 0
