"""Two whole nodes: a pool that is encapsulated live gives both a tunnel, and BIRD leaves its routes alone."""

import json
import sys
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.probes import Probe

CALICO_NODE = str(Path(sys.executable).with_name("calico-node"))
DEADLINE_S = 40.0
RESOURCES = "/calico/resources/v3/projectcalico.org/"
POOL = f"{RESOURCES}ippools/default-ipv4-ippool"


class Nodes:
    """The nodes of a lab, and their datastore."""

    def __init__(self, lab):
        self.hosts, self.etcd = lab.hosts, lab.etcd
        for host in self.hosts:
            host.env |= {"ETCD_ENDPOINTS": self.etcd.endpoint, "NODENAME": host.name}
            host.run([CALICO_NODE, "run", "--detach"])

    def set_mode(self, mode):
        pool = json.loads(self.etcd.get_prefix(POOL)[POOL])
        pool["spec"]["vxlanMode"] = mode
        self.etcd.put(POOL, json.dumps(pool))

    def tunnel(self, host):
        """Return the address of a host's tunnel as its Node has it; empty without one."""
        key = f"{RESOURCES}nodes/{host.name}"
        node = json.loads(self.etcd.get_prefix(key)[key])
        return node["spec"].get("ipv4VXLANTunnelAddr", "")

    def has_device(self, host):
        return host.run(["ip", "link", "show", "vxlan.calico"], check=False).returncode == 0


def wait(condition, what):
    processes.wait_until(condition, what, deadline_s=DEADLINE_S)


def is_open(observation):
    return observation.outcome.value == "open"


@pytest.fixture
def nodes(lab):
    made = Nodes(lab(2))
    yield made
    for host in made.hosts:
        host.run([CALICO_NODE, "stop"], check=False)


def test_a_pool_is_encapsulated_and_not_any_more_live(nodes):
    one, two = nodes.hosts
    assert not nodes.tunnel(one)
    nodes.set_mode("Always")
    wait(lambda: nodes.tunnel(one) and nodes.tunnel(two), "both have a tunnel address")
    echo = Probe.parse("icmp")
    wait(lambda: is_open(one.probe(nodes.tunnel(two), echo)), "the tunnels reach each other")
    routes = one.sh("ip route show dev vxlan.calico")
    assert f"via {nodes.tunnel(two)} proto 80 onlink" in routes
    assert "bird" not in routes
    nodes.set_mode("Never")
    wait(lambda: not any(map(nodes.has_device, nodes.hosts)), "no tunnel any more")
    wait(lambda: not nodes.tunnel(one) and not nodes.tunnel(two), "the addresses are given back")
    assert not [k for k in nodes.etcd.get_prefix("/calico/ipam/v2/handle/") if "tunnel" in k]
