"""Hosts with a Docker engine, Calico's services and the plugin each, and one etcd for all.

An engine runs in the namespaces of its host, and in a PID namespace of its own, so that no container can
outlive it. Its image is made of a static busybox: no registry is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from calico_test.busybox import root_file_system
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.resources import Resources

BIN = Path(sys.executable).parent
DOCKER, IMAGE = "/usr/bin/docker", "busybox"
PLUGIN_SOCKET = "/run/docker/plugins/calico.sock"
DEADLINE_S = 30.0
Options = Sequence[str]


def until(condition: Callable[[], Any], what: str = "", deadline_s: float = DEADLINE_S) -> Any:
    """Return what the condition returns as soon as that is true."""
    deadline = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)
    return found


class Engine:
    """A host with Docker and the plugin."""

    def __init__(self, lab: Lab, host: Host, *, docker: Options = (), plugin: Options = ()) -> None:
        assert lab.etcd is not None
        self.lab, self.host, self.name = lab, host, host.name
        self.docker_options, self.plugin_options = docker, plugin
        self.env = {
            "ETCD_ENDPOINTS": lab.etcd.endpoint,
            "PATH": f"{BIN}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
        }
        self.dockerd: subprocess.Popen[Any] | None = None
        self.plugin: subprocess.Popen[Any] | None = None

    def start(self, archive: Path) -> None:
        """Start the engine, Calico's services and the plugin, in the order of most machines.

        The engine finds forwarding off and has iptables drop what it does not know.
        """
        self.start_docker()
        self.start_node()
        self.host.run([DOCKER, "import", "--change", 'CMD ["sh"]', str(archive), IMAGE])
        self.start_plugin()

    def start_node(self, *options: str) -> None:
        """Start Calico's services."""
        node = ["calicoctl", "node", "run", "--runtime=native", f"--name={self.name}"]
        addresses = ["--ip=autodetect", "--ip6=autodetect", "--no-default-ippools"]
        self.host.run([*node, *addresses, *options], env=self.env)

    def stop_node(self) -> None:
        self.host.run(["calicoctl", "node", "stop", "--force"], env=self.env)

    def start_docker(self) -> None:
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "--"]
        options = ["--data-root=/run/docker-data", "--bridge=none", "--pidfile=/run/docker.pid"]
        command = [*alone, "dockerd", *options, *self.docker_options]
        self.dockerd = self.host.popen(command, log="dockerd", env=self.env)
        until(self._docker_answers, "dockerd")

    def stop_docker(self) -> None:
        """End the engine and with it its containers, at once."""
        assert self.dockerd is not None
        self.dockerd.kill()
        self.dockerd.wait(DEADLINE_S)
        # What they name was of a process namespace that is gone; in the next one others have these numbers.
        self.host.sh("rm -f /run/docker.pid /run/docker/containerd/*.pid")

    def _docker_answers(self) -> bool:
        return self.host.run([DOCKER, "version"], check=False).returncode == 0

    def start_plugin(self) -> None:
        command = ["libnetwork-plugin", "serve", "--log-level=debug", *self.plugin_options]
        self.plugin = self.host.popen(command, log="plugin", env=self.env)
        until(lambda: self.host.exists(PLUGIN_SOCKET), "the plugin's socket")

    def stop_plugin(self, number: int = signal.SIGTERM) -> int:
        assert self.plugin is not None
        self.plugin.send_signal(number)
        return self.plugin.wait(DEADLINE_S)

    def stop(self) -> None:
        """End the containers, the plugin and the engine."""
        if self.dockerd is not None:
            containers = self.docker("ps", "-aq").split()
            if containers:
                self.docker("rm", "-f", *containers)
            self.stop_docker()
        if self.plugin is not None and self.plugin.poll() is None:
            self.stop_plugin()
        self.stop_node()

    def docker(self, *argv: str) -> str:
        """Run docker; return what it printed."""
        return self.host.run([DOCKER, *argv], timeout_s=90).stdout.strip()

    def refused(self, *argv: str) -> str:
        """Run a docker command that must fail; return its complaint."""
        done = self.host.run([DOCKER, *argv], check=False, timeout_s=90)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def refused_after(self, first: Callable[[], Any], *argv: str) -> str:
        """Do something, then run a docker command that must fail; return its complaint."""
        first()
        return self.refused(*argv)

    def start_docker_command(self, *argv: str) -> subprocess.Popen[Any]:
        """Start docker, and do not wait for it."""
        return self.host.popen([DOCKER, *argv], log="docker")

    def run(self, name: str, network: str, *options: str) -> str:
        """Start a container that stays; return its IPv4 address."""
        command = ["run", "-d", "--init", "--name", name, "--net", network, *options]
        self.docker(*command, IMAGE, "sleep", "1000000")
        return self.address(name, network)

    def inspect(self, what: str) -> Any:
        return json.loads(self.docker("inspect", what))[0]

    def address(self, name: str, network: str) -> str:
        return str(self.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def mac(self, name: str, network: str) -> str:
        """Return the MAC that a container's kernel shows, which must be what Docker says."""
        told = str(self.inspect(name)["NetworkSettings"]["Networks"][network]["MacAddress"])
        assert f"link/ether {told} " in self.execute(name, "ip", "link", "show", "cali0")
        return told

    def execute(self, container: str, *argv: str) -> str:
        return self.docker("exec", container, *argv)

    def pings(self, container: str, address: str) -> bool:
        """Whether one ping is answered within a second."""
        command = [DOCKER, "exec", container, "ping", "-c1", "-W1", address]
        return self.host.run(command, check=False).returncode == 0

    def links(self) -> set[str]:
        """Names of the workload interfaces and of those that were to be moved into containers."""
        listed = json.loads(self.host.sh("ip -json link"))
        return {link["ifname"] for link in listed if link["ifname"].startswith(("cali", "tmp"))}


class Cluster(Resources):
    """Engines on hosts of one lab."""

    until = staticmethod(until)

    def __init__(
        self, lab: Lab, archive: Path, make: Callable[[Lab, Host], Engine] = Engine
    ) -> None:
        self.lab = lab
        self.engines = [make(lab, host) for host in lab.hosts]
        super().__init__(lab.hosts[0], self.engines[0].env)
        self.pool("pool4", "10.65.0.0/16")
        self.pool("pool6", "fd00:65::/112")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda engine: engine.start(archive), self.engines))

    def endpoints(self) -> list[dict[str, Any]]:
        return self.get("workloadendpoints", "-n", "libnetwork")

    def profile_names(self) -> set[str]:
        return {one["metadata"]["name"] for one in self.get("profiles")}

    def assigned(self) -> int:
        """How many addresses Docker has."""
        assert self.lab.etcd is not None
        handles = self.lab.etcd.get_prefix("/calico/ipam/v2/handle/libnetwork.")
        return len(handles)

    def empty(self) -> None:
        """Remove all containers, then all networks."""
        for engine in self.engines:
            if containers := engine.docker("ps", "-aq").split():
                engine.docker("rm", "-f", *containers)
        for engine in self.engines:
            if networks := engine.docker("network", "ls", "-q", "-f", "driver=calico").split():
                engine.docker("network", "rm", *networks)

    def stop(self) -> None:
        for engine in self.engines:
            engine.stop()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "busybox.tar"
    path.write_bytes(root_file_system())
    return path


@pytest.fixture(scope="session")
def docker_is_there() -> None:
    """Skip where engines cannot be started."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    missing = [
        program for program in (DOCKER, "dockerd", "busybox") if shutil.which(program) is None
    ]
    if missing:
        pytest.skip(f"needs Debian's docker.io and busybox-static: {', '.join(missing)}")


@pytest.fixture(scope="session")
def engine_class() -> type[Engine]:
    return Engine


@pytest.fixture(scope="session")
def cluster_class() -> type[Cluster]:
    return Cluster


@pytest.fixture(scope="module")
def whole_cluster(docker_is_there: None, archive: Path) -> Iterator[Cluster]:
    with Lab(2) as lab:
        cluster = Cluster(lab, archive)
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Iterator[Cluster]:
    """Two hosts, emptied of containers and networks after the test."""
    yield whole_cluster
    whole_cluster.empty()
