"""Changes of configuration that are no rules, applied live: listeners, routes, tunnels, host firewall."""

import json

from libcalico.resources.nodes import NodeBGPSpec
from libcalico.testing import builders as a

DOCKER = """
iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -I FORWARD -j DOCKER-USER
"""


def status(felix, address, port, path):
    """Return the status of an answer there, 0 if nobody answers."""
    asked = f"curl -s -m 5 -o /dev/null -w %{{http_code}} http://{address}:{port}{path}"
    return int(felix.host.run(asked.split(), check=False).stdout)


def test_the_addresses_of_listeners(felix):
    felix.start()
    assert status(felix, "127.0.0.1", 9099, "/liveness") == 204
    felix.configure(
        health_host="127.0.0.2",
        prometheus_metrics_host="127.0.0.3",
        prometheus_metrics_enabled=True,
    )
    felix.wait(lambda: status(felix, "127.0.0.2", 9099, "/liveness") == 204, "health is told there")
    felix.wait(
        lambda: status(felix, "127.0.0.3", 9091, "/metrics") == 200, "metrics are shown there"
    )
    assert status(felix, "127.0.0.1", 9099, "/liveness") == 0
    assert status(felix, "127.0.0.1", 9091, "/metrics") == 0


def test_the_watchdog_of_the_loop(felix):
    felix.start()
    felix.configure(dataplane_watchdog_timeout="1ms")
    felix.wait(lambda: felix.get("/liveness")[0] == 503, "a second between two turns is too long")
    felix.configure(dataplane_watchdog_timeout="1m")
    felix.wait(lambda: felix.get("/liveness")[0] == 204, "it is not")


def test_where_rules_in_the_hosts_firewall_go(felix):
    felix.host.sh(DOCKER)
    felix.start()

    def ours(chain):
        return felix.host.sh(f"iptables-nft -S {chain}").count("calico: policy has passed")

    felix.wait(lambda: (ours("DOCKER-USER"), ours("FORWARD")) == (2, 0), "before the others")
    felix.configure(chain_insert_mode="Append")
    felix.wait(lambda: (ours("DOCKER-USER"), ours("FORWARD")) == (0, 2), "behind the others")


def test_routes_of_both_families(felix):
    felix.start()
    web = felix.connect("web")
    felix.configure(
        device_route_source_address=felix.host.address(4),
        device_route_source_address_ipv6=felix.host.address(6),
        ipv6_normal_route_priority=77,
    )

    def route(version):
        return felix.host.sh(f"ip -{version} route show {web.address(version)}")

    for version in (4, 6):
        source = f"src {felix.host.address(version)}"
        felix.wait(lambda v=version, s=source: s in route(v), "with another source")
    assert "metric 77" in route(6)
    assert felix.outcomes(felix.host, web) == felix.OPEN


def test_forwarding(felix):
    switch = "/proc/sys/net/ipv4/ip_forward"
    felix.host.sh(f"echo 0 >{switch}")
    felix.configure(ip_forwarding="Disabled")
    felix.start()
    assert felix.host.sh(f"cat {switch}") == "0\n"
    felix.configure(ip_forwarding="Enabled")
    felix.wait(lambda: felix.host.sh(f"cat {switch}") == "1\n", "it is turned on")


def test_the_interval_of_reading_routes(felix):
    felix.configure(route_refresh_interval="0s", interface_refresh_interval="0s")
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")

    def count():
        page = felix.get("/metrics", 9091)[1].splitlines()
        (line,) = [x for x in page if x.startswith("felix_route_table_resync_seconds_count")]
        return float(line.split()[1])

    before = count()
    felix.configure(route_refresh_interval="1s", interface_refresh_interval="0s")
    felix.wait(lambda: count() >= before + 2, "routes are read again and again")


def test_tunnels(felix):
    own, own6 = f"{felix.host.address(4)}/24", f"{felix.host.address(6)}/64"
    felix.put(
        a.a_node(
            name=felix.host.name,
            bgp=NodeBGPSpec(ipv4_address=own, ipv6_address=own6),
            ipv4_vxlan_tunnel_addr="10.65.0.50",
            ipv6_vxlan_tunnel_addr="fd65::3f",
        ),
        a.a_pool(name="v4", cidr="10.65.0.0/24", vxlan_mode="Always"),
        a.a_pool(name="v6", cidr="fd65::/112", vxlan_mode="Always"),
    )
    felix.host.sh("ip link add tiny0 mtu 1350 type veth peer name xtiny0")
    felix.host.sh("ip link set tiny0 up; ip link set xtiny0 up")
    felix.start()

    def device(name):
        shown = felix.host.run(["ip", "-json", "-d", "link", "show", name], check=False).stdout
        found = json.loads(shown)[0] if shown else {}
        return found.get("linkinfo", {}).get("info_data", {}).get("id"), found.get("mtu")

    def are(four, six):
        wanted = [four, six]
        felix.wait(
            lambda: [device("vxlan.calico"), device("vxlan-v6.calico")] == wanted, str(wanted)
        )

    are((4096, 1450), (4096, 1430))
    felix.configure(vxlan_mtu=1400, vxlan_mtu_v6=1390, vxlan_vni=4097)
    are((4097, 1400), (4097, 1390))
    felix.configure(mtu_iface_pattern="^tiny")
    are((4096, 1300), (4096, 1280))
