"""Routes between two hosts with Docker: the mesh, peers of all nodes and of one, reflectors.

Source: python-era-calico reference, section 9.1 (``bgp/``); the reflectors are calico-nodes.
"""

import os

import pytest

from calico_test import processes

DEADLINE_S = 30.0
AS_NUMBER = 64512
full = pytest.mark.skipif(
    os.environ.get("CALICO_TEST_FULL") != "1", reason="takes long: with make st-full"
)


@pytest.fixture
def connect(pair):
    """Start both nodes with these options each, and a container on each."""

    def start(*options):
        for node, own in zip(pair, options or ([], []), strict=True):
            node.start("--libnetwork", *own)
            node.create_network("net1")
        return [node.join(f"on-{node.host.name}", "net1") for node in pair]

    return start


def configure(node, **spec):
    node.apply("BGPConfiguration", "default", spec)


def peer(at, name, **spec):
    at.apply("BGPPeer", name, {"asNumber": AS_NUMBER, **spec})


def peers_of(node):
    """Return address → (type, info) as the status shows it."""
    shown = node.calicoctl("node", "status").stdout
    rows = [line.strip("|").split("|") for line in shown.splitlines() if line.startswith("| ")]
    return {row[0].strip(): (row[1].strip(), row[4].strip()) for row in rows[1:]}


def sees(node, address, kind):
    processes.wait_until(
        lambda: peers_of(node).get(address) == (kind, "Established"),
        f"{node.host.name}: {kind} peer {address}",
        deadline_s=DEADLINE_S,
    )


def address_of(node):
    return node.host.addresses[0]


@full
def test_an_as_number_of_the_cluster_and_of_a_node(pair, connect, all_reach_each_other):
    one, two = pair
    configure(one, asNumber="4294.566")
    all_reach_each_other(*connect([], ["--as=4294.566"]))
    for node, other in ((one, two), (two, one)):
        sees(node, address_of(other), "node-to-node mesh")
    shown = one.calicoctl("get", "node", two.host.name, "-o", "wide").stdout
    assert str((4294 << 16) + 566) in shown


def test_peers_of_all_nodes_replace_the_mesh(
    pair, connect, all_reach_each_other, none_reach_each_other
):
    one, two = pair
    ends = connect()
    all_reach_each_other(*ends)
    configure(one, nodeToNodeMeshEnabled=False)
    none_reach_each_other(*ends)
    for node in pair:
        peer(one, f"global-{node.host.name}", peerIP=address_of(node))
    all_reach_each_other(*ends)
    for node, other in ((one, two), (two, one)):
        sees(node, address_of(other), "global")
    one.calicoctl("delete", "bgppeer", f"global-{one.host.name}", f"global-{two.host.name}")
    none_reach_each_other(*ends)
    configure(one, nodeToNodeMeshEnabled=True)
    all_reach_each_other(*ends)


def test_peers_of_one_node_each(pair, connect, all_reach_each_other, none_reach_each_other):
    one, two = pair
    configure(one, nodeToNodeMeshEnabled=False)
    ends = connect()
    none_reach_each_other(*ends)
    for node, other in ((one, two), (two, one)):
        name = f"peer-of-{node.host.name}"
        peer(one, name, node=node.host.name, peerIP=address_of(other))
    all_reach_each_other(*ends)
    for node, other in ((one, two), (two, one)):
        sees(node, address_of(other), "node specific")


def test_one_reflector(pair, reflectors, connect, all_reach_each_other, none_reach_each_other):
    one, _ = pair
    configure(one, nodeToNodeMeshEnabled=False, asNumber=AS_NUMBER)
    ends = connect()
    reflector = reflectors[0]
    reflector.start("244.0.0.1")
    none_reach_each_other(*ends)
    peer(one, "reflector", peerIP=reflector.host.addresses[0])
    for node in pair:  # the reflector's own side of the sessions
        name = f"client-{node.host.name}"
        peer(one, name, node=reflector.host.name, peerIP=address_of(node))
    all_reach_each_other(*ends)
    for node in pair:
        sees(node, reflector.host.addresses[0], "global")
        assert len(peers_of(node)) == 1


@full
def test_clusters_of_reflectors(
    pair, reflectors, connect, all_reach_each_other, none_reach_each_other
):
    """Each host has a reflector of its own; reflectors tell each other."""
    one, _ = pair
    configure(one, nodeToNodeMeshEnabled=False)
    ends = connect()
    for number, (node, reflector) in enumerate(zip(pair, reflectors, strict=True), 1):
        reflector.start(f"244.0.0.{number}")
        upwards = {"peerSelector": f"reflector == '{reflector.host.name}'"}
        one.apply("BGPPeer", f"up-{number}", {"node": node.host.name, **upwards})
    none_reach_each_other(*ends)
    between = {"nodeSelector": "has(reflector)", "peerSelector": "has(reflector)"}
    one.apply("BGPPeer", "between", between)
    all_reach_each_other(*ends)
    for node, reflector in zip(pair, reflectors, strict=True):
        sees(node, reflector.host.addresses[0], "node specific")
        assert len(peers_of(node)) == 1
