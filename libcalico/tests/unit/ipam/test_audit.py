"""What an inspection of IPAM is told."""

import pytest

from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.testing.builders import a_node, a_pool


@pytest.fixture
def backend():
    backend = MemoryBackend()
    client = Client(backend)
    client.ippools.create(a_pool(cidr="10.65.0.0/29", block_size=30))
    for name in ("n1", "n2"):
        client.nodes.create(a_node(name=name))
    return backend


def assign(backend, host, number, handle):
    request = AssignRequest(host=host, num4=number, handle=handle, attributes={"node": host})
    return [found.address for found in IpamClient(backend).auto_assign(request).ipv4]


def test_every_allocation_is_told_with_its_owner(backend):
    mine = assign(backend, "n1", 2, "a")
    audit = IpamClient(backend).audit()
    assert sorted(allocation.address for allocation in audit.allocations) == sorted(mine)
    assert {a.handle for a in audit.allocations} == {"a"}
    assert {a.node for a in audit.allocations} == {"n1"}
    assert not any(a.borrowed for a in audit.allocations)
    assert (audit.handles, audit.unstored, audit.problems) == ({"a": True}, [], [])
    assert [owner for _, owner in audit.blocks] == ["host:n1"]


def test_borrowed_addresses_are_marked(backend):
    assign(backend, "n1", 4, "a")
    assign(backend, "n2", 4, "b")
    IpamClient(backend).release_by_handle("b")
    borrowed = assign(backend, "n1", 1, "c")
    audit = IpamClient(backend).audit()
    assert [a.address for a in audit.allocations if a.borrowed] == borrowed


def test_handles_and_allocations_that_do_not_match_are_told(backend):
    assign(backend, "n1", 1, "a")
    backend.delete(keys.HANDLES + "a")
    backend.put(keys.HANDLES + "idle", b'{"block":{"10.65.0.0/30":1},"deleted":false}')
    audit = IpamClient(backend).audit()
    assert (audit.handles, audit.unstored) == ({"idle": False}, ["a"])
    assert len(audit.problems) == 2
