"""Two whole nodes: who programs routes between them, BIRD or Felix, as pools and configurations say."""

import ipaddress
import json
import sys
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.probes import Probe
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey, BlockKey

CALICO_NODE = str(Path(sys.executable).with_name("calico-node"))
DEADLINE_S = 40.0
RESOURCES = "/calico/resources/v3/projectcalico.org/"
POOL = f"{RESOURCES}ippools/default-ipv4-ippool"
FELIX = f"{RESOURCES}felixconfigurations/default"
BGP = f"{RESOURCES}bgpconfigurations/default"
EMPTY = '{"metadata": {"name": "%s"}, "spec": {}}'


class Nodes:
    """The nodes of a lab, and their datastore."""

    def __init__(self, lab):
        self.hosts, self.etcd = lab.hosts, lab.etcd
        for host in self.hosts:
            host.env |= {"ETCD_ENDPOINTS": self.etcd.endpoint, "NODENAME": host.name}
            host.run([CALICO_NODE, "run", "--detach"])

    def set_mode(self, mode, tunnel="vxlan"):
        self.change(POOL, **{f"{tunnel}Mode": mode})

    def change(self, key, **fields):
        """Set fields of the spec of what is stored, or is not yet, at a key."""
        stored = json.loads(self.etcd.get_prefix(key).get(key, EMPTY % key.rsplit("/", 1)[1]))
        stored["spec"] = {**stored.get("spec", {}), **fields}
        self.etcd.put(key, json.dumps(stored))

    def spec(self, key):
        return json.loads(self.etcd.get_prefix(key)[key])["spec"]

    def tunnel(self, host):
        """Return the address of a host's VXLAN tunnel as its Node has it; empty without one."""
        return self.spec(f"{RESOURCES}nodes/{host.name}").get("ipv4VXLANTunnelAddr", "")

    def ipip(self, host):
        """Return that of its IPIP tunnel."""
        node = self.spec(f"{RESOURCES}nodes/{host.name}")
        return node["bgp"].get("ipv4IPIPTunnelAddr", "")

    def claim(self, host, cidr):
        """Make a block be a host's, without an address in use."""
        confirmed = {"state": "confirmed", "deleted": "false"}
        self.etcd.put(keys.path_of(AffinityKey(host.name, cidr)), json.dumps(confirmed))
        block = {
            "cidr": cidr,
            "affinity": f"host:{host.name}",
            "allocations": [None] * 64,
            "unallocated": [*range(64)],
            "attributes": [],
        }
        self.etcd.put(keys.path_of(BlockKey(cidr)), json.dumps(block))

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


def test_an_ipip_pool_gives_both_a_tunnel_address_and_bird_leaves_its_routes_alone(nodes):
    one, two = nodes.hosts
    nodes.set_mode("Always", "ipip")
    wait(lambda: nodes.ipip(one) and nodes.ipip(two), "both have a tunnel address")
    block = ipaddress.ip_network(f"{nodes.ipip(one)}/26", strict=False)
    wait(lambda: f"blackhole {block}" in one.sh("ip route"), "it is from a block of this host")
    nodes.set_mode("CrossSubnet", "ipip")
    route = f"{block} via {one.addresses[0]} dev eth0 proto 80"
    wait(lambda: route in two.sh("ip route"), "in one subnet there is no tunnel")
    # BIRD may have heard of the block before its agent heard of the pool.
    wait(lambda: "bird" not in two.sh("ip route"), "BIRD leaves it alone")
    assert route in two.sh("ip route")
    nodes.set_mode("Never", "ipip")
    wait(lambda: not nodes.ipip(one) and not nodes.ipip(two), "the addresses are given back")


def test_bird_or_felix_programs_what_is_not_encapsulated(nodes):
    one, two = nodes.hosts
    blocks = list(ipaddress.ip_network(nodes.spec(POOL)["cidr"]).subnets(new_prefix=26))
    for host, block in zip(nodes.hosts, blocks, strict=False):
        nodes.claim(host, str(block))
    to_two = f"{blocks[1]} via {two.addresses[0]} dev eth0 proto"
    wait(lambda: f"{to_two} bird" in one.sh("ip route"), "BIRD's route")
    nodes.change(FELIX, programClusterRoutes="Enabled")
    wait(lambda: f"{to_two} 80" in one.sh("ip route"), "Felix's route")
    nodes.change(BGP, programClusterRoutes="Disabled")
    wait(lambda: "bird" not in one.sh("ip route") + two.sh("ip route"), "BIRD's are gone")
    assert f"{to_two} 80" in one.sh("ip route")
    told = one.sh("birdc -s /var/run/calico/bird.ctl show route export Mesh_* || true")
    assert str(blocks[1]) not in told
    nodes.change(BGP, programClusterRoutes="Enabled")
    nodes.change(FELIX, programClusterRoutes="Disabled")
    wait(lambda: f"{to_two} bird" in one.sh("ip route"), "BIRD's route again")
    wait(lambda: f"{to_two} 80" not in one.sh("ip route"), "and Felix's is gone")
