import pytest

from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import ConflictError, NotFoundError, UnsupportedOperationError
from libcalico.resources.model import ResourceId
from libcalico.testing import builders as a


def test_the_first_node_initialises_the_cluster(backend):
    client = Client(backend)
    client.nodes.create(a.a_node())
    assert client.clusterinformations.get("default").spec.datastore_ready is True
    assert [tier.name for tier in client.tiers.list()] == ["default", "kube-admin", "kube-baseline"]


def populate(client):
    client.nodes.create(a.a_node(name="node-1"))
    client.nodes.create(a.a_node(name="node-2"))
    for node in ("node-1", "node-2"):
        client.workloadendpoints.create(a.an_endpoint(node=node))
        client.workloadendpoints.create(a.an_endpoint(node=node, namespace="blue"))
        client.bgppeers.create(a.a_bgp_peer(name=f"peer-{node}", node=node))
        client.hostendpoints.create(a.a_host_endpoint(name=f"{node}-eth0", node=node))
        client.felixconfigurations.create(a.a_felix_configuration(name=f"node.{node}"))
        client.bgpconfigurations.create(a.a_bgp_configuration(name=f"node.{node}"))
    client.bgppeers.create(a.a_bgp_peer(name="global"))


def test_all_that_hangs_on_a_node_goes_with_it(backend, addresses):
    client = Client(backend, addresses)
    populate(client)
    client.nodes.delete("node-1")
    assert [node.name for node in client.nodes.list()] == ["node-2"]
    assert {endpoint.spec.node for endpoint in client.workloadendpoints.list()} == {"node-2"}
    assert [peer.name for peer in client.bgppeers.list()] == ["global", "peer-node-2"]
    assert [endpoint.name for endpoint in client.hostendpoints.list()] == ["node-2-eth0"]
    assert [config.name for config in client.felixconfigurations.list()] == ["node.node-2"]
    assert [config.name for config in client.bgpconfigurations.list()] == ["node.node-2"]
    endpoint = ("endpoint", "node--1-cni-abc123-eth0")
    assert addresses.asked == [endpoint, endpoint, ("host", "node-1")]


def test_a_node_with_nothing_can_be_deleted_without_ipam(client):
    client.nodes.create(a.a_node())
    client.nodes.delete("node-1")
    with pytest.raises(NotFoundError):
        client.nodes.delete("node-1")


def test_what_a_node_left_goes_though_the_node_is_gone(backend, addresses):
    client = Client(backend, addresses)
    populate(client)
    backend.delete(keys.path_of(ResourceId("Node", "", "node-1")))
    with pytest.raises(NotFoundError, match=r"Node\(node-1\)"):
        client.nodes.delete("node-1", resource_version="1")
    assert len(client.workloadendpoints.list()) == 4, "nothing was asked for but that version"
    with pytest.raises(NotFoundError, match=r"Node\(node-1\)"):
        client.nodes.delete("node-1")
    assert {endpoint.spec.node for endpoint in client.workloadendpoints.list()} == {"node-2"}
    assert [peer.name for peer in client.bgppeers.list()] == ["global", "peer-node-2"]
    assert ("host", "node-1") in addresses.asked


def test_a_node_that_cannot_be_read_can_be_deleted(client, backend):
    populate(client)
    backend.put(keys.path_of(ResourceId("Node", "", "node-1")), b'{"spec":7}')
    client.nodes.delete("node-1")
    assert {endpoint.spec.node for endpoint in client.workloadendpoints.list()} == {"node-2"}
    assert backend.get(keys.path_of(ResourceId("Node", "", "node-1"))) is None


def test_without_ipam_a_node_with_affinities_stays_whole(client, backend):
    populate(client)
    backend.put(keys.path_of(keys.AffinityKey("node-1", "10.65.0.0/26")), b"{}")
    with pytest.raises(UnsupportedOperationError, match="this client has no IPAM"):
        client.nodes.delete("node-1")
    assert len(client.workloadendpoints.list()) == 4


def test_a_node_changed_since_stays_whole(client):
    populate(client)
    node = client.nodes.get("node-1")
    client.nodes.update(node.with_(metadata=node.metadata.with_(labels={"a": "b"})))
    with pytest.raises(ConflictError):
        client.nodes.delete("node-1", resource_version=node.metadata.resource_version)
    assert len(client.workloadendpoints.list()) == 4


def test_initialisation_is_idempotent_and_completes_what_is_there(backend):
    client = Client(backend)
    client.ensure_initialized()
    first = client.clusterinformations.get("default")
    assert len(first.spec.cluster_guid) == 32
    assert (first.spec.calico_version, first.spec.cluster_type) == ("", "")
    client.ensure_initialized("v3.32.1", "bgp,k8s")
    client.ensure_initialized("", "bgp,mesos")
    second = client.clusterinformations.get("default")
    assert second.spec == first.spec.with_(calico_version="v3.32.1", cluster_type="bgp,k8s,mesos")
    client.ensure_initialized("v3.32.1", "k8s")
    assert client.clusterinformations.get("default") == second


def test_a_locked_datastore_stays_locked():
    with MemoryBackend(MemoryStore()) as backend:
        client = Client(backend)
        client.clusterinformations.create(a.a_cluster_information(datastore_ready=False))
        client.ensure_initialized("v3.32.1")
        assert client.clusterinformations.get("default").spec.datastore_ready is False
