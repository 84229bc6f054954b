"""A change of configuration is applied live, whatever kind of parameter it is."""

import re

from calico_test.probes import Probe
from libcalico.resources.bgp import ServiceCIDR
from libcalico.resources.felixconfig import HealthTimeoutOverride
from libcalico.testing import builders as a

#: Counts what the host forwards to services.
WATCH = """
table inet watch {
    chain forward {
        type filter hook forward priority 10
        meta l4proto udp udp dport 80 counter
    }
}
"""


def test_rules(felix):
    felix.start()
    felix.connect("web")
    felix.configure(nftables_mark_mask=0x0FF00000)
    felix.wait(lambda: "0x00100000" in str(felix.table()), "rules use the new bits")
    assert not re.search(r"0x0001\d{4}", str(felix.table()))
    felix.configure(nftables_filter_deny_action="Reject")
    felix.wait(lambda: "reject" in str(felix.table()), "what is denied is rejected")
    assert felix.is_ready()


def test_loops_of_services(felix):
    """What the outside sends to a service that nothing here translates is ended, or else sent back."""
    felix.put(
        a.a_bgp_configuration(
            service_cluster_ips=[ServiceCIDR(cidr=cidr) for cidr in ("10.96.0.0/16", "fd96::/112")]
        )
    )
    felix.start()
    fabric, world = felix.lab.fabric, felix.lab.outside
    for pool, version in (("10.96.0.0/16", 4), ("fd96::/112", 6)):
        fabric.run(["ip", "route", "add", pool, "via", felix.host.address(version)])

    def outcomes():
        return [world.probe(to, Probe("udp", 80)).outcome for to in ("10.96.0.1", "fd96::1")]

    def ended():
        listed = felix.host.run(["nft", "list", "chain", "inet", "watch", "forward"]).stdout
        return int(re.search(r"packets (\d+)", listed)[1])

    # The kernel takes a redirect that is due for an answer that it has just given.
    felix.host.sh(
        "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0"
    )
    felix.host.run(["nft", "-f", "-"], stdin=WATCH)
    assert outcomes() == ["timeout"] * 2
    assert ended() == 0, "nothing is forwarded"
    felix.configure(service_loop_prevention="Reject")
    felix.wait_chain("cali-cidr-block", "reject")
    assert outcomes() == ["refused"] * 2
    felix.configure(service_loop_prevention="Disabled")
    felix.wait(lambda: not felix.chain("cali-cidr-block"), "loops are not ended")
    outcomes()
    assert ended() == 2, "both are sent back to where they came from"


def test_policies_that_may_be_needed(felix):
    felix.start()
    rule = a.a_rule("Allow", source={"selector": "role == 'friend'"})
    hinted = {"performance_hints": ["AssumeNeededOnEveryNode"]}
    felix.put(a.a_global_network_set(name="s", labels={"role": "friend"}, nets=["192.0.2.7/32"]))
    felix.put(a.a_global_policy(name="rare", selector="app == 'no'", ingress=[rule], **hinted))
    felix.wait_policy("rare")
    assert "192.0.2.7" in felix.host.run(["nft", "list", "sets"]).stdout
    felix.put(a.a_global_policy(name="rare", selector="app == 'no'", ingress=[rule]))
    felix.wait(lambda: not felix.chain("cali-pi-gnp/rare"), "nobody uses it")


def test_routes(felix):
    felix.start()
    web = felix.connect("web")
    felix.configure(ipv4_normal_route_priority=77, device_route_protocol=123)
    route = "ip route show 10.65.0.1"
    felix.wait(lambda: "metric 77" in felix.host.sh(route), "another metric")
    assert "proto 123" in felix.host.sh(route)
    assert felix.host.sh(route).count("\n") == 1
    assert felix.outcomes(felix.host, web) == felix.OPEN


def test_the_health_endpoint(felix):
    del felix.host.env["FELIX_HEALTHENABLED"]
    felix.start(until_ready=False)
    felix.configure(health_enabled=True, health_port=9199)
    felix.wait(lambda: felix.get("/readiness", 9199)[0] == 204, "health is told there")
    assert felix.get("/readiness")[0] == 0


def test_the_log_file(felix):
    felix.start()
    felix.configure(log_file_path="/var/log/calico/other.log", log_severity_file="Warning")
    felix.wait(lambda: felix.host.exists("/var/log/calico/other.log"), "there is a file")
    felix.put_raw("GlobalNetworkPolicy", "odd", "{")
    felix.wait_row("Objects", "GlobalNetworkPolicy(odd)")
    text = felix.host.read_text("/var/log/calico/other.log")
    assert "GlobalNetworkPolicy(odd)" in text
    assert " INFO " not in text


def test_the_place_of_status_files(felix):
    felix.start()
    felix.connect("web")
    kept = felix.statuses()
    felix.configure(endpoint_status_path_prefix="/var/run/elsewhere")
    place = "/var/run/elsewhere/endpoint-status"
    felix.wait(lambda: felix.host.exists(place), "there is another place")
    felix.wait(
        lambda: {p.name for p in felix.host.path(place).iterdir()} == kept, "files are there"
    )
    assert felix.statuses() == set()
    felix.delete(felix.endpoint("web"))
    felix.wait(lambda: not list(felix.host.path(place).iterdir()), "it is followed")


def test_the_interval_of_audits(felix):
    felix.configure(interface_refresh_interval="0s")
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    felix.connect("web")
    felix.host.sh("echo 0 >/proc/sys/net/ipv4/conf/caliweb/route_localnet")
    felix.configure(interface_refresh_interval="1s")
    felix.wait(
        lambda: felix.host.sh("cat /proc/sys/net/ipv4/conf/caliweb/route_localnet") == "1\n",
        "the setting is back",
    )
    assert 'felix_int_dataplane_repairs_total{what="sysctls"} 1.0' in felix.get("/metrics", 9091)[1]


def test_metrics_over_tls(felix, announced):
    """Certificates may come later, and be replaced; until there are any nothing is served."""
    announced.append("cannot answer, trying again error=PrometheusMetricsCertFile")
    folder = "/etc/calico/tls"
    felix.host.sh(f"mkdir -p {folder}")
    named = {
        "prometheus_metrics_enabled": True,
        "prometheus_metrics_cert_file": f"{folder}/own.pem",
        "prometheus_metrics_key_file": f"{folder}/own.key",
        "prometheus_metrics_ca_file": f"{folder}/own.pem",
    }
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=felix -days 2"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {folder}/own.key -out {folder}/own.pem"
    )
    pair = f"--cert {folder}/own.pem --key {folder}/own.key"

    def scrape(options=pair, scheme="https"):
        asked = (
            f"curl -sS -m 5 --cacert {folder}/own.pem {options} {scheme}://127.0.0.1:9091/metrics"
        )
        return "felix_resync_state 3.0" in felix.host.run(asked.split(), check=False).stdout

    felix.configure(**named)
    felix.start()
    felix.wait(
        lambda: "PrometheusMetricsCertFile: /etc" in felix.log, "the log says what is missing"
    )
    assert felix.get("/metrics", 9091) == (0, "")
    felix.host.sh(make)
    felix.wait(scrape, "it is served")
    assert not scrape("")
    assert not scrape("", "http")
    felix.host.sh(make)
    assert scrape(), "with the new certificate"
    felix.configure(**named, prometheus_metrics_client_auth="NoClientCert")
    felix.wait(lambda: scrape(""), "whoever asks is served")
    felix.configure(prometheus_metrics_enabled=True)
    felix.wait(lambda: scrape("", "http"), "without TLS")
    assert felix.is_ready()


def test_metrics_of_the_process(felix):
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    assert "process_resident_memory_bytes" in felix.get("/metrics", 9091)[1]
    felix.configure(prometheus_process_metrics_enabled=False)
    felix.wait(
        lambda: "process_resident_memory_bytes" not in felix.get("/metrics", 9091)[1],
        "not any more",
    )


def test_the_watchdog(felix):
    """A turn that never comes counts as hanging sooner or later, as the configuration says."""
    felix.start()
    felix.configure(
        health_timeout_overrides=[
            HealthTimeoutOverride(name="InternalDataplaneMainLoop", timeout="1ms")
        ]
    )
    felix.wait(lambda: felix.get("/liveness")[0] == 503, "a second between two turns is too long")
    felix.configure(
        health_timeout_overrides=[
            HealthTimeoutOverride(name="InternalDataplaneMainLoop", timeout="0s")
        ]
    )
    felix.wait(lambda: felix.get("/liveness")[0] == 204, "it may take as long as it likes")
