"""Parameters → what rules, routes and listeners are made with."""

import pytest

from calico_node.felix.config import Source, resolve
from calico_node.felix.settings import (
    Listener,
    audit_intervals,
    excluded_interfaces,
    firewall_settings,
    health_listener,
    health_timeouts,
    log_settings,
    metrics_listener,
    needs_blocks,
    route_settings,
    rule_settings,
)
from libcalico.errors import ConfigError


def config(**texts):
    return resolve([Source("test", texts)])


def test_defaults_are_felixs():
    assert rule_settings(config()).interface_prefixes == ("cali",)
    assert rule_settings(config()).endpoint_to_host == "Drop"
    assert route_settings(config()).priorities == {4: 1024, 6: 1024}


def test_several_interface_prefixes():
    several = config(InterfacePrefix="cali,tap")
    assert rule_settings(several).interface_prefixes == ("cali", "tap")
    assert route_settings(several).interface_prefixes == ("cali", "tap")


def test_a_mark_mask_of_one_bit_is_refused_with_its_source():
    with pytest.raises(ConfigError, match=r"test: NftablesMarkMask: .*0x100000 "):
        rule_settings(config(NftablesMarkMask="0x100000"))


def test_it_answers_where_it_is_switched_on():
    assert health_listener(config()) is metrics_listener(config()) is None
    assert health_listener(config(HealthEnabled="true", HealthPort="1")) == Listener("localhost", 1)
    assert metrics_listener(config(PrometheusMetricsEnabled="true")) == Listener("", 9091)


def test_metrics_are_served_over_tls_once_a_file_of_it_is_named():
    files = {"CertFile": "/a", "KeyFile": "/b", "CAFile": "/c"}
    named = {f"PrometheusMetrics{name}": path for name, path in files.items()}
    for name, path in named.items():
        assert listener(**{name: path}).tls is not None, name
    tls = listener(**named).tls
    assert [file.path for file in (tls.certificate, tls.key, tls.authority)] == ["/a", "/b", "/c"]
    assert tls.certificate.parameter == "PrometheusMetricsCertFile"
    for auth, clients in (
        ("RequireAndVerifyClientCert", "required"),
        ("RequireAnyClientCert", "required"),
        ("verifyclientcertifgiven", "optional"),
        ("NoClientCert", "none"),
        ("Perhaps", "required"),
    ):
        assert listener(**named, PrometheusMetricsClientAuth=auth).tls.clients == clients


def listener(**texts):
    return metrics_listener(config(PrometheusMetricsEnabled="true", **texts))


def test_the_watchdog_is_overridden_by_either_name_of_the_loop():
    assert health_timeouts(config()) == {"Dataplane": 90.0}
    assert health_timeouts(config(DataplaneWatchdogTimeout="5"))["Dataplane"] == 5.0
    either = config(HealthTimeoutOverrides="InternalDataplaneMainLoop=20s,Objects=1m")
    assert health_timeouts(either) == {"Dataplane": 20.0, "Objects": 60.0}
    both = config(HealthTimeoutOverrides="InternalDataplaneMainLoop=20s,Dataplane=30s")
    assert health_timeouts(both)["Dataplane"] == 30.0


def test_a_log_that_is_turned_off_has_no_level_or_no_place():
    off = log_settings(config(LogFilePath="none", LogSeveritySys="none", LogSeverityScreen="none"))
    assert (off.screen, off.file, off.syslog_level) == ("none", "", "")
    assert log_settings(config(LogSeverityFile="DEBUG")).file_level == "Debug"


@pytest.mark.parametrize(
    ("text", "excluded", "told"),
    [
        ("", ["kube-ipvs0"], ["kube-ipvs01", "xkube-ipvs0", "eth0"]),
        ("eth0,/^kube/,/x$/", ["eth0", "kube9", "box"], ["eth01", "akube", "kub", "eth1"]),
        ("eth.1", ["eth.1"], ["ethx1"]),
        ("none", [], ["kube-ipvs0", "eth0", ""]),
    ],
)
def test_interfaces_are_excluded_by_name_or_by_expression(text, excluded, told):
    pattern = excluded_interfaces(config(InterfaceExclude=text))
    assert [name for name in (*excluded, *told) if pattern.search(name)] == excluded


@pytest.mark.parametrize("text", ["/(/", "eth0,too-long-for-a-name", "et/h"])
def test_a_bad_exclusion_is_reported_and_the_default_holds(text):
    bad = config(InterfaceExclude=text)
    assert len(bad.problems) == 1
    assert bad.problems[0].startswith("test: InterfaceExclude: ")
    assert bad["InterfaceExclude"] == ("kube-ipvs0",)


def test_what_policy_allows_is_accepted_or_left_to_the_host():
    assert firewall_settings(config()).accepts
    assert not firewall_settings(config(NftablesFilterAllowAction="RETURN")).accepts


def test_audits_are_turned_off_by_zero():
    assert audit_intervals(config(RouteRefreshInterval="0"))["routes"] == 0
    assert audit_intervals(config())["nftables"] == 180.0


def test_the_clusters_blocks_matter_where_routes_follow_from_them():
    assert needs_blocks(config(), has_overlay=True)
    assert not needs_blocks(config(), has_overlay=False)
    assert needs_blocks(config(ProgramClusterRoutes="Enabled"), has_overlay=False)
    assert not needs_blocks(config(RouteSource="WorkloadIPs"), has_overlay=True)
    assert not needs_blocks(config(RouteSyncDisabled="true"), has_overlay=True)


def test_what_decides_about_tunnels_reaches_rules_and_routes_alike():
    texts = {"VxlanEnabled": "false", "IpInIpEnabled": "true", "IpInIpMtu": "1400"}
    overlay, rules = route_settings(config(**texts)).overlay, rule_settings(config(**texts))
    assert (overlay.vxlan, overlay.ipip) == (rules.vxlan, rules.ipip) == (False, True)
    assert overlay.ipip_mtu == 1400
    assert (route_settings(config()).overlay.vxlan, rule_settings(config()).ipip) == (None, None)
