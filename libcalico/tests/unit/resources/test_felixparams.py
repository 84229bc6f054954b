import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.resources.durations import parse_duration, render_duration
from libcalico.resources.felixconfig import (
    FelixConfigurationSpec,
    HealthTimeoutOverride,
    ProtoPort,
    RouteTableRange,
)
from libcalico.resources.felixparams import BY_FIELD, PARAMS, texts_of
from libcalico.resources.shape import fields_of


def test_every_field_has_a_parameter_and_the_other_way_round():
    fields = {field.name for field in fields_of(FelixConfigurationSpec)}
    assert fields - BY_FIELD.keys() == {"nodeSelector"}
    assert BY_FIELD.keys() <= fields
    assert len({name.lower() for name in PARAMS}) == len(PARAMS), "names are case-insensitive"


@pytest.mark.parametrize("param", PARAMS.values(), ids=PARAMS)
def test_defaults_are_values_of_their_parameter(param):
    assert param.parse("") == param.default
    if param.type == "enum" and param.default:
        assert param.default in param.choices
    if param.pattern and isinstance(param.default, str) and param.default:
        assert re.fullmatch(param.pattern, param.default)
    if param.type == "int" and param.default is not None:
        assert param.parse(str(param.default)) == param.default


@pytest.mark.parametrize("param", PARAMS.values(), ids=PARAMS)
@settings(max_examples=15)
@given(text=st.text(max_size=12) | st.from_regex(r"[0-9a-z:/.,=-]{1,12}", fullmatch=True))
def test_any_text_is_a_value_or_a_validation_error(param, text):
    try:
        param.parse(text)
    except ValidationError as problem:
        assert str(problem).startswith(f"{param.name}: ")  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HealthEnabled", "Yes", True), ("HealthEnabled", "0", False),
        ("ReportingIntervalSecs", "1.5", 1.5), ("ReportingIntervalSecs", "none", 0.0),
        ("IptablesLockProbeIntervalMillis", "50", 0.05),
        ("LogSeverityScreen", "debug", "Debug"),
        ("DefaultEndpointToHostAction", "ACCEPT", "Accept"),
        ("IptablesMarkMask", "0xff00", 0xFF00), ("HealthPort", "9099", 9099),
        ("MetadataAddr", "None", ""),
        ("NatPortRange", "32768:65535", (32768, 65535)), ("NatPortRange", "0", None),
        ("KubeNodePortRanges", "30000:32767,80", ((30000, 32767), (80, 80))),
        ("FailsafeInboundHostPorts", "22", (ProtoPort(protocol="tcp", port=22),)),
        ("FailsafeInboundHostPorts", "none", ()),
        (
            "FailsafeOutboundHostPorts", "UDP:[fd00::/8]:53,tcp:10.0.0.0/8:1",
            (
                ProtoPort(protocol="udp", port=53, net="fd00::/8"),
                ProtoPort(protocol="tcp", port=1, net="10.0.0.0/8"),
            ),
        ),
        ("HealthTimeoutOverrides", "a=10s,b c=1m", {"a": 10.0, "b c": 60.0}),
        ("RouteTableRanges", "1-250,300-301", ((1, 250), (300, 301))),
        ("ExternalNodesCIDRList", "10.0.0.1, fd00::/64", ("10.0.0.1/32", "fd00::/64")),
        ("DeviceRouteSourceAddressIPv6", "FD00::1", "fd00::1"),
        ("BpfLogFilters", "all=tcp", {"all": "tcp"}),
    ],
)  # fmt: skip
def test_texts_are_parsed(name, text, value):
    assert PARAMS[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("HealthEnabled", "maybe", "expected true or false, got 'maybe'"),
        ("HealthPort", "-1", "expected a whole number from 0 to 65535, got '-1'"),
        ("GoMaxProcs", "-2", "expected a whole number of at least -1"),
        ("ReportingIntervalSecs", "1m", "expected a number of seconds, got '1m'"),
        ("IptablesLockProbeIntervalMillis", "inf", "expected a number of milliseconds"),
        ("DefaultEndpointToHostAction", "none", "expected one of Accept, Drop, Return"),
        ("InterfacePrefix", "none!", "expected text that matches"),
        ("HealthTimeoutOverrides", "a", "expected name=value pairs"),
        ("HealthTimeoutOverrides", "a=b", "'b' is no duration"),
        ("RouteTableRanges", "5-1", "expected ranges of route tables"),
        ("RouteTableRanges", "1-70000", "at most 65535 route tables"),
        ("FailsafeInboundHostPorts", "tcp:70000", "'tcp:70000' is no port"),
        ("FailsafeInboundHostPorts", "tcp:1/2:7", "'1/2' does not appear to be an IPv4"),
    ],
)
def test_bad_texts_are_named(name, text, problem):
    with pytest.raises(ValidationError) as caught:
        PARAMS[name].parse(text)
    assert str(caught.value).startswith(f"{name}: ")
    assert problem in str(caught.value)


def test_spec_fields_become_the_texts_of_the_v1_data_model():
    spec = FelixConfigurationSpec(
        health_enabled=False,
        reporting_interval="1m30s",
        iptables_lock_probe_interval="50ms",
        interface_refresh_interval="500ms",
        failsafe_inbound_host_ports=[],
        failsafe_outbound_host_ports=[ProtoPort(protocol="UDP", port=53, net="fd00::/8")],
        kube_node_port_ranges=[80, "1:2"],
        health_timeout_overrides=[HealthTimeoutOverride(name="a", timeout="10s")],
        route_table_range=RouteTableRange(min=1, max=250),
        iptables_mark_mask=0xFFFF0000,
        bpf_log_filters={"weps": "udp", "all": "tcp"},
        node_selector="all()",
    )
    texts = texts_of(spec)
    assert texts == {
        "HealthEnabled": "false",
        "ReportingIntervalSecs": "90",
        "IptablesLockProbeIntervalMillis": "50",
        "InterfaceRefreshInterval": "0.5",
        "FailsafeInboundHostPorts": "none",
        "FailsafeOutboundHostPorts": "udp:[fd00::/8]:53",
        "KubeNodePortRanges": "80,1:2",
        "HealthTimeoutOverrides": "a=10s",
        "RouteTableRange": "1-250",
        "IptablesMarkMask": "4294901760",
        "BpfLogFilters": "all=tcp,weps=udp",
    }
    for name, text in texts.items():
        PARAMS[name].parse(text)


@given(st.integers(0, 10**15))
def test_durations_round_trip(nanos):
    text = render_duration(nanos / 1e9)
    assert parse_duration(text) == pytest.approx(nanos / 1e9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (90, "1m30s"), (0.05, "50ms"), (86400, "24h0m0s"), (1.5, "1.5s"), (900, "15m0s"),
        (-90, "-1m30s"), (1e-6, "1µs"), (2e-9, "2ns"), (3600.5, "1h0m0.5s"),
    ],
)  # fmt: skip
def test_durations_are_printed_as_go_prints_them(seconds, text):
    assert render_duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1d", "-", "1s2"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(ValidationError, match="is no duration"):
        parse_duration(text)
