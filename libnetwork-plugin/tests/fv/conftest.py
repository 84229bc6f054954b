"""The installed plugin on a host of its own, with a real etcd and kernel; the tests speak as Docker does."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from calico_test.etcd import Etcd
from calico_test.netns import NetNs

BIN = Path(sys.executable).parent
RESOURCES = "/calico/resources/v3/projectcalico.org"
DEADLINE_S = 30.0


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Return what the condition returns as soon as that is true."""
    deadline = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a unix socket, with the empty host name that Docker sends."""

    def __init__(self, path: Path) -> None:
        super().__init__("", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class DockerStub(socketserver.ThreadingUnixStreamServer):
    """Docker's API for networks, containers and events, of what a test puts into it."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _DockerHandler)
        self.networks: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, dict[str, str]] = {}
        self._listeners: list[Any] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, network_id: str, name: str, **containers: str) -> None:
        members = {c: {"EndpointID": e} for e, c in containers.items()}
        self.networks[network_id] = {
            "Id": network_id,
            "Name": name,
            "Driver": "calico",
            "IPAM": {"Config": []},
            "Containers": members,
        }

    def listen(self, stream: Any) -> None:
        self._listeners.append(stream)

    def announce(self, action: str, network_id: str) -> None:
        attributes = {"type": "calico"}
        actor = {"ID": network_id, "Attributes": attributes}
        line = json.dumps({"Type": "network", "Action": action, "Actor": actor}) + "\n"
        for stream in self._listeners:
            stream.write(f"{len(line):x}\r\n{line}\r\n".encode())
            stream.flush()

    def hang_up(self, stream: Any) -> None:
        self._listeners.remove(stream)


class _DockerHandler(BaseHTTPRequestHandler):
    server: DockerStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/v1.41")
        if path == "/version":
            self._reply({"ApiVersion": "1.41", "MinAPIVersion": "1.12"})
        elif path == "/networks":
            self._reply(list(self.server.networks.values()))
        elif path.startswith("/networks/"):
            found = self.server.networks.get(path.rpartition("/")[2])
            self._reply(found or {"message": "no such network"}, 200 if found else 404)
        elif path == "/containers/json":
            labels = self.server.containers.items()
            self._reply([{"Id": container, "Labels": found} for container, found in labels])
        elif path == "/events":
            self._stream()

    def _reply(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.server.listen(self.wfile)
        self.connection.recv(1)  # until the plugin goes
        self.server.hang_up(self.wfile)

    def log_message(self, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Machine:
    """One host with the plugin."""

    def __init__(self, host: NetNs, etcd: Etcd, folder: Path) -> None:
        self.host, self.etcd, self.folder = host, etcd, folder
        self.socket = folder / "plugins" / "calico.sock"
        self.log = folder / "plugin.log"
        self.docker = DockerStub(folder / "docker.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self._make_uplink()
        self.empty()

    def _make_uplink(self) -> None:
        """Give the host addresses and, without which it answers no ARP for others, a default route."""
        commands = [
            "link add uplink type veth peer name fabric",
            "link set fabric up",
            "link set uplink up",
            "address add 10.99.0.1/24 dev uplink",
            "address add fd99::1/64 dev uplink nodad",
            "route add default via 10.99.0.254",
        ]
        self.host.run(["ip", "-batch", "-"], stdin="\n".join(commands))

    def empty(self) -> None:
        self.etcd.clear()
        for name in self.links():
            self.host.run(["ip", "link", "delete", name], check=False)
        self.docker.networks.clear()
        self.pool("four", "10.65.0.0/16")
        self.pool("six", "fd00:65::/112")

    def pool(self, name: str, cidr: str) -> None:
        metadata = {"name": name, "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
        pool = {"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": metadata}
        self.etcd.put(f"{RESOURCES}/ippools/{name}", json.dumps(pool | {"spec": {"cidr": cidr}}))

    def spawn(self) -> subprocess.Popen[bytes]:
        environ = os.environ | {"ETCD_ENDPOINTS": self.etcd.endpoint, "NODENAME": "host-1"}
        command = [str(BIN / "libnetwork-plugin"), "serve", "--socket", str(self.socket)]
        command += ["--docker", f"unix://{self.folder / 'docker.sock'}", "--log-level=debug"]
        with self.log.open("ab") as log:
            return self.host.popen(command, env=environ, stdout=log, stderr=log)

    def start(self) -> None:
        self.process = self.spawn()
        until(lambda: self._answers() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self.process = None
        return status

    def post(self, method: str, body: Any = None) -> tuple[int, Any]:
        connection = UnixConnection(self.socket)
        try:
            data = b"" if body is None else json.dumps(body).encode()
            accept = {"Accept": "application/vnd.docker.plugins.v1.2+json", "Host": ""}
            connection.request("POST", f"/{method}", data, accept)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def call(self, method: str, body: Any = None) -> Any:
        status, reply = self.post(method, body)
        assert status == 200, reply
        return reply

    def create(self, endpoint: str, network: str, *, v6: bool = False) -> list[str]:
        """Do what Docker does before a container joins; return its addresses with length."""
        pools = ["CalicoPoolIPv4", *(["CalicoPoolIPv6"] if v6 else [])]
        asked = [{"PoolID": pool, "Address": "", "Options": None} for pool in pools]
        given = [self.call("IpamDriver.RequestAddress", body)["Address"] for body in asked]
        interface = {"Address": given[0], "AddressIPv6": [*given, ""][1], "MacAddress": ""}
        body = {"NetworkID": network, "EndpointID": endpoint, "Interface": interface}
        self.call("NetworkDriver.CreateEndpoint", body)
        return given

    def join(self, endpoint: str, network: str, sandbox: str = "c919") -> tuple[int, Any]:
        both = {"NetworkID": network, "EndpointID": endpoint}
        path = f"/run/docker/netns/{sandbox}"
        return self.post("NetworkDriver.Join", both | {"SandboxKey": path, "Options": {}})

    def put_into(self, container: NetNs, reply: Any, addresses: list[str]) -> None:
        """Do with the reply of a Join what Docker does."""
        source, name = reply["InterfaceName"]["SrcName"], reply["InterfaceName"]["DstPrefix"] + "0"
        self.host.run(["ip", "link", "set", source, "netns", container.name, "name", name])
        for address in addresses:
            no_dad = ["nodad"] if ":" in address else []
            container.run(["ip", "address", "add", address, "dev", name, *no_dad])
        container.run(["ip", "link", "set", name, "up"])
        for route in reply["StaticRoutes"]:
            container.run(
                ["ip", "route", "add", route["Destination"], "dev", name, "scope", "link"]
            )
        if reply["Gateway"]:
            container.run(["ip", "route", "add", "default", "via", reply["Gateway"]])
        if reply["GatewayIPv6"]:
            gateway = ["via", reply["GatewayIPv6"], "dev", name]
            container.run(["ip", "-6", "route", "add", "default", *gateway])

    def remove(self, endpoint: str, network: str, addresses: list[str]) -> None:
        """Do what Docker does when a container ends."""
        both = {"NetworkID": network, "EndpointID": endpoint}
        self.call("NetworkDriver.Leave", both)
        self.call("NetworkDriver.DeleteEndpoint", both)
        for address in addresses:
            pool = f"CalicoPoolIPv{6 if ':' in address else 4}"
            body = {"PoolID": pool, "Address": address.partition("/")[0]}
            self.call("IpamDriver.ReleaseAddress", body)

    def endpoints(self) -> list[Any]:
        found = self.etcd.get_prefix(f"{RESOURCES}/workloadendpoints/")
        return [json.loads(value) for value in found.values()]

    def assigned(self) -> int:
        return len(self.etcd.get_prefix("/calico/ipam/v2/handle/"))

    def links(self) -> set[str]:
        listed = json.loads(self.host.run(["ip", "-json", "link"]).stdout)
        return {link["ifname"] for link in listed} - {"lo", "uplink", "fabric"}

    def left(self) -> tuple[Any, ...]:
        return self.endpoints(), self.assigned(), self.links()


@pytest.fixture(scope="module")
def whole_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = tmp_path_factory.mktemp("host")
    with NetNs() as host, Etcd(namespace=host, port=2379) as etcd:
        machine = Machine(host, etcd, folder)
        yield machine
        machine.docker.shutdown()
        machine.docker.server_close()


@pytest.fixture
def machine(whole_machine: Machine) -> Iterator[Machine]:
    """The host, with the plugin started and nothing in it."""
    whole_machine.empty()
    whole_machine.start()
    yield whole_machine
    if whole_machine.process is not None:
        whole_machine.stop()


@pytest.fixture
def container() -> Iterator[NetNs]:
    with NetNs() as namespace:
        yield namespace


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a condition holds."""
    return until
