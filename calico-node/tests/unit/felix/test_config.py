"""Felix's configuration: precedence, bad values, files and environment."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.config import Source, from_environment, from_file, resolve
from calico_node.felix.settings import route_settings, rule_settings
from libcalico.errors import ConfigError
from libcalico.net.addresses import parse_address
from libcalico.resources.felixparams import PARAMS


def test_without_any_source_everything_has_its_default():
    config = resolve([])
    assert {name: config[name] for name in PARAMS} == {n: p.default for n, p in PARAMS.items()}
    assert not config.origins
    assert not config.problems


def test_the_higher_source_wins_and_is_named():
    low, high = Source("low", {"HealthPort": "1"}), Source("high", {"HealthPort": "2"})
    config = resolve([low, high])
    assert (config["HealthPort"], config.origins["HealthPort"]) == (2, "high")


def test_a_bad_value_is_reported_and_the_next_lower_source_decides():
    low, high = Source("low", {"HealthPort": "1"}), Source("high", {"HealthPort": "many"})
    config = resolve([low, high])
    assert (config["HealthPort"], config.origins["HealthPort"]) == (1, "low")
    assert len(config.problems) == 1
    assert config.problems[0].startswith("high: HealthPort:")


def test_felix_does_not_run_with_a_bad_value_of_a_parameter_that_matters():
    with pytest.raises(ConfigError, match="environment: InterfacePrefix"):
        resolve([Source("environment", {"InterfacePrefix": "far too long for an interface"})])


def test_the_environment_is_read_in_any_case():
    source = from_environment(
        {"FELIX_HEALTHPORT": "1", "Felix_LogPrefix": "x", "HOME": "/", "FELIX_NONSENSE": "1"}
    )
    assert source.texts == {"HealthPort": "1", "LogPrefix": "x"}


def test_a_file_has_a_section_global():
    source = from_file(
        "[global]\nhealthport = 7\nNonsense = 1\n[other]\nLogPrefix = x\n", "felix.cfg"
    )
    assert source.texts == {"HealthPort": "7"}


@given(st.text())
def test_whatever_a_file_holds_is_settings_or_a_config_error(text):
    with suppress(ConfigError):
        assert from_file(text, "felix.cfg").texts.keys() <= PARAMS.keys()


def test_rules_and_routes_follow_the_configuration():
    texts = {
        "InterfacePrefix": "cali,tap",
        "DefaultEndpointToHostAction": "Return",
        "NftablesMarkMask": "0xf0",
        "NatOutgoingExclusions": "IPPoolsAndHostIPs",
        "DeviceRouteSourceAddress": "10.0.0.1",
        "Ipv4NormalRoutePriority": "7",
        "IpForwarding": "Disabled",
    }
    config = resolve([Source("test", texts)])
    rules, routes = rule_settings(config), route_settings(config)
    assert rules.interface_prefixes == routes.interface_prefixes == ("cali", "tap")
    assert rules.endpoint_to_host == "Return"
    assert (rules.marks.accept, rules.marks.passed) == (0x10, 0x20)
    assert rules.exclude_hosts_from_nat
    assert routes.sources == {4: parse_address("10.0.0.1")}
    assert routes.priorities == {4: 7, 6: 1024}
    assert not routes.ip_forwarding
