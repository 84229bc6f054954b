"""A host with its own etcd, the plugins installed by the real installer, and the real server if wanted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from calico_test import processes
from calico_test.etcd import Etcd
from calico_test.netns import NetNs

BIN = Path(sys.executable).parent
RESOURCES = "/calico/resources/v3/projectcalico.org"
DEADLINE_S = 120.0


class Node:
    """One host as an operator and a container runtime see it."""

    def __init__(self, host: NetNs, etcd: Etcd, folder: Path) -> None:
        self.host, self.etcd, self.folder = host, etcd, folder
        self.bin, self.conf, self.run = folder / "bin", folder / "net.d", folder / "run"
        self.log = folder / "server.log"
        self.socket = self.run / "workloads.sock"
        self.server: subprocess.Popen[bytes] | None = None
        (folder / "nodename").write_text("host-1\n")
        self.ready(True)
        self.pool("four", "10.65.0.0/24")
        self.pool("six", "fd00:65::/112")
        self.install()

    def put(self, kind: str, plural: str, name: str, spec: Mapping[str, Any]) -> None:
        metadata = {"name": name, "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
        document = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata}
        self.etcd.put(f"{RESOURCES}/{plural}/{name}", json.dumps(document | {"spec": spec}))

    def ready(self, ready: bool) -> None:
        spec = {"clusterGUID": "0" * 32, "datastoreReady": ready}
        self.put("ClusterInformation", "clusterinformations", "default", spec)

    def pool(self, name: str, cidr: str, **spec: Any) -> None:
        self.put("IPPool", "ippools", name, {"cidr": cidr} | spec)

    def install(self, *options: str) -> str:
        command = [
            str(BIN / "calico-cni"),
            *("install", "--bin-dir", str(self.bin), "--conf-dir", str(self.conf)),
            *("--socket", str(self.socket), "--nodename-file", str(self.folder / "nodename")),
            *("--etcd-endpoints", self.etcd.endpoint, "--network-name", "net", "--ipv6"),
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def start_server(self) -> None:
        environ = os.environ | {
            "CALICO_RUN_DIR": str(self.run),
            "CALICO_LIB_DIR": str(self.folder),
            "ETCD_ENDPOINTS": self.etcd.endpoint,
        }
        with self.log.open("ab") as log:
            command = [str(BIN / "calico-node"), "workloads"]
            self.server = self.host.popen(command, env=environ, stdout=log, stderr=log)
        processes.wait_until(self._listens, "the workload server listens", deadline_s=DEADLINE_S)

    def _listens(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, self.log.read_text()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop_server(self, number: int = signal.SIGTERM) -> int:
        assert self.server is not None
        self.server.send_signal(number)
        status = self.server.wait(DEADLINE_S)
        self.server = None
        return status

    def config(self, version: str | None = "1.0.0", **fields: Any) -> dict[str, Any]:
        """Return what a runtime passes: our plugin of the installed list."""
        network = json.loads((self.conf / "10-calico.conflist").read_text())
        head = {"name": network["name"]} | ({} if version is None else {"cniVersion": version})
        return network["plugins"][0] | head | fields

    def environ(self, command: str, container: str, netns: str, ifname: str) -> dict[str, str]:
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_PATH": str(self.bin),
            "PATH": os.environ["PATH"],
        }

    def start(
        self,
        command: str,
        container: str = "c1",
        netns: NetNs | str = "",
        config: Mapping[str, Any] | bytes | None = None,
        *,
        plugin: str = "calico",
        ifname: str = "eth0",
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Start the plugin as a runtime does."""
        path = str(netns.path) if isinstance(netns, NetNs) else netns
        stdin = (
            config if isinstance(config, bytes) else json.dumps(config or self.config()).encode()
        )
        process = self.host.popen(
            [str(self.bin / plugin)],
            env=self.environ(command, container, path, ifname) | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return Running(process)

    def call(self, *args: Any, **options: Any) -> tuple[int, Any]:
        """Call the plugin; return its exit status and what it printed, decoded."""
        return self.start(*args, **options).wait()

    def added(self, *args: Any, **options: Any) -> Any:
        status, printed = self.call("ADD", *args, **options)
        assert status == 0, printed
        return printed

    def endpoints(self) -> dict[str, Any]:
        found = self.etcd.get_prefix(f"{RESOURCES}/workloadendpoints/")
        return {
            key.rsplit("/", 2)[-2] + "/" + key.rsplit("/", 1)[-1]: json.loads(value)
            for key, value in found.items()
        }

    def handles(self) -> list[str]:
        return [key.rsplit("/", 1)[-1] for key in self.etcd.get_prefix("/calico/ipam/v2/handle/")]

    def assigned(self) -> int:
        """How many addresses are assigned in all blocks."""
        blocks = self.etcd.get_prefix("/calico/ipam/v2/assignment/").values()
        return sum(
            index is not None for block in blocks for index in json.loads(block)["allocations"]
        )

    def links(self) -> set[str]:
        text = self.host.run(["ip", "-json", "link"]).stdout
        return {link["ifname"] for link in json.loads(text)} - {"lo"}

    def left(self) -> tuple[Any, ...]:
        """Everything that workloads left on the host and in the store; falsy parts if nothing."""
        return (sorted(self.endpoints()), self.handles(), self.assigned(), sorted(self.links()))


NOTHING = ([], [], 0, [])


class Running:
    """A plugin that was started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def wait(self) -> tuple[int, Any]:
        with self.process:
            stdout, self.stderr = self.process.communicate(timeout=DEADLINE_S)
        text = stdout.decode()
        return self.process.returncode, json.loads(text) if text else None


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = tmp_path_factory.mktemp("node")
    with NetNs() as host, Etcd(namespace=host, port=2379) as etcd:
        node = Node(host, etcd, folder)
        yield node
        if node.server is not None:
            node.stop_server()
    shutil.rmtree(folder)


@pytest.fixture(params=["server", "alone"])
def node(machine: Node, request: pytest.FixtureRequest) -> Node:
    """The host, once with the resident server, once with the plugins on their own."""
    _prepare(machine, serve=request.param == "server")
    return machine


@pytest.fixture
def served(machine: Node) -> Node:
    """The host with the resident server."""
    _prepare(machine, serve=True)
    return machine


@pytest.fixture
def alone(machine: Node) -> Node:
    """The host without a server."""
    _prepare(machine, serve=False)
    return machine


def _prepare(machine: Node, *, serve: bool) -> None:
    machine.etcd.clear()
    (machine.folder / "mtu").unlink(missing_ok=True)
    for link in machine.links():
        machine.host.run(["ip", "link", "delete", link], check=False)
    machine.ready(True)
    machine.pool("four", "10.65.0.0/24")
    machine.pool("six", "fd00:65::/112")
    if serve and machine.server is None:
        machine.start_server()
    elif not serve and machine.server is not None:
        assert machine.stop_server() == 0


@pytest.fixture
def container(machine: Node) -> Iterator[NetNs]:
    with NetNs() as namespace:
        yield namespace
