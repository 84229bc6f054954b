"""Hosts with a Docker engine each, and calico/node in a container, as an operator starts it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.connectivity import Matrix
from calico_test.engine import Engine
from calico_test.lab import Lab
from calico_test.probes import ICMP, Outcome, Probe

BIN = Path(sys.executable).parent
IMAGES = Path(__file__).parents[3] / "build/images"
IMAGE = "calico/node:latest"
DEADLINE_S = 20.0
HTTP = Probe("tcp", 80)


class Node:
    """One host with its engine, and the commands that an operator types there."""

    def __init__(self, lab, host):
        self.lab = lab
        self.host = host
        self.engine = Engine(lab, host)
        self.engine.load(IMAGES / "node.tar")
        self.docker = self.engine.docker
        host.env |= {
            "ETCD_ENDPOINTS": lab.etcd.endpoint,
            "DOCKER_HOST": "unix:///run/docker.sock",
            "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def calicoctl(self, *arguments, check=True, **options):
        return self.host.run(["calicoctl", *arguments], check=check, timeout_s=120, **options)

    def apply(self, kind, name, spec, **metadata):
        head = {"apiVersion": "projectcalico.org/v3", "kind": kind}
        document = {**head, "metadata": {"name": name, **metadata}, "spec": spec}
        self.calicoctl("apply", "-f", "-", stdin=json.dumps(document))

    def start(self, *options):
        """As the tutorial does."""
        return self.calicoctl("node", "run", f"--name={self.host.name}", *options).stdout

    def start_without_calicoctl(self):
        """As those do who have no calicoctl."""
        mounts = ("/var/log/calico", "/var/run/calico", "/var/lib/calico", "/lib/modules", "/run")
        self.docker(
            *("run", "-d", "--restart=always", "--net=host", "--privileged", "--name=calico-node"),
            *("-e", "ETCD_ENDPOINTS", "-e", f"NODENAME={self.host.name}", "-e", "IP=autodetect"),
            *(word for path in mounts for word in ("-v", f"{path}:{path}")),
            IMAGE,
        )
        self.docker("exec", "calico-node", "calico-node", "wait")

    def attach(self, name, **labels):
        """Start a container without network and let the CNI plugin connect it; return the endpoint."""
        container = self.engine.run(name, IMAGE)
        reply = self._plugin("ADD", container, {"args": {"calico": {"labels": labels}}})
        container.addresses = [a["address"].partition("/")[0] for a in reply["ips"]]
        return container

    def create_network(self, name, *options):
        """Make a Docker network of ours, with the addresses of our pools."""
        driver = ("-d", "calico", "--ipam-driver", "calico")
        self.docker("network", "create", *driver, *options, name)

    def join(self, name, network, *options):
        """Start a container on a Docker network; return the endpoint."""
        container = self.engine.run(name, IMAGE, *options, net=network)
        container.read_addresses()
        return container

    def endpoints(self):
        """Return all workload endpoints of the cluster."""
        found = self.calicoctl("get", "workloadendpoints", "-A", "-o", "json").stdout
        return json.loads(found)["items"]

    def detach(self, container):
        self._plugin("DEL", container, {})
        self.engine.remove(container.name)

    def _plugin(self, command, container, extra):
        network = json.loads(self.host.read_text("/etc/cni/net.d/10-calico.conflist"))
        head = {"name": network["name"], "cniVersion": network["cniVersion"]}
        call = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container.name,
            "CNI_NETNS": container.netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": "/opt/cni/bin",
        }
        config = json.dumps({**network["plugins"][0], **head, **extra})
        done = self.host.run(["/opt/cni/bin/calico"], env=call, stdin=config)
        return json.loads(done.stdout or "{}")

    def reset(self):
        """Make the host as it was when its engine started: networks first, Docker asks their driver."""
        for name in [*self.engine.containers]:
            self.engine.remove(name)
        networks = self.docker("network", "ls", "-q", "-f", "driver=calico").stdout.split()
        if networks:
            self.docker("network", "rm", *networks)
        self.calicoctl("node", "stop", "--force", check=False)
        self.host.run(["calico-node", "uninstall", "--yes"])


class Reflector:
    """A host without Docker whose node reflects routes."""

    def __init__(self, host, engine_host):
        self.host, self.manager = host, engine_host

    def start(self, cluster_id):
        """Start calico/node's services natively, and make the node a reflector."""
        node = ["calicoctl", "node", "run", "--runtime=native", f"--name={self.host.name}"]
        self.host.run(node, env=self.manager.host.env)
        spec = {"spec": {"bgp": {"routeReflectorClusterID": cluster_id}}}
        spec["metadata"] = {"labels": {"reflector": self.host.name}}
        self.manager.calicoctl("patch", "node", self.host.name, "-p", json.dumps(spec))

    def reset(self):
        """Make the host as it was."""
        env = self.manager.host.env
        self.host.run(["calicoctl", "node", "stop", "--force"], env=env, check=False)
        self.host.run(["calico-node", "uninstall", "--yes"], env=env)


@pytest.fixture(scope="session")
def lab():
    """Four hosts; the last two without Docker."""
    with Lab(4) as made:
        yield made


@pytest.fixture(scope="session")
def cluster(lab):
    """Two hosts with engines, for all tests: loading the image takes most of the time."""
    archive = IMAGES / "node.tar"
    assert archive.exists(), f"{archive} is missing; make it with: make images"
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        nodes = list(pool.map(lambda host: Node(lab, host), lab.hosts[:2]))
        for node in nodes:
            stack.callback(node.engine.close)
        yield nodes


@pytest.fixture
def pair(cluster):
    """Two hosts; nothing of Calico runs there."""
    yield cluster
    for node in cluster:
        node.reset()
    cluster[0].lab.etcd.clear()


@pytest.fixture
def reflectors(lab, pair):
    """Two hosts that can reflect routes between the pair; nothing of Calico runs there."""
    made = [Reflector(host, pair[0]) for host in lab.hosts[2:]]
    yield made
    for reflector in made:
        reflector.reset()


@pytest.fixture
def node(pair):
    """One host; nothing of Calico runs there."""
    return pair[0]


@pytest.fixture
def all_reach_each_other():
    """Check that endpoints ping each other and answer on a port."""

    def check(*endpoints):
        for endpoint in endpoints:
            endpoint.listen(tcp=[HTTP.port])
        Matrix(endpoints, [ICMP, HTTP]).until(lambda *_: True, deadline_s=DEADLINE_S)

    return check


@pytest.fixture
def none_reach_each_other():
    """Check that no endpoint gets through to another, whatever stops it."""

    def check(*endpoints):
        matrix = Matrix(endpoints, [ICMP, HTTP])
        processes.wait_until(
            lambda: Outcome.OPEN not in matrix.observe().values(),
            "the end of all connections",
            deadline_s=DEADLINE_S,
        )

    return check
