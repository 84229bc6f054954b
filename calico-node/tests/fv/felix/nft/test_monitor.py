"""The monitor tells what others did to our table, and nothing else."""

import os

import pytest

from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.monitor import Monitor
from calico_node.felix.nft.operations import AddElements, DestroyTable
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.testing.contract import BASE, LAST_NET
from libcalico.errors import OverrunError

pytestmark = pytest.mark.root

MANY = [i.to_bytes(4, "big") for i in range(20_000)]


@pytest.fixture
def monitor(netns, kernel):
    with netns.call(lambda: Monitor("t", [kernel.port])) as monitor:
        yield monitor


@pytest.fixture
def stranger(netns):
    with netns.call(Nftables) as stranger:
        yield stranger


def test_our_own_commits_are_not_told(monitor, kernel):
    kernel.commit(replace_table(BASE))
    kernel.commit([AddElements("t", "nets", [LAST_NET], interval=True, owner="")])
    assert monitor.read() == []


def test_a_foreign_flush_is_told_with_its_author(netns, monitor, kernel):
    kernel.commit(replace_table(BASE))
    netns.run(["nft", "flush", "ruleset"])
    (commit,) = monitor.read()
    assert commit.generation.process == "nft"
    assert commit.generation.number == kernel.generation()
    told = {(change.verb, change.name) for change in commit.changes}
    assert {("delrule", "first"), ("delset", "hosts"), ("deltable", "")} <= told
    assert monitor.read() == []


def test_a_foreign_element_is_told_with_its_set(netns, monitor, kernel):
    kernel.commit(replace_table(BASE))
    netns.run(["nft", "add", "element", "inet", "t", "hosts", "{ 10.0.0.3 }"])
    (commit,) = monitor.read()
    assert [(c.verb, c.table, c.name) for c in commit.changes] == [("newsetelem", "t", "hosts")]


def test_other_tables_are_not_ours(netns, monitor, kernel):
    kernel.commit(replace_table(BASE))
    netns.run(["nft", "add table inet other; add table ip t; add chain ip t base"])
    assert monitor.read() == []


def test_another_socket_of_our_process_is_a_stranger_unless_named(netns, kernel, stranger):
    with netns.call(lambda: Monitor("t", [kernel.port, stranger.port])) as deaf:
        with netns.call(lambda: Monitor("t", [kernel.port])) as monitor:
            stranger.commit(replace_table(BASE))
            kernel.commit([DestroyTable("t")])
            (commit,) = monitor.read()
        assert commit.generation.process_id == os.getpid()
        assert deaf.read() == []


def test_lost_notifications_are_an_error_and_the_monitor_goes_on(netns, kernel, stranger):
    kernel.commit(replace_table(BASE))
    with netns.call(lambda: Monitor("t", [kernel.port], receive_bytes=4096)) as monitor:
        stranger.commit([AddElements("t", "unused", [bytes(12) + k for k in MANY], False, "")])
        with pytest.raises(OverrunError):
            monitor.read()
        _drain(monitor)
        stranger.commit([DestroyTable("t")])
        assert [commit.changes[-1].verb for commit in monitor.read()] == ["deltable"]


def test_our_own_large_commits_do_not_overrun(netns, kernel):
    with netns.call(lambda: Monitor("t", [kernel.port], receive_bytes=4096)) as monitor:
        kernel.commit(replace_table(BASE))
        kernel.commit([AddElements("t", "unused", [bytes(12) + k for k in MANY], False, "")])
        assert monitor.read() == []


def _drain(monitor):
    while True:
        try:
            monitor.read()
        except OverrunError:
            continue
        return
