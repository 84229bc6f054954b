"""Requests as recorded from Docker 20.10."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libnetwork_plugin import wire

RECORDED = [
    ("Plugin.Activate", b"", wire.Request()),
    (
        "IpamDriver.RequestPool",
        b'{"AddressSpace":"CalicoLocalAddressSpace","Pool":"","SubPool":"","Options":{},"V6":false}',
        wire.RequestPool(address_space="CalicoLocalAddressSpace", options={}),
    ),
    (
        "IpamDriver.RequestAddress",
        b'{"PoolID":"CalicoPoolIPv4","Address":"","Options":null}',
        wire.RequestAddress(pool_id="CalicoPoolIPv4"),
    ),
    (
        "IpamDriver.ReleaseAddress",
        b'{"PoolID":"CalicoPoolIPv4","Address":"192.168.99.2"}',
        wire.ReleaseAddress(pool_id="CalicoPoolIPv4", address="192.168.99.2"),
    ),
    (
        "NetworkDriver.CreateNetwork",
        (
            b'{"NetworkID":"db50","Options":{"com.docker.network.enable_ipv6":false,'
            b'"com.docker.network.generic":{}},"IPv4Data":[{"AddressSpace":"CalicoLocalAddressSpace",'
            b'"Gateway":"0.0.0.0/0","Pool":"0.0.0.0/0"}],"IPv6Data":[]}'
        ),
        wire.CreateNetwork(
            network_id="db50",
            options={"com.docker.network.enable_ipv6": False, "com.docker.network.generic": {}},
            ipv4_data=(
                wire.IPAMData(
                    address_space="CalicoLocalAddressSpace", gateway="0.0.0.0/0", pool="0.0.0.0/0"
                ),
            ),
            ipv6_data=(),
        ),
    ),
    (
        "NetworkDriver.CreateEndpoint",
        (
            b'{"NetworkID":"db50","EndpointID":"30b4","Interface":{"Address":"192.168.99.2/32",'
            b'"AddressIPv6":"","MacAddress":""},"Options":{"com.docker.network.portmap":[]}}'
        ),
        wire.CreateEndpoint(
            network_id="db50",
            endpoint_id="30b4",
            interface=wire.Interface(address="192.168.99.2/32"),
            options={"com.docker.network.portmap": []},
        ),
    ),
    (
        "NetworkDriver.Join",
        b'{"NetworkID":"db50","EndpointID":"30b4","SandboxKey":"/run/docker/netns/c919","Options":{}}',
        wire.Join(
            network_id="db50", endpoint_id="30b4", sandbox_key="/run/docker/netns/c919", options={}
        ),
    ),
]


@pytest.mark.parametrize(("method", "body", "expected"), RECORDED, ids=[r[0] for r in RECORDED])
def test_a_recorded_request_is_understood(method, body, expected):
    assert wire.decode(method, body) == expected


def test_every_method_is_of_one_of_the_three_interfaces():
    assert {m.partition(".")[0] for m in wire.METHODS} == {"Plugin", "NetworkDriver", "IpamDriver"}


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("NetworkDriver.Explode", b"{}"),
        ("NetworkDriver.Join", b"{}"),
        ("NetworkDriver.Join", b"not json"),
        ("IpamDriver.RequestPool", b'{"V6": "yes"}'),
    ],
)
def test_a_wrong_request_is_refused_and_its_method_named(method, body):
    with pytest.raises(ValidationError, match=method):
        wire.decode(method, body)


@given(st.sampled_from(sorted(wire.METHODS)), st.binary())
def test_whatever_comes_in_is_a_request_or_a_validation_error(method, body):
    with contextlib.suppress(ValidationError):
        assert isinstance(wire.decode(method, body), wire.METHODS[method])


def test_an_error_has_the_form_that_docker_shows():
    assert json.loads(wire.error("no pool")) == {"Err": "no pool"}
