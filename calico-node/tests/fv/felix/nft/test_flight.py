"""Packets that are on their way while the table changes: none is dropped that old and new rules both pass."""

import contextlib
import multiprocessing
import socket

import pytest

from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import (
    ACCEPT,
    BaseHook,
    Chain,
    Field,
    Rule,
    VerdictLookup,
    VerdictMap,
    goto,
    table,
)
from calico_node.felix.nft.plan import diff, replace_table
from calico_node.felix.nft.rebuild import rebuild
from calico_node.felix.nft.stages import stages
from calico_test.processes import wait_until

pytestmark = pytest.mark.root

LOOPBACK = KeyType.IFNAME.pack("lo")
ROUNDS = 2000


def accepting(name):
    """A table that passes what goes through one chain, to which a map leads, and drops everything else."""
    lookup = Rule((VerdictLookup(Field.OIFNAME, "dispatch"),))
    base = Chain("out", (lookup,), BaseHook("filter", "output", 0, "drop"))
    dispatch = VerdictMap("dispatch", (KeyType.IFNAME,), {LOOPBACK: goto(name)})
    return table("t", [base, Chain(name, (Rule((ACCEPT,)),))], maps=[dispatch])


@pytest.fixture
def flood(netns):
    """A context in which another process sends without a pause; it gives how many were sent and dropped."""

    @contextlib.contextmanager
    def run():
        sock = netns.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        processes = multiprocessing.get_context("fork")
        counted, is_over = processes.Array("L", [0, 0]), processes.Event()
        sender = processes.Process(target=_send, args=(sock, counted, is_over))
        sender.start()
        try:
            wait_until(lambda: counted[0], "packets are sent", deadline_s=10)
            yield counted
        finally:
            is_over.set()
            sender.join()
            sock.close()

    return run


def _send(sock, counted, is_over):
    while not is_over.is_set():
        try:
            sock.sendto(b"hello", ("127.0.0.1", 9))
        except PermissionError:
            counted[1] += 1
        except ConnectionRefusedError:  # nobody listens: told by the one before
            pass
        counted[0] += 1


def test_a_rebuilt_table_drops_nothing(kernel, flood):
    wanted = accepting("chain")
    kernel.commit(replace_table(wanted))
    with flood() as counted:
        for _ in range(ROUNDS):
            for batch in rebuild(kernel.skeleton("t"), wanted):
                kernel.commit(batch)
    assert counted[0] > ROUNDS
    assert counted[1] == 0


def test_a_map_that_leads_to_a_new_chain_drops_nothing(kernel, flood):
    now, then = accepting("one"), accepting("other")
    kernel.commit(replace_table(now))
    with flood() as counted:
        for _ in range(ROUNDS):
            for batch in stages("t", diff(now, then)):
                kernel.commit(batch)
            now, then = then, now
    assert counted[0] > ROUNDS
    assert counted[1] == 0
