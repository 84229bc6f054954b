"""An isolator on a datastore in memory, with two nodes and a pool of each family."""

from __future__ import annotations

import pytest

from calico_mesos.apply import Isolator
from calico_mesos.plan import Place
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.ipam import IpamClient
from libcalico.testing.builders import a_node, a_pool
from libcalico.workload import Workloads


@pytest.fixture
def workloads():
    backend = MemoryBackend()
    ipam = IpamClient(backend, pause=lambda attempt: None)
    client = Client(backend, addresses=ipam)
    client.nodes.create(a_node(name="node-1"))
    client.ippools.create(a_pool(name="four", cidr="10.65.0.0/29", block_size=29))
    client.ippools.create(a_pool(name="six", cidr="fd00:65::/125", block_size=125))
    return Workloads(client, ipam)


@pytest.fixture
def isolator(workloads):
    return Isolator(workloads, Place("node-1"))
