"""Who says where addresses are, and who programs routes to them."""

import pytest


def proto_80(felix, version=4):
    """Return the destinations of Felix's routes to other nodes."""
    shown = felix.host.sh(f"ip -{version} route show proto 80 | grep -v blackhole || true")
    return {line.split()[0] for line in shown.splitlines()}


@pytest.fixture
def configured(pair):
    """What configures both hosts' Felixes."""
    return pair.east.configure


def test_workloads_instead_of_blocks_tell_where_addresses_are(pair, configured):
    pair.put_pools("Always")
    configured(route_source="WorkloadIPs")
    pair.start()
    web, api = pair.connect()
    assert proto_80(pair.east) == {web.address(4), "10.65.0.120"}
    assert proto_80(pair.east, 6) == {web.address(6), "fd65::78"}
    assert "via 10.65.0.120 dev vxlan.calico" in pair.route(pair.east, web.address(4))
    assert pair.east.outcomes(pair.east.host, web) == pair.east.OPEN

    pair.put_pools("CrossSubnet")
    pair.wait_route(pair.east, web.address(4), f"via {pair.west.host.addresses[0]} dev eth0")
    assert pair.east.outcomes(api, web) == pair.east.OPEN

    configured(route_source="CalicoIPAM")
    pair.wait_route(pair.east, "10.65.0.64/26", "dev eth0")
    pair.east.wait(lambda: proto_80(pair.east) == {"10.65.0.64/26"}, "blocks alone")
    assert pair.east.outcomes(api, web) == pair.east.OPEN

    configured(route_source="WorkloadIPs")
    pair.wait_route(pair.east, web.address(4), "dev eth0")
    pair.west.delete(pair.west.endpoint("web"))
    gone = {"10.65.0.120"}
    pair.east.wait(lambda: proto_80(pair.east) == gone, "a workload takes its route along")


@pytest.mark.parametrize("source", ["CalicoIPAM", "WorkloadIPs"])
def test_felix_programs_the_routes_of_pools_without_encapsulation_if_it_is_to(
    pair, configured, source
):
    pair.put_pools("Never")
    configured(route_source=source)
    pair.start()
    web, api = pair.west.connect("web"), pair.east.connect("api")
    assert pair.east.outcomes(api, web) == pair.east.CLOSED
    configured(route_source=source, program_cluster_routes="Enabled")
    pair.east.wait_outcomes(api, web, pair.east.OPEN)
    found = {"CalicoIPAM": "10.65.0.64/26", "WorkloadIPs": web.address(4)}[source]
    assert f"via {pair.west.host.addresses[0]} dev eth0" in pair.route(pair.east, found)
    pair.east.end()
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    pair.east.start()
    assert pair.east.outcomes(api, web) == pair.east.OPEN
    configured(route_source=source)
    pair.east.wait(lambda: not proto_80(pair.east), "they are BIRD's again")


def leave(felix, vxlan_mtu):
    """Tell Felix to leave routes alone, and wait until it does: until it has an MTU from the same turn."""
    felix.configure(route_sync_disabled=True, vxlan_mtu=vxlan_mtu)
    look = "ip link show vxlan.calico"
    felix.wait(lambda: f"mtu {vxlan_mtu}" in felix.host.sh(look), "the configuration is in force")


def test_felix_leaves_all_routes_alone_while_it_is_told_to(pair, configured):
    pair.put_pools("Always")
    configured(route_sync_disabled=True)
    pair.start()
    web, api = pair.west.connect("web"), pair.east.connect("api")  # both are reported as programmed
    assert pair.route(pair.east, api.address(4)) == pair.route(pair.east, "10.65.0.0/26") == ""
    assert pair.east.outcomes(api, web) == pair.east.CLOSED
    assert pair.east.row("Dataplane")[2] == "in sync"

    configured(route_sync_disabled=False)
    pair.east.wait_outcomes(api, web, pair.east.OPEN)

    leave(pair.east, vxlan_mtu=1300)
    pair.east.host.sh("ip route delete 10.65.0.64/26")
    leave(pair.east, vxlan_mtu=1301)
    assert pair.route(pair.east, "10.65.0.64/26") == ""
    assert "dev caliapi" in pair.route(pair.east, api.address(4))
    configured(route_sync_disabled=False)
    pair.east.wait_outcomes(api, web, pair.east.OPEN)


def test_a_switch_overrules_the_pools(pair, configured):
    pair.put_pools("Always")
    configured(vxlan_enabled=False)
    pair.start()
    web, api = pair.west.connect("web"), pair.east.connect("api")
    assert pair.east.outcomes(api, web) == pair.east.CLOSED
    assert "vxlan" not in pair.east.host.sh("ip link")
    assert "no node" not in pair.east.chain("filter-INPUT")
    configured()
    pair.east.wait_outcomes(api, web, pair.east.OPEN)
    pair.east.wait_chain("filter-INPUT", "VXLAN from who is no node")
