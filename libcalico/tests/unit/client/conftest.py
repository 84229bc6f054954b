import pytest

from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.resources.endpoints import WorkloadEndpoint


class Addresses:
    """IPAM's side of deletions: remembers what it was asked, in order."""

    def __init__(self):
        self.asked = []

    def release_pool_affinities(self, cidr: str) -> None:
        self.asked.append(("pool", cidr))

    def release_endpoint(self, endpoint: WorkloadEndpoint) -> None:
        self.asked.append(("endpoint", endpoint.name))

    def release_host(self, host: str) -> None:
        self.asked.append(("host", host))


@pytest.fixture
def backend():
    with MemoryBackend(MemoryStore()) as opened:
        yield opened


@pytest.fixture
def client(backend):
    """A client of an initialised cluster, without IPAM."""
    client = Client(backend)
    client.ensure_initialized()
    return client


@pytest.fixture
def addresses():
    return Addresses()
