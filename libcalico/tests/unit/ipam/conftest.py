from __future__ import annotations

import pytest

from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.ipam import IpamClient
from libcalico.resources import codec

RESOURCES = "/calico/resources/v3/projectcalico.org"


class Cluster:
    """A store in memory with pools and nodes, and clients of hosts."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.backend = MemoryBackend(self.store)
        self.now_ns = 1_767_323_045_000_000_000

    def client(self) -> IpamClient:
        """Return a client as a fresh process has it: nothing remembered."""
        return IpamClient(self.backend, pause=lambda attempt: None, now_ns=lambda: self.now_ns)

    def pool(self, name: str, cidr: str, status: object = None, **spec: object) -> None:
        document = {
            "kind": "IPPool",
            "metadata": {"name": name},
            "spec": {"cidr": cidr} | spec,
            "status": status,
        }
        self.backend.put(f"{RESOURCES}/ippools/{name}", codec.encode(codec.decode(document)))

    def node(self, name: str, **labels: str) -> None:
        document = {"kind": "Node", "metadata": {"name": name, "labels": labels}}
        self.backend.put(f"{RESOURCES}/nodes/{name}", codec.encode(codec.decode(document)))

    def reserve(self, *cidrs: str) -> None:
        value = codec.encode_json({"kind": "IPReservation", "spec": {"reservedCIDRs": list(cidrs)}})
        self.backend.put(f"{RESOURCES}/ipreservations/r", value)

    def stored(self) -> dict[str, str]:
        """Return what IPAM stored, key below its root → text."""
        root = "/calico/ipam/v2/"
        items = self.backend.read(root).items
        return {item.key.removeprefix(root): item.value.decode() for item in items}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()
