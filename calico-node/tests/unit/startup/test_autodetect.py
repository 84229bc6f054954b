import contextlib
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.startup.autodetect import (
    detect,
    is_excluded,
    local_interface,
    node_interfaces,
    reach_target,
)
from calico_node.startup.model import HostFacts, HostInterface
from libcalico.errors import ConfigError


def interface(name, *addresses):
    return HostInterface(name, tuple(ip_interface(text) for text in addresses))


INTERFACES = (
    interface("lo", "127.0.0.1/8", "::1/128"),
    interface("eth0", "10.0.0.5/24", "fe80::1/64", "fd00::5/64"),
    interface("eth1", "172.20.0.5/16", "169.254.3.3/16"),
    interface("docker0", "172.17.0.1/16"),
    interface("cali123", "10.9.9.9/32"),
)


def found(method, version=4, **facts):
    view = HostFacts(hostname="h", host_id="i", interfaces=INTERFACES, **facts)
    address = detect(method, version, view)
    return None if address is None else str(address)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("first-found", "172.20.0.5/16"),
        ("interface=eth0", "10.0.0.5/24"),
        ("interface=eth.*", "172.20.0.5/16"),
        ("interface=nothing,docker", "172.17.0.1/16"),
        ("skip-interface=eth1", "10.0.0.5/24"),
        ("skip-interface=eth.*", None),
        ("cidr=10.0.0.0/8", "10.0.0.5/24"),
        ("cidr=192.0.2.0/24,172.16.0.0/12", "172.20.0.5/16"),
        ("cidr=127.0.0.0/8", None),
        ("interface=lo", None),
    ],
)
def test_ipv4_methods(method, expected):
    assert found(method) == expected


def test_ipv6_skips_link_local_addresses():
    assert found("first-found", 6) == "fd00::5/64"
    assert found("interface=eth0", 6) == "fd00::5/64"


def test_can_reach_takes_the_interface_of_the_kernels_source_address():
    sources = {"8.8.8.8": ip_address("10.0.0.5")}
    assert found("can-reach=8.8.8.8", source_by_target=sources) == "10.0.0.5/24"
    assert found("can-reach=8.8.8.8") is None
    assert reach_target("can-reach=8.8.8.8") == "8.8.8.8"
    assert reach_target("first-found") is None


@pytest.mark.parametrize(
    "method", ["", "x", "interface", "cidr=10.0.0.1/8", "interface=(", "cidr="]
)
def test_what_is_no_method_is_refused(method):
    with pytest.raises(ConfigError, match="autodetection method"):
        found(method)


@pytest.mark.parametrize(
    "name", ["lo", "docker0", "cali0", "br-12ab", "vxlan.calico", "vethx", "cni0"]
)
def test_interfaces_of_workloads_and_tunnels_are_excluded(name):
    assert is_excluded(name)


@pytest.mark.parametrize("name", ["eth0", "lo0", "bond0.lo", "br0", "eno1"])
def test_interfaces_of_the_host_are_not(name):
    assert not is_excluded(name)


def test_node_interfaces_are_sorted_and_hold_the_wanted_families():
    shown = {"eth0": ("10.0.0.5",), "eth1": ("172.20.0.5",)}
    assert node_interfaces(INTERFACES, [4]) == shown
    assert list(node_interfaces(reversed(INTERFACES), [4, 6])) == ["eth0", "eth1"]
    assert node_interfaces(INTERFACES, []) == {}


def test_a_local_address_is_found_with_its_prefix_length():
    assert str(local_interface(ip_address("10.0.0.5"), INTERFACES)) == "10.0.0.5/24"
    assert local_interface(ip_address("10.0.0.6"), INTERFACES) is None


@given(method=st.text(max_size=20))
def test_any_method_text_finds_an_address_or_is_a_config_error(method):
    with contextlib.suppress(ConfigError):
        found(method)
