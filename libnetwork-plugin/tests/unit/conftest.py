"""The plugin on a store in memory, beside a Docker that is a few dictionaries, without a kernel."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import NetlinkError, UnavailableError
from libcalico.net.addresses import Cidr
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.workload.model import Attachment
from libnetwork_plugin.docker_api import Event, Network
from libnetwork_plugin.network_driver import Scope
from libnetwork_plugin.plugin import Settings, assemble

NET = "db50" * 16


class DockerInMemory:
    """Docker's API as the port :class:`~libnetwork_plugin.docker_api.Docker` has it."""

    def __init__(self) -> None:
        self.known: dict[str, Network] = {}
        self.container_labels: dict[str, Mapping[str, str]] = {}
        self.queue: queue.Queue[Event | None] = queue.Queue()
        self.is_down = False
        self.connections = 0

    def connect(self) -> DockerInMemory:
        if self.is_down:
            raise UnavailableError("Docker's API at unix:///d.sock: nobody there")
        self.connections += 1
        self.queue = queue.Queue()
        return self

    def put(self, network_id: str, name: str, **containers: str) -> None:
        """Have a network with containers given as endpoint id = container id."""
        self.known[network_id] = Network(id=network_id, name=name, containers=containers)

    def networks(self, driver: str) -> Sequence[Network]:
        return list(self.known.values())

    def network(self, network_id: str) -> Network | None:
        return self.known.get(network_id)

    def labels(self, container_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        return {c: self.container_labels.get(c, {}) for c in container_ids}

    @contextmanager
    def events(self, driver: str) -> Iterator[Iterator[Event]]:
        yield iter(self.queue.get, None)

    def close(self) -> None:
        self.queue.put(None)


class InterfacesInMemory:
    """The host's interfaces as the port :class:`~libnetwork_plugin.interface.Interfaces` has them."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, bytes, int, list[str]]] = {}
        self.in_containers: set[str] = set()
        self.is_refusing = False

    def make(self, attachment: Attachment, mac: bytes, cidrs: Sequence[Cidr]) -> None:
        if self.is_refusing:
            raise NetlinkError("cannot make it: no", 1)
        made = (attachment.interface, mac, attachment.mtu, [str(cidr) for cidr in cidrs])
        self.made[attachment.host_interface] = made

    def remove(self, host_end: str) -> None:
        self.made.pop(host_end, None)

    def is_in_use(self, host_end: str) -> bool:
        return host_end in self.in_containers


class Plugin:
    """The plugin of one host, and what is around it."""

    def __init__(
        self, node: str = "host-1", store: MemoryStore | None = None, scope: Scope = "local"
    ) -> None:
        self.store = store or MemoryStore()
        self.backend = MemoryBackend(self.store)
        self.client = Client(self.backend)
        self.docker, self.interfaces = DockerInMemory(), InterfacesInMemory()
        settings = Settings(
            socket=Path("/run/docker/plugins/calico.sock"),
            docker_url="unix:///d.sock",
            namespace="libnetwork",
            scope=scope,
            node=node,
            mtu=1450,
            interface_prefix="cali",
        )
        self.app, self.completion = assemble(
            settings, self.backend, self.docker.connect, self.interfaces
        )
        self.http = self.app.test_client()

    def post(self, method: str, body: Any = None) -> tuple[int, Any]:
        """Call as Docker does: no content type, nothing at all for nothing."""
        data = b"" if body is None else json.dumps(body).encode()
        reply = self.http.post(f"/{method}", data=data)
        return reply.status_code, json.loads(reply.data)

    def call(self, method: str, body: Any = None) -> Any:
        status, reply = self.post(method, body)
        assert status == 200, reply
        return reply

    def refused(self, method: str, body: Any = None) -> str:
        status, reply = self.post(method, body)
        assert status >= 400, reply
        assert set(reply) == {"Err"}
        return str(reply["Err"])

    def announce(self, action: str, network: str = NET) -> None:
        """Have Docker announce something about a network."""
        self.docker.queue.put(Event(action, network))

    def pool(self, name: str, cidr: str, **spec: Any) -> None:
        metadata = ObjectMeta(name=name)
        self.client.ippools.create(IPPool(metadata=metadata, spec=IPPoolSpec(cidr=cidr, **spec)))

    def address(self, pool: str = "CalicoPoolIPv4", address: str = "") -> str:
        body = {"PoolID": pool, "Address": address, "Options": None}
        return str(self.call("IpamDriver.RequestAddress", body)["Address"])

    def release(self, address: str, pool: str = "CalicoPoolIPv4") -> None:
        self.call("IpamDriver.ReleaseAddress", {"PoolID": pool, "Address": address})

    def create_endpoint(self, endpoint: str, network: str = NET, address: str = "") -> str:
        """Do what Docker does before a container joins; return its address with length."""
        given = address or self.address()
        interface = {"Address": given, "AddressIPv6": "", "MacAddress": ""}
        body = {"NetworkID": network, "EndpointID": endpoint, "Interface": interface, "Options": {}}
        self.call("NetworkDriver.CreateEndpoint", body)
        return given

    def join(self, endpoint: str, network: str = NET, sandbox: str = "c919") -> Any:
        path = f"/run/docker/netns/{sandbox}"
        body = {"NetworkID": network, "EndpointID": endpoint, "SandboxKey": path, "Options": {}}
        return self.call("NetworkDriver.Join", body)

    def endpoints(self) -> dict[str, Any]:
        """Endpoint id → endpoint, as stored."""
        return {e.spec.endpoint: e for e in self.client.workloadendpoints.list()}

    def assigned(self) -> int:
        return len(self.backend.read("/calico/ipam/v2/handle/").items)


@pytest.fixture
def start() -> Iterator[Callable[[Plugin], Plugin]]:
    """Let a plugin follow its Docker until the test has ended."""
    with ExitStack() as stack:

        def following(plugin: Plugin) -> Plugin:
            thread = threading.Thread(target=plugin.completion.run)
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(plugin.completion.stop)
            plugin.completion.require()
            return plugin

        yield following


@pytest.fixture(scope="module")
def shared_plugin() -> Iterator[Plugin]:
    """A plugin for many random conversations."""
    made = Plugin()
    made.pool("four", "10.65.0.0/16")
    made.pool("six", "fd00:65::/112")
    thread = threading.Thread(target=made.completion.run)
    thread.start()
    made.completion.require()
    yield made
    made.completion.stop()
    thread.join(10)


@pytest.fixture
def plugin(start: Callable[[Plugin], Plugin]) -> Plugin:
    """A plugin with one pool of each family, which follows its Docker."""
    made = Plugin()
    made.pool("four", "10.65.0.0/16")
    made.pool("six", "fd00:65::/112")
    return start(made)


@pytest.fixture
def second(plugin: Plugin, start: Callable[[Plugin], Plugin]) -> Plugin:
    """The plugin of another host, on the same store."""
    return start(Plugin("host-2", plugin.store))


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a condition holds; return what it returned."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 10
        while not (found := condition()):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        return found

    return wait


@pytest.fixture
def make_plugin() -> type[Plugin]:
    """Make plugins that follow no Docker."""
    return Plugin
