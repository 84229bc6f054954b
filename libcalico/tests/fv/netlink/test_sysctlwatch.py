"""Settings that somebody writes are told, unless through a /proc of its own."""

import select

import pytest

from libcalico.errors import NetlinkError, OverrunError
from libcalico.netlink import links, netns
from libcalico.netlink.sysctl import interface_key, neighbour_key
from libcalico.netlink.sysctlwatch import SysctlWatch

DEADLINE_S = 10.0


@pytest.fixture
def watch():
    made = SysctlWatch()
    yield made
    made.close()


@pytest.fixture
def keys(near, pair):
    name = links.get_link(near.socket, pair[0]).name
    return (
        interface_key(4, name, "route_localnet"),
        neighbour_key(4, name, "proxy_delay"),
        interface_key(6, name, "accept_ra"),
    )


def follow(near, watch, keys):
    netns.run_in(near.netns, lambda: watch.follow(keys))


def write(near, key, value="1"):
    near.harness.run(["sh", "-c", f"echo {value} >/proc/sys/{key}"])


def told(watch):
    assert select.select([watch], [], [], DEADLINE_S)[0], "nothing was told"
    return watch.read()


def test_what_is_written_is_told(near, watch, keys):
    follow(near, watch, keys)
    for key in keys:
        write(near, key)
        assert told(watch) == {key}
    assert watch.read() == set()


def test_what_is_not_followed_any_more_is_not_told(near, watch, keys):
    follow(near, watch, keys)
    watch.forget(keys[:1])
    write(near, keys[0])
    write(near, keys[1])
    assert told(watch) == {keys[1]}


def test_an_interface_that_takes_the_place_of_another_is_followed(near, far, watch):
    key = interface_key(4, "cali7", "route_localnet")
    for _ in range(2):
        links.create_veth(near.socket, links.Veth("cali7", "eth7", far.netns.fileno()))
        follow(near, watch, [key])
        write(near, key)
        assert told(watch) == {key}
        links.delete_link(near.socket, "cali7")


def test_the_same_setting_of_another_namespace_is_another(near, far, pair, watch, keys):
    follow(near, watch, keys)
    far.harness.run(["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"])
    write(near, keys[0])
    assert told(watch) == {keys[0]}


def test_a_setting_that_does_not_exist_is_an_error(near, watch):
    with pytest.raises(NetlinkError, match="cannot watch sysctls net/ipv4/conf/nothing"):
        follow(near, watch, [interface_key(4, "nothing", "forwarding")])


def test_a_flood_is_an_overrun_and_then_news_come_again(near, watch, keys):
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        most = int(file.read())
    follow(near, watch, keys)
    alternately = (
        f"for i in $(seq {most}); do echo 1 >/proc/sys/{keys[0]}; echo 1 >/proc/sys/{keys[2]}; done"
    )
    near.harness.run(["sh", "-c", alternately])
    with pytest.raises(OverrunError):
        read_all(watch)
    read_all(watch)
    write(near, keys[1])
    assert told(watch) == {keys[1]}


def read_all(watch):
    while watch.read():
        pass
