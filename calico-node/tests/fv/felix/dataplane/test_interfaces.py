"""The interfaces of a host and their addresses, as the kernel tells them."""

import re
import select

import pytest

from calico_node.felix.dataplane.interfaces import Interfaces
from libcalico.net.addresses import parse_address

DEADLINE_S = 5.0
NOBODY = re.compile(r"(?!)")
ONE, TWO, SIX = map(parse_address, ("192.0.2.1", "192.0.2.2", "fd00::1"))


@pytest.fixture
def interfaces(netns):
    made = netns.call(Interfaces)
    yield made
    made.close()


def told(interfaces, workloads=("cali",), excluded=NOBODY):
    """Return what is told of addresses."""
    found = interfaces.take(workloads, excluded)
    return {n: i and i.addresses for n, i in found.items() if n.startswith(("eth", "cali"))}


def ip(netns, *commands):
    for command in commands:
        netns.run(["ip", *command.split()])


def test_addresses_are_told_as_they_come_move_and_go(netns, interfaces):
    ip(netns, "link add eth0 type veth peer name xeth0", "link add eth1 type veth peer name xeth1")
    ip(netns, "address add 192.0.2.1/24 dev eth0", "-6 address add fd00::1/64 dev eth0 nodad")
    assert told(interfaces) == {"eth0": {ONE, SIX}, "eth1": frozenset()}
    assert told(interfaces) == {}
    ip(netns, "address del 192.0.2.1/24 dev eth0", "address add 192.0.2.1/24 dev eth1")
    assert select.select([interfaces], [], [], DEADLINE_S)[0]
    assert told(interfaces) == {"eth0": {SIX}, "eth1": {ONE}}
    ip(netns, "link del eth1")
    assert told(interfaces) == {"eth1": None}


def test_an_interface_that_changes_its_name_takes_its_addresses_along(netns, interfaces):
    ip(netns, "link add eth0 type veth peer name xeth0", "address add 192.0.2.1/24 dev eth0")
    told(interfaces)
    ip(netns, "link set eth0 name eth9", "link add eth0 type veth peer name yeth0")
    assert told(interfaces) == {"eth0": frozenset(), "eth9": {ONE}}


def test_interfaces_of_workloads_are_not_told(netns, interfaces):
    ip(netns, "link add cali1 type veth peer name xcali1", "address add 192.0.2.1/24 dev cali1")
    assert told(interfaces) == {}
    assert told(interfaces, ("tap",)) == {"cali1": {ONE}}
    assert told(interfaces, ("cali", "tap")) == {"cali1": None}


def test_excluded_interfaces_are_not_told(netns, interfaces):
    ip(netns, "link add eth0 type veth peer name xeth0", "address add 192.0.2.1/24 dev eth0")
    ip(netns, "link add eth1 type veth peer name xeth1")
    eth0 = re.compile("^eth0$")
    assert told(interfaces, excluded=eth0) == {"eth1": frozenset()}
    assert told(interfaces) == {"eth0": {ONE}}
    assert told(interfaces, excluded=eth0) == {"eth0": None}
    ip(netns, "address add 192.0.2.2/24 dev eth0")
    assert told(interfaces, excluded=eth0) == {}
    ip(netns, "link set eth0 name eth9")
    assert told(interfaces, excluded=eth0) == {"eth9": {ONE, TWO}}


def test_it_is_told_whether_an_interface_is_operational(netns, interfaces):
    ip(netns, "link add eth0 type veth peer name xeth0", "link set eth0 up")

    def is_up():
        return {n: i and i.is_up for n, i in interfaces.take(("cali",)).items() if n == "eth0"}

    assert is_up() == {"eth0": False}
    ip(netns, "link set xeth0 up")
    assert is_up() == {"eth0": True}
    ip(netns, "link set xeth0 down")
    assert is_up() == {"eth0": False}
    ip(netns, "link set xeth0 up")
    assert is_up() == {"eth0": True}
    ip(netns, "link del eth0")
    assert is_up() == {"eth0": None}


def test_after_lost_notifications_everything_is_read_anew(netns, interfaces, caplog):
    ip(netns, "link add eth0 type veth peer name xeth0", "address add 192.0.2.1/24 dev eth0")
    told(interfaces)
    flood = "address add 192.0.2.2/24 dev eth0\naddress del 192.0.2.2/24 dev eth0\n" * 20_000
    netns.run(["ip", "-batch", "-"], stdin=flood + "address add 192.0.2.2/24 dev eth0\n")
    assert told(interfaces) == {"eth0": {ONE, TWO}}
    assert "lost notifications" in caplog.text
