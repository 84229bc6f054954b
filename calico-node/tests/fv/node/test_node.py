"""Two hosts with a real etcd and real BIRDs: start-up, routes by BGP, faults.

The agents that program the kernel are left out: what they would do to routes is done by ``ip route``.
"""

import json
import sys
from pathlib import Path

import pytest

from calico_test import processes

CALICO_NODE = str(Path(sys.executable).with_name("calico-node"))
DEADLINE_S = 30.0
AFFINITY = "/calico/ipam/v2/host/{host}/ipv{version}/block/{block}"
RESOURCES = "/calico/resources/v3/projectcalico.org/"
ASK_HEALTH = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9098/').read().decode())"
)
CONFIRMED = '{"state":"confirmed","deleted":false}'
BLOCK = "192.168.7.0/26"


class Node:
    """calico-node on one host of the lab, called as a user would call it."""

    def __init__(self, host, etcd):
        self.host = host
        self.etcd = etcd
        host.env |= {
            "ETCD_ENDPOINTS": etcd.endpoint,
            "CALICO_DISABLE_FELIX": "1",
            "CALICO_DISABLE_WORKLOADS": "1",
            "IP6": "autodetect",
            "CALICO_IPV6POOL_CIDR": "fd80::/48",
        }

    def call(self, *arguments, check=True, **environ):
        return self.host.run([CALICO_NODE, *arguments], env=environ, check=check)

    def status(self):
        return json.loads(self.call("status", "--output", "json", check=False).stdout)

    def pids(self):
        """Name of each running process of ours → pid."""
        table = self.call("status", check=False).stdout.splitlines()[1:]
        rows = [line.split() for line in table if not line.startswith("bgp ipv")]
        return {row[0]: int(row[2]) for row in rows if row[1] == "RUNNING"}

    def sessions(self):
        bgp = self.status()["bgp"] or {}
        return {
            peer["address"]: peer["info"]
            for family in ("ipv4", "ipv6")
            for peer in bgp.get(family, [])
        }

    def is_established(self, count=2):
        infos = self.sessions().values()
        return len(infos) == count and all(info.startswith("Established") for info in infos)

    def routes(self):
        return self.host.sh("ip route; ip -6 route")

    def has_route(self, text):
        return any(line.startswith(text) for line in self.routes().splitlines())

    def affine(self, block, state=CONFIRMED):
        version = 6 if ":" in block else 4
        key = AFFINITY.format(host=self.host.name, version=version, block=block.replace("/", "-"))
        if state is None:
            self.etcd.clear(key)
        else:
            self.etcd.put(key, state)


def wait(condition, what):
    processes.wait_until(condition, what, deadline_s=DEADLINE_S)


@pytest.fixture
def nodes(lab):
    """Two hosts, nothing started."""
    made = lab(2)
    return [Node(host, made.etcd) for host in made.hosts]


@pytest.fixture
def mesh(nodes):
    """Two hosts whose sessions of both families are up."""
    starting = [node.host.popen([CALICO_NODE, "run", "--detach"]) for node in nodes]
    assert [process.wait(DEADLINE_S) for process in starting] == [0, 0]
    for node in nodes:
        wait(node.is_established, f"sessions of {node.host.name}")
    return nodes


def test_a_block_travels_as_one_route_and_is_withdrawn(mesh):
    here, there = mesh
    here.affine(BLOCK)
    here.affine("fd80::40/122")
    here.host.sh(
        f"""
        ip link add cali0 type veth peer name eth9
        ip link set cali0 up; ip link set eth9 up
        ip route add blackhole {BLOCK} proto 80
        ip route add 192.168.7.5 dev cali0 scope link proto 80
        ip route add 192.168.99.9 dev cali0 scope link proto 80
        """
    )
    via = "via 10.233.0.11 dev eth0 proto bird"
    wait(lambda: there.has_route(f"{BLOCK} {via}"), "the block's route")
    wait(lambda: there.has_route(f"192.168.99.9 {via}"), "the borrowed address's route")
    wait(
        lambda: there.has_route("fd80::40/122 via fd00:233::11 dev eth0"), "the IPv6 block's route"
    )
    assert not there.has_route("192.168.7.5"), "a workload of the block is announced by itself"
    assert "proto bird" not in here.routes(), "BIRD programs routes for its own blocks"
    here.affine(BLOCK, None)
    here.host.sh(f"ip route del blackhole {BLOCK}; ip link del cali0")
    wait(lambda: not there.has_route("192.168."), "the withdrawal")
    assert there.has_route("fd80::40/122")


def test_a_pending_affinity_is_not_announced(mesh):
    here, there = mesh
    here.affine("192.168.7.64/26", '{"state":"pending","deleted":false}')
    here.affine(BLOCK)
    wait(lambda: there.has_route(BLOCK), "the confirmed block's route")
    assert not there.has_route("192.168.7.64")


def test_a_bad_peer_does_not_disturb_the_good_ones_and_is_told(mesh):
    here, there = mesh
    here.affine(BLOCK)
    wait(lambda: there.has_route(BLOCK), "the block's route")
    for number, spec in enumerate(({"peerIP": "tor"}, {"peerIP": 7}, {"peerIP": "10.233.0.99"})):
        peer = {"kind": "BGPPeer", "metadata": {"name": f"p{number}"}, "spec": spec}
        here.etcd.put(f"{RESOURCES}bgppeers/p{number}", json.dumps(peer))
    wait(lambda: "10.233.0.99" in here.sessions(), "the usable peer's session")
    assert here.sessions()["10.233.0.12"] == "Established"
    assert there.has_route(BLOCK)
    table = here.host.run([sys.executable, "-c", ASK_HEALTH]).stdout
    log = here.host.read_text("/var/log/calico/bgp/current")
    for told in (table, log):
        assert "BGPPeer(p0)" in told
        assert "BGPPeer(p1)" in told


def test_the_last_state_stays_in_force_while_etcd_is_away(mesh):
    here, there = mesh
    here.affine(BLOCK)
    wait(lambda: there.has_route(BLOCK), "the block's route")
    here.etcd.kill()
    log = "/var/log/calico/bgp/current"
    wait(lambda: "datastore lost" in here.host.read_text(log), "the agent's notice")
    assert there.has_route(BLOCK)
    assert here.is_established()
    assert here.call("health", "--bird-ready", "--bird-live", check=False).returncode == 0
    here.etcd.restart()
    here.affine("192.168.7.64/26")
    wait(lambda: there.has_route("192.168.7.64/26"), "a route made after the outage")


def test_killed_processes_come_back_and_no_route_is_lost_meanwhile(mesh):
    here, there = mesh
    here.affine(BLOCK)
    there.affine("192.168.8.0/26")
    wait(lambda: there.has_route(BLOCK) and here.has_route("192.168.8.0/26"), "both routes")
    with (
        there.host.popen(["ip", "monitor", "route"], stdout=-1, text=True) as at_peer,
        here.host.popen(["ip", "monitor", "route"], stdout=-1, text=True) as at_home,
    ):
        before = here.pids()
        for name in ("bird", "bgp"):
            here.host.sh(f"kill -9 {before[name]}")
        wait(lambda: here.pids().keys() == before.keys(), "new processes")
        assert not set(here.pids().values()) & set(before.values())
        wait(here.is_established, "the sessions")
        here.affine("192.168.7.64/26")
        wait(lambda: there.has_route("192.168.7.64/26"), "a route made after the restart")
        for monitor in (at_peer, at_home):
            monitor.terminate()
        seen = at_peer.communicate()[0] + at_home.communicate()[0]
    assert f"Deleted {BLOCK}" not in seen
    assert "Deleted 192.168.8.0/26" not in seen


def test_stop_leaves_nothing_running_and_routes_in_force(mesh):
    here, there = mesh
    here.affine(BLOCK)
    there.affine("192.168.8.0/26")
    wait(lambda: there.has_route(BLOCK) and here.has_route("192.168.8.0/26"), "both routes")
    assert here.call("stop").stdout == "Calico node stopped\n"
    left = processes.members(here.host.holder.namespace_ids())
    commands = [Path(f"/proc/{process.pid}/cmdline").read_text() for process in left]
    assert not [c for c in commands if "calico" in c or "bird" in c or "supervisor" in c]
    assert here.has_route("192.168.8.0/26")
    assert there.has_route(BLOCK)
    here.call("run", "--detach")
    wait(here.is_established, "sessions after the restart")


def test_a_second_run_is_refused(mesh):
    refused = mesh[0].call("run", "--detach", check=False)
    assert refused.returncode == 1
    assert "already running (pid" in refused.stderr


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"NODENAME": "host1"}, "node name 'host1' is in use by another host at 10.233.0.11/24"),
        ({"IP": "10.233.0.11"}, "'host1' is already using the IPv4 address 10.233.0.11"),
        ({"IP6": "fd00:233::11"}, "'host1' is already using the IPv6 address fd00:233::11"),
    ],
)
def test_a_name_or_address_of_another_host_is_refused(nodes, environ, words):
    nodes[0].call("startup")
    refused = nodes[1].call("run", "--detach", check=False, **environ)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert nodes[1].status() == {"services": {}, "bgp": None}


def test_an_unreachable_datastore_is_one_line(nodes):
    refused = nodes[0].call("startup", check=False, ETCD_ENDPOINTS="http://10.233.0.1:1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("calico-node: ")
    assert "10.233.0.1:1" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_addresses_are_detected_as_asked(nodes):
    nodes[0].host.sh("ip link add eth7 type veth peer name eth8; ip addr add 10.7.0.1/30 dev eth7")
    started = nodes[0].call("startup", IP_AUTODETECTION_METHOD="can-reach=10.233.0.12")
    assert "autodetected IPv4 address: 10.233.0.11/24" in started.stdout
    started = nodes[0].call("startup", IP="autodetect", IP_AUTODETECTION_METHOD="cidr=10.7.0.0/16")
    assert "autodetected IPv4 address: 10.7.0.1/30" in started.stdout


def test_in_the_foreground_it_ends_with_its_supervisor(nodes):
    node = nodes[0]
    with node.host.popen([CALICO_NODE, "run"]) as running:
        wait(lambda: node.pids().keys() == {"bird", "bgp"}, "the processes")
        running.terminate()
        assert running.wait(DEADLINE_S) == 0
    assert node.status()["services"] == {}
