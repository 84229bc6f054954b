"""calicoctl container on containers of a real Docker engine, with Calico's services on its host."""

import json
import re

import pytest

from calico_test.connectivity import Matrix
from calico_test.probes import Outcome, Probe

IMAGE = "calico/ctl"
HTTP = Probe("tcp", 80)
POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "containers"},
    "spec": {"cidr": "10.77.0.0/24"},
}
BRIDGE = "172.30.0.0/24"
LEFT = ("/calico/resources/v3/projectcalico.org/workloadendpoints/", "/calico/ipam/v2/handle/")


class Node:
    """The engine's host with Calico's services, and containers that are not connected yet."""

    def __init__(self, engine):
        self.engine, self.docker, self.host = engine, engine.docker, engine.host

    def call(self, *arguments):
        done = self.engine.beside(["calicoctl", *arguments], check=False, timeout_s=120)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments):
        code, out, err = self.call(*arguments)
        assert (code, err) == (0, ""), out
        return out

    def refused(self, *arguments):
        code, out, err = self.call(*arguments)
        assert (code, out) == (1, "")
        return err

    def run(self, name, net="none"):
        made = self.engine.run(name, IMAGE, "--entrypoint", "env", net=net)
        if net in ("none", "bridged"):
            made.listen(tcp=[80])
        return made

    def add(self, container, *arguments):
        """Let calicoctl connect a container, and probe it by that address from now on."""
        said = self.ok("container", "add", container.name, *(arguments or ("ipv4",)))
        container.addresses = re.findall(
            rf"^IP (\S+) added to {container.name}$", said, re.MULTILINE
        )
        assert len(container.addresses) == 1
        assert container.addresses[0] in container.run(["ip", "address"]).stdout

    def inspect(self, name):
        return self.engine.inspect(name)


@pytest.fixture(scope="module")
def running(engine):
    node = Node(engine)
    node.host.run(["calicoctl", "apply", "-f", "-"], stdin=json.dumps(POOL))
    name = f"--name={node.host.name}"
    start = ["calicoctl", "node", "run", "--runtime=native", name, "--no-default-ippools"]
    node.host.run(start, timeout_s=120)
    node.docker("network", "create", "--subnet", BRIDGE, "bridged")
    node.ok("profile", "add", "web")
    yield node
    node.docker("network", "rm", "bridged")
    for last in ("stop", "remove"):  # whose processes are the host's, not the engine's
        node.host.run(["calicoctl", "node", last], timeout_s=120)
    node.ok("profile", "remove", "web")
    node.ok("delete", "ippool", "containers")


@pytest.fixture
def node(running):
    yield running
    for name in [*running.engine.containers]:
        running.call("container", "remove", name)
        running.engine.remove(name)
    etcd = running.host.run(["calicoctl", "ipam", "check"]).stdout
    assert "record 0 allocations" in etcd
    assert "found 0 problems" in etcd
    assert "cali" not in running.host.sh("ip -o link")


def until(outcome, *containers):
    Matrix(containers, [HTTP]).until(lambda *_: outcome, deadline_s=30)


def test_containers_with_and_without_a_bridge_reach_each_other(node):
    bare, bridged = node.run("bare"), node.run("onbridge", net="bridged")
    node.add(bare, "10.77.0.7")
    node.add(bridged)
    until(Outcome.TIMEOUT, bare, bridged)
    node.ok("container", "bare", "profile", "set", "web")
    full = node.inspect("onbridge")["Id"]
    node.ok("container", full[:12], "profile", "append", "web")
    until(Outcome.OPEN, bare, bridged)
    shown = node.ok("container", "onbridge", "endpoint", "show")
    assert f"| host1    | docker          | {full} | eth1 " in shown
    assert bridged.addresses[0] in shown
    # What comes by the bridge is answered by the bridge.
    networks = node.inspect("onbridge")["NetworkSettings"]["Networks"]
    seen = node.host.probe(networks["bridged"]["IPAddress"], HTTP, timeout_ms=5000)
    assert seen.outcome is Outcome.OPEN


def test_addresses_come_and_go(node):
    one, two = node.run("one"), node.run("two")
    for container in (one, two):
        node.add(container)
        node.ok("container", container.name, "profile", "set", "web")
    assert node.ok("container", "one", "ip", "add", "10.77.0.99") == "IP 10.77.0.99 added to one\n"
    first, one.addresses = one.addresses[0], ["10.77.0.99"]
    until(Outcome.OPEN, one, two)
    assert node.ok("container", "one", "ip", "remove", first) == f"IP {first} removed from one\n"
    assert "has no address" in node.refused("container", "one", "ip", "remove", first)
    until(Outcome.OPEN, one, two)


def test_a_restart_is_told_and_repaired(node):
    one = node.run("one")
    node.add(one)
    one.end_agent()
    node.docker("restart", "--time=1", "one")
    assert "lost its interface, as a restart does" in node.refused(
        "container", "one", "ip", "add", "ipv4"
    )
    assert node.ok("container", "remove", "one") == "Removed Calico from one\n"
    address = node.ok("container", "add", "one", "ipv4").split()[1]
    pid = node.inspect("one")["State"]["Pid"]
    inside = node.engine.beside(["nsenter", f"--target={pid}", "--net", "ip", "address"]).stdout
    assert address in inside


def test_a_container_that_is_gone_is_removed_by_its_id(node):
    full = node.inspect(node.run("one").name)["Id"]
    node.add(node.engine.containers["one"])
    node.engine.remove("one")
    assert "Docker has no container one" in node.refused("container", "remove", "one")
    assert full in node.ok("container", full, "endpoint", "show")
    assert node.ok("container", "remove", full) == f"Removed Calico from {full}\n"
    assert "Docker has no container" in node.refused("container", "remove", full)


def test_containers_that_cannot_be_connected(node):
    node.run("one")
    node.run("onhost", net="host")
    node.run("shared", net="container:one")
    node.docker("create", "--name", "created", "--net", "none", IMAGE)
    try:
        for name, said in (
            ("onhost", "uses the host's network; protect that by a host endpoint"),
            ("shared", "shares the network of container"),
            ("created", "container created does not run; start it: docker start created"),
            ("gone", "Docker has no container gone; other network namespaces are named by"),
        ):
            assert said in node.refused("container", "add", name, "ipv4")
    finally:
        node.docker("rm", "created")


def test_where_the_processes_of_docker_are_not_to_be_seen(node):
    """The lab's engine has process ids of its own, so its host is to us like another machine."""
    node.run("one")
    env = {"DOCKER_HOST": "unix:///run/docker.sock"}
    done = node.host.run(["calicoctl", "container", "add", "one", "ipv4"], env=env, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the process of container one is not on this host" in done.stderr


def test_a_docker_that_does_not_answer(node):
    env = {"DOCKER_HOST": "unix:///run/nothing.sock"}
    done = node.host.run(["calicoctl", "container", "add", "one", "ipv4"], env=env, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Docker does not answer at unix:///run/nothing.sock; is its daemon running?\n"
    )


def test_the_image_connects_containers(node):
    """As an operator does on a host without calicoctl."""
    one = node.run("one")
    mounts = ("/run/docker.sock:/var/run/docker.sock", "/var/lib/calico:/var/lib/calico:ro")
    options = [
        *("--net=host", "--pid=host", "--privileged", "-e", "ETCD_ENDPOINTS"),
        *(word for mount in mounts for word in ("-v", mount)),
    ]
    command = ["run", "--rm", *options, IMAGE, "container", "add", "one", "ipv4"]
    said = node.docker(*command, env=node.host.env).stdout
    assert said.startswith("IP 10.77.0.")
    assert said.split()[1] in one.read_addresses()
