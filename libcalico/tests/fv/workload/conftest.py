"""A host and workloads as bare network namespaces, and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_test.netns import NetNs
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import UnavailableError
from libcalico.ipam import IpamClient
from libcalico.netlink.netns import Netns, open_netns
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.workload import AddressRequest, Attachment, Identity, Workloads


class Site:
    """One host; everything of the library is called inside its namespace."""

    def __init__(self, host: NetNs, status_directory: Path) -> None:
        self.host = host
        self.status_directory = status_directory
        self.store = MemoryStore()
        self.backend = MemoryBackend(self.store)
        self.ipam = IpamClient(self.backend)
        self.client = Client(self.backend, addresses=self.ipam)
        self.workloads = Workloads(self.client, self.ipam, status_directory)
        for name, cidr in (("four", "10.65.0.0/24"), ("six", "fd00:65::/112")):
            spec = IPPoolSpec(cidr=cidr)
            self.client.ippools.create(IPPool(metadata=ObjectMeta(name=name), spec=spec))

    def call(self, function: Callable[[], Any]) -> Any:
        return self.host.call(function)

    def links(self, namespace: NetNs | None = None) -> dict[str, Any]:
        """Interface name → what ``ip`` says of it."""
        text = (namespace or self.host).run(["ip", "-json", "-details", "address"]).stdout
        return {link["ifname"]: link for link in json.loads(text)}

    def ipam_keys(self) -> list[str]:
        return [
            item.key
            for item in self.backend.read("/calico/ipam/v2/").items
            if "/handle/" in item.key
        ]

    def is_clean(self) -> bool:
        """Whether no trace of any workload is left."""
        endpoints = self.client.workloadendpoints.list()
        return not endpoints and not self.ipam_keys() and set(self.links()) == {"lo"}


@pytest.fixture
def site(netns: NetNs, tmp_path: Path) -> Site:
    return Site(netns, tmp_path)


@pytest.fixture
def container(_root: None) -> Iterator[NetNs]:
    with NetNs() as namespace:
        yield namespace


@pytest.fixture
def inside(container: NetNs) -> Iterator[Netns]:
    with open_netns(container.path) as opened:
        yield opened


class Fails:
    """A store that fails at the ``after``-th access: odd ones before they take effect, even ones after.

    With ``for_good`` it fails at all that follow, too.
    """

    def __init__(self, backend: Any, after: int, *, for_good: bool = False) -> None:
        self._backend, self._after, self._count = backend, after, 0
        self._for_good = for_good

    def __getattr__(self, name: str) -> Any:
        access = getattr(self._backend, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._count += 1
            gone = self._for_good and self._count > self._after
            if gone or (self._count == self._after and self._after % 2):
                raise UnavailableError("lost before")
            result = access(*args, **kwargs)
            if self._count == self._after:
                raise UnavailableError("lost after")
            return result

        return call


def an_attachment(container_id: str = "0123456789abcdef", **fields: Any) -> Attachment:
    identity = Identity(
        node="host-1",
        orchestrator="cni",
        namespace="default",
        container_id=container_id,
        endpoint="eth0",
    )
    defaults = {"host_interface": f"cali{container_id[:11]}", "interface": "eth0"}
    return Attachment(identity=identity, **(defaults | fields))


def addresses(container_id: str = "0123456789abcdef", **fields: Any) -> AddressRequest:
    return AddressRequest(handle=f"net.{container_id}", **({"num4": 1, "num6": 1} | fields))


@pytest.fixture
def attachment() -> Callable[..., Attachment]:
    return an_attachment


@pytest.fixture
def wanted() -> Callable[..., AddressRequest]:
    return addresses


@pytest.fixture
def fails() -> type[Fails]:
    return Fails
