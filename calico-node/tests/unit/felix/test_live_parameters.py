"""A change of any parameter that has an effect is one for a running Felix.

The table of a busy host, changed live, is the one that it would have been from the start. What is no rule
changes what the daemon's edges are made with, or is read anew where it is used; such a parameter is
changed live by a functional test of the daemon, too.
"""

import re
from pathlib import Path

import pytest

from calico_node.felix.config import Source, resolve
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    FloatingAddress,
    HostEndpoint,
    HostPolicies,
    LocalEndpoint,
    Pool,
    TierPolicies,
)
from calico_node.felix.messages import PolicyId as Id
from calico_node.felix.parameters import AT_START, NOT_APPLICABLE
from calico_node.felix.program.program import Program
from calico_node.felix.settings import (
    audit_intervals,
    excluded_interfaces,
    health_listener,
    health_timeouts,
    host_settings,
    log_settings,
    metrics_listener,
    needs_blocks,
    rule_settings,
)
from libcalico.net.addresses import parse_cidr
from libcalico.resources.felixconfig import FelixConfigurationSpec
from libcalico.resources.felixparams import PARAMS
from libcalico.resources.shape import fields_of

ATTRIBUTES = {field.name: field.attribute for field in fields_of(FelixConfigurationSpec)}
DAEMON_TESTS = Path(__file__).parents[2] / "fv" / "felix" / "daemon"
LIVE = sorted(PARAMS.keys() - NOT_APPLICABLE.keys() - AT_START)
#: Without these a change of some other would show nothing.
BASE = {
    "HealthEnabled": "true",
    "LogActionRateLimit": "10/minute",
    "PrometheusMetricsEnabled": "true",
    "PrometheusMetricsCertFile": "/etc/calico/own.pem",
}
#: Values of parameters of which the type does not tell another one.
OTHERS = {
    "DeviceRouteSourceAddress": "192.0.2.9",
    "DeviceRouteSourceAddressIPv6": "fd00::9",
    "EndpointStatusPathPrefix": "/run/other",
    "ExternalNodesCIDRList": "192.0.2.0/24",
    "FailsafeInboundHostPorts": "tcp:23",
    "FailsafeOutboundHostPorts": "tcp:24",
    "HealthHost": "127.0.0.9",
    "HealthTimeoutOverrides": "Dataplane=7s",
    "InterfaceExclude": "eth9",
    "InterfacePrefix": "tap",
    "IptablesNATOutgoingInterfaceFilter": "eth9",
    "LogActionRateLimit": "11/hour",
    "LogDebugFilenameRegex": "agent",
    "LogFilePath": "/var/log/other.log",
    "LogPrefix": "other",
    "MtuIfacePattern": "^x",
    "NatOutgoingAddress": "192.0.2.9",
    "NatPortRange": "20000:29999",
    "NftablesMarkMask": "0xff00",
    "OpenstackRegion": "east",
    "PrometheusMetricsCAFile": "/etc/calico/ca.pem",
    "PrometheusMetricsCertFile": "/etc/calico/other.pem",
    "PrometheusMetricsHost": "127.0.0.9",
    "PrometheusMetricsKeyFile": "/etc/calico/own.key",
    "VxlanEnabled": "false",
}
#: Read anew wherever they are used.
READ_WHERE_USED = {
    "EndpointReportingDelaySecs",
    "EndpointReportingEnabled",
    "EndpointStatusPathPrefix",
    "OpenstackRegion",
    "PrometheusProcessMetricsEnabled",
    "ReportingIntervalSecs",
    "ReportingTTLSecs",
    "RequireMTUFile",
}
#: Shown by tests of the unit that they change: a system log, debug messages, commits that nobody was told of,
#: and devices that not every kernel has.
SHOWN_ELSEWHERE = {
    "IpInIpMtu",
    "LogDebugFilenameRegex",
    "LogSeveritySys",
    "NftablesRefreshInterval",
}
OWN, OWN6 = parse_cidr("10.65.0.2"), parse_cidr("fd65::2")
DENY = Id("GlobalNetworkPolicy", "", "deny")
TIERS = (TierPolicies("default", "Deny", (DENY,), (DENY,)),)
RULES = (CompiledRule("Log"), CompiledRule("Deny"))
BUSY = Changes(
    policies={DENY: ActivePolicy("default", RULES, RULES)},
    endpoints={
        EndpointId("ns", "web"): LocalEndpoint(
            "cali1",
            (OWN, OWN6),
            "",
            EndpointPolicies(TIERS, ()),
            allowed_sources=(parse_cidr("198.51.100.0/24"),),
            floating=(FloatingAddress(parse_cidr("203.0.113.7"), OWN),),
        )
    },
    host_endpoints={"eth0": HostEndpoint("eth0", HostPolicies(EndpointPolicies(TIERS, ()), TIERS))},
    services={parse_cidr("10.96.0.0/12"): True},
    pools={"v4": Pool(parse_cidr("10.65.0.0/16"), nat_outgoing=True, vxlan="Always")},
    hosts={"far": (parse_cidr("192.0.2.2"),)},
)


def another(name):
    """Return the text of another value than the parameter has in the base."""
    if name in OTHERS:
        return OTHERS[name]
    param = PARAMS[name]
    now = param.parse(BASE[name]) if name in BASE else param.default
    match param.type:
        case "bool":
            return str(not now).lower()
        case "enum":
            return next(choice for choice in param.choices if choice != now)
        case "int":
            return str((now or 0) + 1 if (now or 0) + 1 <= (param.high or 1 << 31) else now - 1)
        case "duration":
            return str(now + 1)
    raise AssertionError(f"{name}: say another value")


def changed(name):
    """Return the configuration before and after a change of one parameter."""
    before = Source("datastore", BASE)
    after = Source("datastore", {**BASE, name: another(name)})
    one, two = resolve([before]), resolve([after])
    assert not two.problems
    assert one[name] != two[name]
    return one, two


def table(settings):
    program = Program(settings)
    program.apply(BUSY)
    return program.table()


def edges(config):
    """Return what the daemon's edges are made with."""
    _, *others = host_settings(config, "here")
    return (
        *others,
        health_listener(config),
        metrics_listener(config),
        log_settings(config),
        health_timeouts(config),
        audit_intervals(config),
        excluded_interfaces(config),
        needs_blocks(config, has_overlay=True),
    )


def is_rule(name):
    before, after = changed(name)
    return rule_settings(before) != rule_settings(after)


RULE_PARAMETERS = [name for name in LIVE if is_rule(name)]


@pytest.mark.parametrize("name", RULE_PARAMETERS)
def test_a_table_changed_live_is_that_of_a_new_start(name):
    before, after = (rule_settings(config) for config in changed(name))
    running = Program(before)
    running.apply(BUSY)
    running.reconfigure(after)
    assert running.table() == table(after)
    assert running.table() != table(before), "it has no effect"
    running.reconfigure(before)
    assert running.table() == table(before)


@pytest.mark.parametrize("name", sorted(set(LIVE) - set(RULE_PARAMETERS) - READ_WHERE_USED))
def test_the_edges_are_made_anew(name):
    before, after = changed(name)
    assert edges(before) != edges(after)


@pytest.mark.parametrize("name", sorted(set(LIVE) - set(RULE_PARAMETERS) - SHOWN_ELSEWHERE))
def test_a_functional_test_changes_it_live(name):
    tests = "".join(path.read_text() for path in sorted(DAEMON_TESTS.rglob("test_*.py")))
    assert re.search(rf"\b{ATTRIBUTES[PARAMS[name].field]}\b", tests)


@pytest.mark.parametrize("name", sorted(AT_START))
def test_what_is_read_at_the_start_alone_is_no_field_of_the_datastore(name):
    assert not PARAMS[name].field
