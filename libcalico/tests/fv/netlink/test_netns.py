import errno
import os
import threading
from pathlib import Path

import pytest

from calico_test import records
from libcalico.errors import NetlinkError
from libcalico.netlink import links, netns, sysctl
from libcalico.netlink.netns import Netns, open_netns, run_in


def inode_here():
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_call_runs_inside_and_the_caller_stays_outside(near):
    before = inode_here()
    assert run_in(near.netns, inode_here) == os.fstat(near.netns.fileno()).st_ino != before
    assert run_in(near.name, inode_here) == run_in(f"/run/netns/{near.name}", inode_here)
    assert inode_here() == before
    assert "netns" not in {thread.name for thread in threading.enumerate()}


def test_what_a_call_raises_is_raised_to_the_caller(near):
    with pytest.raises(ZeroDivisionError):
        run_in(near.netns, lambda: 1 // 0)
    with pytest.raises(KeyboardInterrupt):
        run_in(near.netns, interrupted)


def interrupted():
    raise KeyboardInterrupt


def test_a_namespace_is_found_by_path_process_and_descriptor(near):
    child = near.harness.popen(["cat"], stdin=-1)
    try:
        with (
            open_netns(near.name) as by_name,
            open_netns(fd=near.netns.fileno()) as by_fd,
            open_netns(pid=child.pid) as by_pid,
            open_netns() as own,
        ):
            assert by_name.is_same(near.netns)
            assert by_fd.is_same(near.netns)
            assert by_fd.fileno() != near.netns.fileno()
            assert not own.is_same(near.netns)
            wait_until_inside(child.pid, near)
            assert by_pid.fileno() >= 0
    finally:
        child.communicate()
    near.netns.close()
    near.netns.close()


def wait_until_inside(pid, place):
    """nsenter enters a moment after it was started."""
    for _ in range(10_000):
        with open_netns(pid=pid) as now:
            if now.is_same(place.netns):
                return
    raise AssertionError(f"process {pid} never entered {place.name}")


@pytest.mark.parametrize(
    "where", [{"path": "no-such"}, {"path": "/no/such"}, {"pid": 2**22 + 1}, {"fd": 9999}]
)
def test_a_namespace_that_does_not_exist_is_named(where):
    (value,) = where.values()
    with pytest.raises(NetlinkError, match=str(value)) as caught:
        open_netns(**where)
    assert caught.value.errno == errno.ENOENT


def test_a_file_that_is_no_namespace_cannot_be_entered(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NetlinkError, match=f"cannot enter network namespace {file}") as caught:
        run_in(file, inode_here)
    assert caught.value.errno == errno.EINVAL


def test_a_socket_lives_in_its_namespace_and_works_from_any_thread(near):
    names = []
    thread = threading.Thread(target=lambda: names.extend(links.list_links(near.socket)))
    thread.start()
    thread.join()
    assert [link.name for link in names] == ["lo"]


@pytest.fixture
def name():
    name = records.unique_name("nl")
    yield name
    netns.delete(name)


def test_a_namespace_is_created_and_deleted(name):
    netns.create(name)
    with netns.socket_in(name) as socket:
        (loopback,) = links.list_links(socket)
        assert (loopback.name, loopback.is_up) == ("lo", False)
    with pytest.raises(NetlinkError) as caught:
        netns.create(name)
    assert caught.value.errno == errno.EEXIST
    netns.delete(name, missing_ok=False)
    assert not Path(netns.DIRECTORY, name).exists()
    netns.delete(name)
    with pytest.raises(NetlinkError) as caught:
        netns.delete(name, missing_ok=False)
    assert caught.value.errno == errno.ENOENT


def test_what_a_broken_run_left_is_deleted_too(name):
    Path(netns.DIRECTORY, name).touch()
    netns.delete(name, missing_ok=False)
    assert not Path(netns.DIRECTORY, name).exists()


@pytest.mark.parametrize("wrong", ["", ".", "..", "a/b", "/etc/passwd"])
def test_only_names_are_created_and_deleted(wrong):
    for verb in (netns.create, netns.delete):
        with pytest.raises(NetlinkError) as caught:
            verb(wrong)
        assert caught.value.errno == errno.EINVAL


def test_settings_are_written_in_the_namespace_and_only_if_they_differ(near, pair):
    links.change_link(near.socket, pair[0], links.Change(is_up=False))
    links.change_link(near.socket, pair[0], links.Change(name="cali.0"))
    key = sysctl.interface_key(4, "cali.0", "proxy_arp")
    wanted = {
        key: 1,
        "net/ipv4/ip_forward": "1",
        sysctl.neighbour_key(4, "cali.0", "proxy_delay"): 0,
    }
    outside = sysctl.read("net/ipv4/ip_forward")
    sysctl.apply({"net/ipv4/ip_forward": 0}, near.netns)
    changed = sysctl.apply(wanted, near.netns)
    assert changed[key] == ("0", "1")
    assert changed["net/ipv4/ip_forward"] == ("0", "1")
    assert sysctl.apply(wanted, near.name) == {}
    assert run_in(near.netns, lambda: sysctl.read(key)) == "1"
    assert near.harness.run(["cat", "/proc/sys/net/ipv4/conf/cali.0/proxy_arp"]).stdout == "1\n"
    assert sysctl.read("net/ipv4/ip_forward") == outside


def test_settings_of_several_numbers_are_compared_as_such(near):
    key = "net/ipv4/ip_local_port_range"
    sysctl.apply({key: "20000 30000"}, near.netns)
    assert sysctl.apply({key: "20000 30000"}, near.netns) == {}


@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("net/ipv4/conf/no-such/proxy_arp", 1, errno.ENOENT),
        ("net/ipv4/ip_forward", "yes", errno.EINVAL),
        ("net.ipv4.ip_forward", 1, errno.EINVAL),
        ("net/ipv4/../../../etc/passwd", 1, errno.EINVAL),
    ],
)
def test_a_setting_that_cannot_be_written_is_named(near, key, value, number):
    with pytest.raises(NetlinkError, match=key) as caught:
        sysctl.apply({key: value}, near.netns)
    assert caught.value.errno == number


def test_an_open_namespace_is_told_in_messages():
    with open_netns() as own:
        assert repr(own) == "Netns(own)"
        assert isinstance(own, Netns)
