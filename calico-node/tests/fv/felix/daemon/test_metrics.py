"""Every metric says what it is said to say."""

import re
from pathlib import Path

import pytest

from calico_node.felix import metrics
from libcalico.testing import builders as a

#: Those that another test provokes: a kernel that refuses, a log that cannot be written.
ELSEWHERE = {
    "felix_nft_errors",
    "felix_nft_refused_policies",
    "felix_int_dataplane_failures",
    "felix_log_errors",
}


def values(page):
    """Name, with its labels → value."""
    lines = [line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


@pytest.fixture
def busy(felix):
    """A Felix that has something to count."""
    felix.put(
        a.a_node(name=felix.host.name),
        a.a_node(name="far", bgp=None),
        a.a_global_network_set(name="nets", labels={"role": "client"}, nets=["192.0.2.0/24"]),
        a.an_endpoint(node="far", container_id="far", ip_networks=["10.65.9.9/32"]),
        a.a_host_endpoint(node="far", expected_ips=["192.0.2.9"]),
    )
    felix.put_raw("GlobalNetworkPolicy", "odd", "{")
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    felix.connect("web")
    clients = a.a_rule("Allow", source={"selector": "role == 'client'"})
    felix.put(a.a_global_policy(name="clients", selector="app == 'web'", ingress=[clients]))
    felix.wait_policy("clients")
    return felix


def test_they_count_what_there_is(busy):
    said = values(busy.get("/metrics", 9091)[1])
    listed = busy.host.run(["nft", "list", "table", "inet", "calico"]).stdout
    chains = re.findall(r"^\tchain ", listed, flags=re.MULTILINE)
    expected = {
        f'felix_host{{host="{busy.host.name}"}}': 1,
        "felix_resync_state": 3,
        "felix_active_local_endpoints": 1,
        "felix_active_local_policies": 2,
        "felix_active_local_selectors": 1,
        "felix_cluster_num_hosts": 1,
        "felix_cluster_num_workload_endpoints": 2,
        "felix_cluster_num_host_endpoints": 1,
        "felix_cluster_num_policies": 2,
        "felix_cluster_num_profiles": 2,
        "felix_cluster_num_tiers": 1,
        "felix_label_index_num_endpoints": 4,
        "felix_label_index_num_active_selectors": 1,
        "felix_invalid_objects": 1,
        "felix_nft_chains": len(chains),
        "felix_nft_sets": len(re.findall(r"^\tset ", listed, flags=re.MULTILINE)),
        "felix_nft_maps": len(re.findall(r"^\tmap ", listed, flags=re.MULTILINE)),
        "felix_route_table_num_routes": 2,
        "felix_route_table_num_ifaces": 1,
    }
    assert {name: said[name] for name in expected} == expected
    rules = [r for r in listed.splitlines() if r.startswith("\t\t") and "type " not in r[:7]]
    assert 0 < said["felix_nft_rules"] <= len(rules)
    assert said["felix_nft_elements"] >= 3


def test_what_happens_moves_them(busy):
    before = values(busy.get("/metrics", 9091)[1])
    busy.put(a.a_global_policy(name="more", selector="app == 'web'", ingress=[a.a_rule("Deny")]))
    busy.wait_policy("more")
    busy.host.sh("ip link set caliweb down; nft flush table inet calico")
    busy.wait(lambda: busy.chain("cali-pi-gnp/more"), "the table is back")
    busy.wait(lambda: not busy.statuses(), "the interface is down")
    after = values(busy.get("/metrics", 9091)[1])
    for name in (
        "felix_calc_graph_updates_processed_total",
        "felix_calc_graph_output_events_total",
        "felix_calc_graph_update_time_seconds_count",
        "felix_int_dataplane_messages_total",
        "felix_int_dataplane_msg_batch_size_count",
        "felix_int_dataplane_iface_msg_batch_size_count",
        "felix_int_dataplane_apply_time_seconds_count",
        "felix_nft_calls_total",
    ):
        assert after[name] > before[name], name
    assert after['felix_int_dataplane_repairs_total{what="nftables"}'] >= 1
    assert after["felix_int_dataplane_initial_resync_time_seconds"] > 0
    assert after["felix_route_table_resync_seconds_count"] >= 1
    assert after["felix_resyncs_started_total"] >= 1


def test_every_metric_is_tested(busy):
    text = Path(__file__).read_text(encoding="utf-8")
    for family in metrics.REGISTRY.collect():
        assert family.name in ELSEWHERE or family.name in text, family.name
