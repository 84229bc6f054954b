"""container, endpoint, node stop and node remove on a host with Calico's services, in namespaces."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from calico_test.connectivity import Matrix
from calico_test.errors import CommandError
from calico_test.lab import Lab
from calico_test.probes import Outcome, Probe

BIN = Path(sys.executable).parent
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HTTP = Probe("tcp", 80)
POOLS = [
    {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": cidr},
    }
    for name, cidr in (
        ("four", "10.65.0.0/24"),
        ("spare", "10.66.0.0/24"),
        ("six", "fd00:65::/112"),
    )
]
ADDED = re.compile(r"IP (\S+) added to (\S+)\n")


class Node:
    """A host and the commands that an operator types there."""

    def __init__(self, lab):
        self.host, self.etcd = lab.hosts[0], lab.etcd
        self.host.env |= {"ETCD_ENDPOINTS": lab.etcd.endpoint, "PATH": PATH}

    def __call__(self, *arguments, **options):
        argv = ["calicoctl", *arguments]
        done = self.host.run(argv, check=False, timeout_s=120, **options)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments, **options):
        code, out, err = self(*arguments, **options)
        assert (code, err) == (0, ""), out
        return out

    def refused(self, *arguments, **options):
        code, out, err = self(*arguments, **options)
        assert (code, out) == (1, "")
        return err

    def start(self):
        name = f"--name={self.host.name}"
        self.ok("node", "run", "--runtime=native", name, "--no-default-ippools")

    def add(self, box, ip="ipv4", *options):
        """Let calicoctl attach a namespace; return the address."""
        said = ADDED.fullmatch(self.ok("container", "add", box.netns, ip, *options))
        assert said[2] == box.netns
        box.read_addresses()
        assert said[1] in box.addresses
        return said[1]

    def links(self):
        return re.findall(r"cali\w+", self.host.sh("ip -o link"))

    def is_clean(self):
        kept = (
            "/calico/resources/v3/projectcalico.org/workloadendpoints/",
            "/calico/ipam/v2/handle/",
        )
        return not self.links() and not any(self.etcd.get_prefix(prefix) for prefix in kept)


@pytest.fixture(scope="module")
def lab():
    with Lab(1) as made:
        yield made


@pytest.fixture(scope="module")
def running(lab):
    node = Node(lab)
    node.ok("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, POOLS)))
    node.start()
    node.ok("profile", "add", "web")
    return node


@pytest.fixture
def node(running):
    yield running
    for name in [*running.host.workloads]:
        running("container", "remove", f"/run/netns/{name}")
        running.host.remove_workload(name)
    assert running.is_clean()


@pytest.fixture
def box(node):
    """Make workloads, which listen."""

    def make(name):
        made = node.host.add_workload(name)
        made.listen(tcp=[80])
        return made

    return make


def until(outcome, *boxes):
    Matrix(boxes, [HTTP]).until(lambda *_: outcome, deadline_s=20)


def test_containers_of_a_profile_reach_each_other_and_nobody_else(node, box):
    one, two = box("one"), box("two")
    node.add(one, "10.65.0.11")
    node.add(two, "10.65.0.12")
    until(Outcome.TIMEOUT, one, two)
    for each, action in ((one, "set"), (two, "append")):
        said = node.ok("container", each.netns, "profile", action, "web")
        assert "web" in said
    until(Outcome.OPEN, one, two)
    node.ok("container", two.netns, "profile", "remove", "web")
    until(Outcome.TIMEOUT, one, two)


def test_ipv6_and_both_families(node, box):
    boxes = [box("one"), box("two")]
    for each in boxes:
        node.add(each, "ipv6")
        node.ok("container", each.netns, "profile", "set", "web")
    until(Outcome.OPEN, *boxes)
    for each in boxes:
        node.ok("container", each.netns, "ip", "add", "ipv4")
        each.read_addresses()
        assert {each.address(4) is None, each.address(6) is None} == {False}
    until(Outcome.OPEN, *boxes)


def test_addresses_come_and_go(node, box):
    one, two = box("one"), box("two")
    node.add(one, "10.66.0.0/24", "--interface=hello")
    node.add(two)
    for each in (one, two):
        node.ok("container", each.netns, "profile", "set", "web")
    assert one.address(4).startswith("10.66.0.")
    first = one.address(4)
    said = node.ok("container", one.netns, "ip", "add", "10.65.0.99")
    assert said == f"IP 10.65.0.99 added to {one.netns}\n"
    one.addresses = ["10.65.0.99"]
    until(Outcome.OPEN, one, two)
    one.addresses = [first]
    until(Outcome.OPEN, one, two)
    gone = node.ok("container", one.netns, "ip", "remove", first, "--interface=hello")
    assert gone == f"IP {first} removed from {one.netns}\n"
    assert one.read_addresses() == ["10.65.0.99"]
    assert f"has no address {first}; it has 10.65.0.99" in node.refused(
        "container", one.netns, "ip", "remove", first
    )
    assert "has its addresses on hello, not on eth1" in node.refused(
        "container", one.netns, "ip", "add", "ipv4", "--interface=eth1"
    )
    until(Outcome.OPEN, one, two)


def test_what_is_shown(node, box):
    one = box("one")
    address = node.add(one)
    node.ok("container", one.netns, "profile", "set", "web")
    shown = node.ok("container", one.netns, "endpoint", "show")
    assert f"| host1    | namespace       | run-netns-one | eth1        | {address}/32" in shown
    assert node.ok("endpoint", "show", "--detailed", "--workload=run-netns-one") == shown
    assert "namespace" not in node.ok("endpoint", "show", "--host=host2")
    assert "| web " in node.ok("container", one.netns, "profile", "show")
    assert node.ok("endpoint", "eth1", "profile", "set") == "endpoint eth1 has no profile\n"
    assert "web" not in node.ok("endpoint", "eth1", "profile", "show", "--host=host1")


def test_a_wrong_call_leaves_nothing(node, box):
    one = box("one")
    for arguments, said in (
        ((one.netns, "hello"), "'hello' is no address"),
        ((one.netns, "10.67.0.0/24"), "there is no pool 10.67.0.0/24; there are: 10.65.0.0/24,"),
        ((one.netns, "10.67.0.1"), "10.67.0.1"),
        ((one.netns, "ipv4", "--interface=lo"), "it has an interface lo already"),
        ((one.netns, "ipv4", "--interface=E_1"), "--interface=E_1: use a-z"),
        (("/run/netns/gone", "ipv4"), "/run/netns/gone: No such file"),
        (("/etc/hostname", "ipv4"), "/etc/hostname: it is none"),
        (("/proc/self/ns/net", "ipv4"), "is in the host's network namespace"),
        (("web", "ipv4"), "Docker does not answer"),
    ):
        assert said in node.refused("container", "add", *arguments)
    elsewhere = node.refused("container", "add", one.netns, "ipv4", env={"NODENAME": "other"})
    assert "NODENAME is other, but the calico-node of this host is host1" in elsewhere
    for arguments in (("ip", "add", "ipv4"), ("endpoint", "show"), ("profile", "set", "web")):
        refused = node.refused("container", one.netns, *arguments)
        assert "has no interface of Calico; give it one" in refused
    assert "has no interface of Calico" in node.refused("container", "remove", one.netns)
    assert "after a name: ip, endpoint, profile" in node.refused("container", one.netns)
    assert one.read_addresses() == []
    assert node.is_clean()


def test_a_container_is_added_once(node, box):
    one, two = box("one"), box("two")
    address = node.add(one)
    assert "has an interface of Calico; another address for it" in node.refused(
        "container", "add", one.netns, "ipv4"
    )
    for arguments in (("add", two.netns, address), (one.netns, "ip", "add", address)):
        assert "already assigned" in node.refused("container", *arguments)
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(node, "container", "add", two.netns, "ipv4") for _ in range(3)]
        codes = sorted(call.result()[0] for call in calls)
    assert codes == [0, 1, 1]
    two.read_addresses()
    for each in (one, two):
        node.ok("container", each.netns, "profile", "set", "web")
    until(Outcome.OPEN, one, two)


def test_a_new_namespace_of_the_same_name_is_told_from_the_old_one(node, box):
    node.add(box("one"))
    node.host.remove_workload("one")
    one = box("one")
    said = node.refused("container", one.netns, "ip", "add", "ipv4")
    assert f"lost its interface, as a restart does: calicoctl container remove {one.netns}" in said
    node.ok("container", "remove", one.netns)
    assert node.is_clean()
    node.add(one)


def test_a_namespace_that_is_gone_is_removed(node, box):
    one = box("one")
    node.add(one)
    assert "record 1 allocations" in node.ok("ipam", "check")
    node.host.remove_workload("one")
    assert node.ok("container", "remove", one.netns) == f"Removed Calico from {one.netns}\n"
    assert node.is_clean()
    assert "found 0 problems" in node.ok("ipam", "check")


def test_what_a_killed_command_left_is_removed(node, box):
    one = box("one")
    for delay_ms in range(300, 1000, 100):
        kill = ["timeout", "--signal=KILL", f"{delay_ms / 1000}", "calicoctl"]
        with suppress(CommandError):
            node.host.run([*kill, "container", "add", one.netns, "ipv4"])
        node("container", "remove", one.netns)
        one.read_addresses()
        assert one.addresses == []
        assert node.is_clean(), f"killed after {delay_ms} ms"


def test_node_stop_and_remove_look_after_workloads(node, box):
    one, two = box("one"), box("two")
    for each in (one, two):
        node.add(each)
        node.ok("container", each.netns, "profile", "set", "web")
    until(Outcome.OPEN, one, two)
    assert "host1 has 2 workload endpoint(s)" in node.refused("node", "stop")
    assert "Calico runs on this host" in node.refused("node", "remove", "--hostname=host1")
    until(Outcome.OPEN, one, two)
    assert node.ok("node", "stop", "--force") == "Calico node stopped\n"
    until(Outcome.OPEN, one, two)
    assert "host1 has 2 workload endpoint(s); remove them" in node.refused("node", "remove")
    assert node.ok("node", "remove", "--remove-endpoints") == "Node configuration removed\n"
    assert node.is_clean()
    node.start()
    node.add(one)
