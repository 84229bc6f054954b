"""Two hosts, and workloads that reach each other through VXLAN, in both families."""

import json
import sys

from calico_test.probes import Probe
from libcalico.testing import builders as a

TUNNELS = [("10.65.0.50", "fd65::3f"), ("10.65.0.120", "fd65::78")]
ENDS = [(TUNNELS[0][0], 32), (TUNNELS[0][1], 128)]
FORGET_PEERS = """
ip neighbour flush dev vxlan.calico nud permanent
bridge fdb show dev vxlan.calico | while read mac rest; do bridge fdb delete $mac dev vxlan.calico self; done
"""
DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])


SEND_ENCAPSULATED = """
import socket, struct, sys
to, mac, inner_source, inner_target = sys.argv[1:]
udp = struct.pack("!HHHH", 5555, 9, 12, 0) + b"evil"
head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                   socket.inet_aton(inner_source), socket.inet_aton(inner_target))
total = sum(struct.unpack("!10H", head))
total = (total & 65535) + (total >> 16)
head = head[:10] + struct.pack("!H", 65535 - total) + head[12:]
frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001") + b"\\x08\\x00" + head + udp
vxlan = struct.pack("!II", 1 << 27, 4096 << 8)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(vxlan + frame, (to, 4789))
"""


def test_workloads_reach_each_other_through_the_tunnel_and_policy_decides(pair):
    pair.put_pools("Always")
    pair.start()
    web, api = pair.connect()
    before = [pair.received(4), pair.received(6)]
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    assert all(now > then for now, then in zip(map(pair.received, (4, 6)), before, strict=True))
    assert "via 10.65.0.120 dev vxlan.calico" in pair.route(pair.east, "10.65.0.64/26")
    assert "via fd65::78 dev vxlan-v6.calico" in pair.route(pair.east, "fd65::40/122")
    assert pair.east.outcomes(pair.east.host, web) == pair.east.OPEN
    pair.west.put(DENY_WEB)
    pair.west.wait_policy("deny-web")
    assert pair.east.outcomes(api, web) == pair.east.CLOSED
    assert pair.east.outcomes(web, api) == pair.east.OPEN


def test_what_a_host_sends_into_a_tunnel_is_from_its_end_of_it(pair):
    pair.put_pools("Always")
    pair.start()
    web, _ = pair.connect()
    ends = [a.a_rule(source=a.EntityRule(nets=[f"{x}/{n}"])) for x, n in ENDS]
    pair.east.put(a.a_global_policy(name="ends", selector="app == 'web'", ingress=ends))
    pair.west.wait_policy("ends")
    host = pair.east.host
    assert pair.east.outcomes(host, web) == pair.east.OPEN
    assert pair.east.outcomes(host, web, senders=host.addresses) == pair.east.OPEN


def test_a_pool_changes_its_mode_live(pair):
    pair.put_pools("Never")
    pair.start()
    web, api = pair.west.connect("web"), pair.east.connect("api")
    assert pair.east.outcomes(api, web) == pair.east.CLOSED
    pair.put_pools("Always")
    pair.east.wait_outcomes(api, web, pair.east.OPEN)
    assert pair.received(4)
    pair.put_pools("CrossSubnet")
    peer = pair.west.host.addresses
    pair.wait_route(pair.east, "10.65.0.64/26", f"via {peer[0]} dev eth0")
    pair.wait_route(pair.east, "fd65::40/122", f"via {peer[1]} dev eth0")
    pair.wait_route(pair.west, "10.65.0.0/26", "dev eth0")
    pair.wait_route(pair.west, "fd65::/122", "dev eth0")
    before = [pair.received(4), pair.received(6)]
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    assert [pair.received(4), pair.received(6)] == before
    pair.put_nodes(TUNNELS, (32, 128))  # the router between them is the lab's bridge
    pair.wait_route(pair.east, "10.65.0.64/26", "dev vxlan.calico")
    pair.east.wait_outcomes(api, web, pair.east.OPEN)
    pair.put_pools("Never")
    for felix in pair.felixes:
        felix.wait(lambda f=felix: "vxlan" not in f.host.sh("ip link"), "no tunnel any more")
        assert "80" not in felix.host.sh("ip route show proto 80 | grep -v blackhole || true")
    assert pair.east.outcomes(api, web) == pair.east.CLOSED


def test_tunnels_follow_changed_addresses_and_come_back_when_others_damage_them(pair):
    pair.put_pools("Always")
    pair.start()
    web, api = pair.connect()
    changed = [TUNNELS[0], ("10.65.0.121", "fd65::79")]
    pair.put_nodes(changed)
    pair.wait_route(pair.east, "10.65.0.64/26", "via 10.65.0.121")
    pair.east.wait_outcomes(api, web, pair.east.OPEN)
    look = "ip address show dev vxlan.calico; ip address show dev vxlan-v6.calico"
    shown = pair.west.host.sh(look)
    assert "10.65.0.121/32" in shown
    assert "fd65::79/128" in shown
    assert "10.65.0.120" not in shown
    assert "fd65::78" not in shown
    for damage in (
        "ip link delete vxlan.calico; ip link delete vxlan-v6.calico",
        "ip link set vxlan.calico down; ip link set vxlan-v6.calico down",
        FORGET_PEERS,
        "ip address flush dev vxlan.calico; ip route flush proto 80",
    ):
        pair.east.host.sh(damage)
        pair.east.wait_outcomes(api, web, pair.east.OPEN)


def test_a_borrowed_address_has_a_route_of_its_own_and_the_rest_of_a_block_leads_nowhere(pair):
    pair.put_pools("Always")
    pair.start()
    _, api = pair.connect()
    host = pair.west.host
    pair.put_block(pair.east.host.name, "10.65.0.0/26", {40: host.name})
    pair.wait_route(pair.east, "10.65.0.40", "via 10.65.0.120 dev vxlan.calico")
    assert "blackhole" in pair.route(pair.east, "10.65.0.0/26")
    unassigned = api.probe("10.65.0.41", Probe("tcp", 80))
    assert unassigned.outcome.value != "open"
    assert "blackhole" in pair.east.host.sh("ip route show match 10.65.0.41 | head -2")
    pair.put_block(pair.east.host.name, "10.65.0.0/26")
    pair.east.wait(lambda: not pair.route(pair.east, "10.65.0.40"), "the loan ends")


def test_a_node_without_tunnel_address_says_so_and_devices_outlive_felix(pair):
    pair.put_pools("Always")
    pair.put_nodes([("", ""), TUNNELS[1]])
    pair.start()
    pair.east.wait_row("Dataplane", "no tunnel address yet")
    pair.put_nodes(TUNNELS)
    web, api = pair.connect()
    index = "ip -json link show vxlan.calico | grep -o '\"ifindex\":[0-9]*'"
    before = pair.east.host.sh(index)
    pair.east.end()
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    pair.east.start()
    assert pair.east.host.sh(index) == before
    assert pair.east.outcomes(api, web) == pair.east.OPEN


def test_host_endpoints_do_not_close_the_tunnels_between_hosts(pair):
    pair.put_pools("Always")
    for felix in pair.felixes:
        felix.put(
            a.a_host_endpoint(name=felix.host.name, node=felix.host.name, interface_name="eth0")
        )
    pair.start()
    web, api = pair.connect()
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    assert "open" not in pair.east.outcomes(pair.east.host, pair.west.host)
    pair.west.host.listen(udp=[80])
    world = pair.east.lab.outside
    assert "open" not in pair.east.outcomes(world, pair.west.host, "udp80")


def test_what_a_stranger_encapsulates_is_dropped(pair):
    pair.put_pools("Always")
    pair.start()
    web, api = pair.connect()
    west = pair.west.host
    mac = json.loads(west.run(["ip", "-json", "link", "show", "vxlan.calico"]).stdout)[0]["address"]
    inside = [west.addresses[0], mac, api.address(4), web.address(4)]
    argv = [sys.executable, "-IS", "-c", SEND_ENCAPSULATED, *inside]
    for _ in range(3):
        pair.east.lab.outside.run(argv)
    assert _to_closed_ports(web) == 0
    pair.east.host.run(argv)
    pair.east.wait(lambda: _to_closed_ports(web) == 1, "a node's packet arrives, alone")
    pair.west.configure(external_nodes_list=[f"{pair.east.lab.outside.address(4)}/32"])
    pair.west.wait_chain("filter-INPUT", pair.east.lab.outside.address(4))
    pair.east.lab.outside.run(argv)
    pair.east.wait(lambda: _to_closed_ports(web) == 2, "an external node's packet arrives")


def _to_closed_ports(workload):
    """Return how many UDP packets have come to a workload for ports that nobody listens on."""
    names, values = (
        line.split()
        for line in workload.run(["grep", "^Udp:", "/proc/net/snmp"]).stdout.splitlines()
    )
    return int(dict(zip(names, values, strict=True))["NoPorts"])
