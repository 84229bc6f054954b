"""Configuration: who wins, what changes live, what becomes of bad values; metrics; idleness."""

import select
import signal
from pathlib import Path

import pytest

from calico_node.felix.nft.monitor import Monitor
from calico_test import netns
from libcalico.testing import builders as a

TO_HOST = "cali-wl-to-host"


def said(felix):
    """Return the endpoint-to-host action that is in force."""
    for line in felix.chain(TO_HOST).splitlines():
        if "endpoint to host action" in line:
            return line.split()[0]
    return ""


def wait_said(felix, action):
    felix.wait(lambda: said(felix) == action, f"endpoint to host: {action}, not {said(felix)}")


def test_the_more_specific_source_wins_and_all_of_the_datastore_is_live(felix):
    felix.put(a.a_node(name=felix.host.name, labels={"rack": "r1"}))
    felix.start()
    assert said(felix) == "drop"
    felix.configure(default_endpoint_to_host_action="Accept")
    wait_said(felix, "accept")
    felix.configure(
        "racked", node_selector="rack == 'r1'", default_endpoint_to_host_action="Return"
    )
    wait_said(felix, "return")
    felix.configure(
        "unracked", node_selector="rack != 'r1'", default_endpoint_to_host_action="Drop"
    )
    felix.configure(f"node.{felix.host.name}", default_endpoint_to_host_action="Accept")
    wait_said(felix, "accept")
    felix.configure("node.other", default_endpoint_to_host_action="Drop")
    felix.delete(a.a_felix_configuration(name=f"node.{felix.host.name}"))
    wait_said(felix, "return")
    felix.put(a.a_node(name=felix.host.name, labels={"rack": "r2"}))
    wait_said(felix, "drop")
    felix.delete(a.a_felix_configuration(name="unracked"))
    wait_said(felix, "accept")


@pytest.mark.parametrize(
    ("file", "environ", "action"),
    [
        ("[global]\nDefaultEndpointToHostAction = return\n", {}, "return"),
        (
            "[global]\nDefaultEndpointToHostAction = return\n",
            {"FELIX_DefaultEndpointToHostAction": "ACCEPT"},
            "accept",
        ),
        ("", {"FELIX_DEFAULTENDPOINTTOHOSTACTION": "accept"}, "accept"),
    ],
)
def test_file_and_environment_win_over_the_datastore(felix, file, environ, action):
    felix.configure(f"node.{felix.host.name}", default_endpoint_to_host_action="Drop")
    felix.host.write_text("/etc/calico/felix.cfg", file)
    felix.start(**environ)
    assert said(felix) == action


def test_a_bad_value_is_reported_and_the_next_source_decides(felix):
    felix.configure(nat_outgoing_exclusions="IPPoolsAndHostIPs")
    felix.start()
    felix.wait_chain("cali-nat-outgoing", "cali40-all-hosts-net")
    spec = {"natOutgoingExclusions": "Sometimes", "defaultEndpointToHostAction": "Accept"}
    name = f"node.{felix.host.name}"
    felix.put_raw("FelixConfiguration", name, {"metadata": {"name": name}, "spec": spec})
    wait_said(felix, "accept")
    felix.wait_row("Configuration", "Sometimes")
    assert "Sometimes" in felix.log
    assert felix.is_ready()
    assert "cali40-all-hosts-net" in felix.chain("cali-nat-outgoing")


@pytest.mark.parametrize(
    "spec",
    [{"defaultEndpointToHostAction": "Perhaps"}, {"nftablesMarkMask": 1 << 20}],
    ids=["action", "mask"],
)
def test_a_value_without_which_nothing_goes_keeps_the_old_configuration(felix, announced, spec):
    announced.append("configuration cannot be used")
    felix.configure(default_endpoint_to_host_action="Return")
    felix.start()
    assert said(felix) == "return"
    felix.put_raw("FelixConfiguration", "default", {"metadata": {"name": "default"}, "spec": spec})
    felix.wait_row("Configuration", "keeping the old one")
    felix.put(a.a_global_policy(name="later"))
    felix.connect("web")
    felix.wait_policy("later")
    assert said(felix) == "return"
    before = felix.table()
    assert felix.end() == 0
    felix.start(until_ready=False)
    felix.wait_row("Configuration", "cannot be used")
    felix.wait_row("Datastore", "in sync")
    assert felix.table() == before, "nobody knows what the operator wants"
    felix.configure(default_endpoint_to_host_action="Accept")
    felix.wait_ready()
    assert said(felix) == "accept"


def test_a_bad_environment_ends_it_with_one_line(felix, announced):
    announced.append("cannot run")
    felix.start(until_ready=False, FELIX_DEFAULTENDPOINTTOHOSTACTION="perhaps")
    assert felix.process.wait(20) == 1
    assert "DefaultEndpointToHostAction" in felix.log
    assert felix.log.count("\n") == 1


def test_the_prefix_of_interfaces_changes_live(felix):
    felix.start()
    web = felix.connect("web")
    felix.configure(interface_prefix="tap,cali")
    felix.wait_chain("filter-FORWARD", '"tap*"')
    felix.wait_ready()
    assert felix.outcomes(felix.host, web) == felix.OPEN
    assert len(felix.statuses()) == 1


def test_the_log_level_changes_live(felix):
    felix.configure(log_severity_screen="Error")
    felix.start()
    felix.put_raw("GlobalNetworkPolicy", "quiet", "{")
    felix.wait_row("Objects", "GlobalNetworkPolicy(quiet)")
    felix.configure(log_severity_screen="Info")
    felix.wait_row("Configuration", "in force")
    felix.put_raw("GlobalNetworkPolicy", "loud", "{")
    felix.wait(lambda: "GlobalNetworkPolicy(loud)" in felix.log, "the log says so")
    assert "GlobalNetworkPolicy(quiet)" not in felix.log


def test_metrics_are_served_where_the_configuration_says(felix):
    felix.start()
    assert felix.get("/metrics", 9091) == (0, "")
    felix.configure(prometheus_metrics_enabled=True, prometheus_metrics_port=9191)
    felix.wait(lambda: felix.get("/metrics", 9191)[0] == 200, "metrics are served")
    felix.connect("web")
    felix.put(a.a_global_policy(name="p"))
    felix.wait_policy("p")
    page = felix.get("/metrics", 9191)[1]
    for line in (
        "felix_resync_state 3.0",
        "felix_active_local_endpoints 1.0",
        "felix_active_local_policies 1.0",
        "felix_invalid_objects 0.0",
        "felix_route_table_num_routes 2.0",
    ):
        assert line in page
    felix.configure(prometheus_metrics_enabled=False)
    felix.wait(lambda: felix.get("/metrics", 9191)[0] == 0, "metrics are not served any more")
    assert felix.is_ready()


def test_a_second_felix_on_the_host_is_refused(felix, announced):
    announced.append("cannot run")
    felix.start()
    first = felix.process
    felix.start(until_ready=False)
    assert felix.process.wait(20) == 1
    assert "9099" in felix.log
    felix.process = first
    assert felix.is_ready()


def test_with_nothing_to_do_it_does_nothing(felix):
    felix.start()
    felix.connect("web")
    inside = Path(f"/proc/{felix.host.holder.pid}/ns/net")
    with netns.call_in(inside, lambda: Monitor("calico")) as monitor:
        felix.wait(felix.is_ready, "ready")
        monitor.read()
        before = cpu_ticks(felix.process.pid)
        assert not select.select([monitor], [], [], 2.0)[0], "a commit although nothing changed"
        spent = cpu_ticks(felix.process.pid) - before
    assert spent <= 4, f"{spent} hundredths of a second of two"
    tasks = Path(f"/proc/{felix.process.pid}/task").iterdir()
    assert not [task for task in tasks if (task / "children").read_text().strip()]
    assert felix.end(signal.SIGTERM) == 0


def cpu_ticks(pid):
    """Return hundredths of a second that a process and its children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))
