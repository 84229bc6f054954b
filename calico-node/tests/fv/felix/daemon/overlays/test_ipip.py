"""IPIP where the kernel has it, and what is told where it has not."""

import pytest

from libcalico.testing import builders as a

IPIP = ("10.65.0.51", "10.65.0.121")
TUNNELS = [("10.65.0.50", "fd65::3f"), ("10.65.0.120", "fd65::78")]
DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])


def has_ipip(host):
    """Whether the kernel has IPIP devices; tried in a namespace of its own."""
    tried = host.run(["unshare", "--net", "ip", "link", "add", "x", "type", "ipip"], check=False)
    return tried.returncode == 0


@pytest.fixture
def ipip(pair):
    """Two hosts with a pool in IPIP, on a kernel that has it."""
    if not has_ipip(pair.east.host):
        pytest.skip("this kernel has no IPIP devices")
    return pair


@pytest.fixture
def lacking(pair):
    """Two hosts on a kernel without IPIP."""
    if has_ipip(pair.east.host):
        pytest.skip("this kernel has IPIP devices")
    return pair


def only_warning(felix):
    """Return what the log says of the tunnel; it must be one line."""
    (line,) = [line for line in felix.log.splitlines() if "type=IPIP" in line]
    return line


def test_workloads_reach_each_other_through_the_tunnel(ipip):
    ipip.put_nodes(TUNNELS, ipip=IPIP)
    ipip.put_pools("Never", ipip="Always")
    ipip.start()
    web, api = ipip.connect()
    shown = ipip.route(ipip.east, "10.65.0.64/26")
    assert f"via {ipip.west.host.addresses[0]} dev tunl0" in shown
    assert "10.65.0.51/32" in ipip.east.host.sh("ip address show dev tunl0")
    assert ipip.east.outcomes(ipip.east.host, web)[0] == "open"
    ipip.east.wait_chain("filter-INPUT", "IPIP from who is no node")
    ipip.east.host.sh("ip link set tunl0 down; ip address flush dev tunl0")
    ipip.east.wait(lambda: ipip.east.outcomes(api, web)[0] == "open", "the tunnel is repaired")
    ipip.put_pools("Never", ipip="CrossSubnet")
    ipip.wait_route(ipip.east, "10.65.0.64/26", "dev eth0")
    assert ipip.east.outcomes(api, web)[0] == "open"
    ipip.put_pools("Never")
    ipip.east.wait(
        lambda: "inet" not in ipip.east.host.sh("ip address show dev tunl0 || true"), "given back"
    )


def test_a_kernel_without_ipip_is_told_of_once_and_all_else_works(lacking):
    lacking.put_nodes(TUNNELS, ipip=IPIP)
    lacking.put_pools("Always", ipip="Always")
    lacking.start()
    east = lacking.east
    detail = east.row("Dataplane")[2]
    assert detail == (
        "no IPIP: this kernel has no IPIP devices: load its module ipip (CONFIG_NET_IPIP),"
        " or use vxlanMode; needed by IPPool v4"
    )
    web, api, other = lacking.west.connect("web"), east.connect("api"), east.connect("other")
    east.wait(lambda: east.outcomes(api, web)[1] == "open", "IPv6 goes through VXLAN")
    assert east.outcomes(api, web)[0] != "open"
    assert east.outcomes(api, other) == east.OPEN
    east.put(DENY_WEB)
    lacking.west.wait_policy("deny-web")
    assert east.outcomes(api, web)[1] != "open"
    east.delete(DENY_WEB)
    assert "needed by IPPool v4" in only_warning(east)
    lacking.put_pools("Always", ipip="CrossSubnet")  # which needs no tunnel between these two
    east.wait_outcomes(api, web, east.OPEN)
    lacking.put_pools("Always")
    lacking.wait_route(east, "10.65.0.64/26", "dev vxlan.calico")
    east.wait_row("Dataplane", "in sync")
    east.wait_outcomes(api, web, east.OPEN)


def test_a_node_without_address_for_its_tunnel_says_so(pair):
    pair.put_pools("Never", ipip="Always")
    pair.start()
    pair.east.wait_row("Dataplane", "no IPIP: this node has no tunnel address yet")
    assert pair.east.is_ready()


def test_an_interface_of_others_with_the_devices_name_is_left_alone(lacking):
    east = lacking.east
    east.host.sh("ip link add tunl0 type bridge; ip address add 192.0.2.1/32 dev tunl0")
    lacking.put_nodes(TUNNELS, ipip=IPIP)
    lacking.put_pools("Never", ipip="Always")
    lacking.start()
    assert "interface tunl0 is of kind bridge, not an IPIP device" in only_warning(east)
    assert "192.0.2.1/32" in east.host.sh("ip address show dev tunl0")
    lacking.put_pools("Never")
    east.wait_row("Dataplane", "in sync")
    assert "192.0.2.1/32" in east.host.sh("ip address show dev tunl0")
    lacking.put_pools("Never", ipip="Always")
    east.wait_row("Dataplane", "of kind bridge")
    east.host.sh("ip link delete tunl0")
    east.wait_row("Dataplane", "this kernel has no IPIP devices")
