"""Two hosts, whose Felixes have one datastore, and what makes routes between them."""

import json

import pytest

from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey, BlockKey
from libcalico.resources.nodes import NodeBGPSpec
from libcalico.testing import builders as a

BLOCKS = [("10.65.0.0/26", "fd65::/122"), ("10.65.0.64/26", "fd65::40/122")]
TUNNELS = [("10.65.0.50", "fd65::3f"), ("10.65.0.120", "fd65::78")]


class Pair:
    """Two hosts' Felixes with one datastore: ``east`` and ``west``, each with a block of both pools."""

    def __init__(self, felixes):
        self.felixes = self.east, self.west = felixes
        self.put_nodes(TUNNELS)
        for felix, blocks in zip(felixes, BLOCKS, strict=True):
            for cidr in blocks:
                self.put_block(felix.host.name, cidr)

    def put_nodes(self, tunnels, lengths=(24, 64), ipip=("", "")):
        """Store the Nodes: tunnels' addresses (VXLAN in both families, IPIP), lengths of their networks."""
        for felix, (four, six), tunnel in zip(self.felixes, tunnels, ipip, strict=True):
            own = [f"{x}/{n}" for x, n in zip(felix.host.addresses, lengths, strict=True)]
            felix.put(
                a.a_node(
                    name=felix.host.name,
                    bgp=NodeBGPSpec(
                        ipv4_address=own[0], ipv6_address=own[1], ipv4_ipip_tunnel_addr=tunnel
                    ),
                    ipv4_vxlan_tunnel_addr=four,
                    ipv6_vxlan_tunnel_addr=six,
                )
            )

    def put_block(self, host, cidr, borrowed=None):
        """Store a block of a host, of which another may have borrowed: ordinal → node."""
        key = keys.path_of(AffinityKey(host, cidr))
        self.east.etcd.put(key, json.dumps({"state": "confirmed", "deleted": "false"}))
        allocations = [None] * 64
        for index, ordinal in enumerate(borrowed or {}):
            allocations[ordinal] = index
        block = {
            "cidr": cidr,
            "affinity": f"host:{host}",
            "allocations": allocations,
            "unallocated": [],
            "attributes": [{"secondary": {"node": node}} for node in (borrowed or {}).values()],
        }
        self.east.etcd.put(keys.path_of(BlockKey(cidr)), json.dumps(block))

    def put_pools(self, mode, ipip="Never"):
        """Store the pools: VXLAN's mode of both; with an ``ipip`` mode the IPv4 pool has that instead."""
        four = "Never" if ipip != "Never" else mode
        self.east.put(
            a.a_pool(name="v4", cidr="10.65.0.0/24", vxlan_mode=four, ipip_mode=ipip),
            a.a_pool(name="v6", cidr="fd65::/112", vxlan_mode=mode),
        )

    def start(self):
        for felix in self.felixes:
            felix.start()

    def received(self, version):
        """Return how many packets have come out of west's tunnel."""
        name = {4: "vxlan.calico", 6: "vxlan-v6.calico"}[version]
        shown = self.west.host.run(["ip", "-json", "-s", "link", "show", name], check=False).stdout
        return json.loads(shown)[0]["stats64"]["rx"]["packets"] if shown else 0

    def route(self, felix, destination):
        version = 6 if ":" in destination else 4
        return felix.host.run(["ip", f"-{version}", "route", "show", destination]).stdout

    def wait_route(self, felix, destination, text):
        felix.wait(lambda: text in self.route(felix, destination), f"route {destination} {text}")

    def connect(self):
        """Make a workload of each host, and wait until they reach each other; return west's and east's."""
        web, api = self.west.connect("web"), self.east.connect("api")
        self.east.wait_outcomes(api, web, self.east.OPEN)
        return web, api


@pytest.fixture
def pair(lab, basics, felix_of):
    made = lab(2)
    found = Pair([felix_of(made, 0, 1), felix_of(made, 1, 65)])
    found.east.put(*basics)
    return found
