"""One result, told in every version as its specification asks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import (
    AddressInUseError,
    CalicoError,
    ConfigError,
    NetlinkError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from libcalico.net.addresses import parse_cidr, parse_interface
from libcalico.workload.cni import errors, results
from libcalico.workload.cni.errors import CniError
from libcalico.workload.cni.model import (
    VERSIONS,
    Interface,
    IpConfig,
    Result,
    RouteConfig,
)

RESULT = Result(
    interfaces=[
        Interface("calic1", "ee:ee:ee:ee:ee:ee", mtu=1440),
        Interface("eth0", "02:00:00:00:00:01", "/run/netns/x", 1440),
    ],
    ips=[
        IpConfig(parse_interface("10.65.0.3/32"), 1),
        IpConfig(parse_interface("fd00::3/128"), 1),
    ],
    routes=[RouteConfig(parse_cidr("10.0.0.0/8"), "169.254.1.1")],
    dns={"nameservers": ["10.0.0.53"]},
)
_DNS = '"dns":{"nameservers":["10.0.0.53"]}'
_OLD = (
    '"ip4":{"ip":"10.65.0.3/32","routes":[{"dst":"10.0.0.0/8","gw":"169.254.1.1"}]},'
    '"ip6":{"ip":"fd00::3/128"},' + _DNS
)
_INTERFACES = (
    '"interfaces":[{"name":"calic1","mac":"ee:ee:ee:ee:ee:ee"},'
    '{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/run/netns/x"}]'
)
_ROUTES = '"routes":[{"dst":"10.0.0.0/8","gw":"169.254.1.1"}]'
_MIDDLE = (
    _INTERFACES + ',"ips":[{"version":"4","interface":1,"address":"10.65.0.3/32"},'
    '{"version":"6","interface":1,"address":"fd00::3/128"}],' + _ROUTES + "," + _DNS
)
_NEW_IPS = (
    '"ips":[{"interface":1,"address":"10.65.0.3/32"},{"interface":1,"address":"fd00::3/128"}]'
)
GOLDEN = {
    "0.1.0": _OLD,
    "0.2.0": _OLD,
    "0.3.0": _MIDDLE,
    "0.3.1": _MIDDLE,
    "0.4.0": _MIDDLE,
    "1.0.0": f"{_INTERFACES},{_NEW_IPS},{_ROUTES},{_DNS}",
    "1.1.0": (
        '"interfaces":[{"name":"calic1","mac":"ee:ee:ee:ee:ee:ee","mtu":1440},'
        '{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/run/netns/x","mtu":1440}],'
        f"{_NEW_IPS},{_ROUTES},{_DNS}"
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_its_shape(version):
    printed = json.dumps(results.encode(RESULT, version), separators=(",", ":"))
    assert printed == f'{{"cniVersion":"{version}",{GOLDEN[version]}}}'


def test_every_version_has_an_encoder():
    assert list(results.ENCODERS) == list(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_told_can_be_read_back(version):
    read = results.decode(results.encode(RESULT, version))
    assert [ip.address for ip in read.ips] == [ip.address for ip in RESULT.ips]
    if version == "1.1.0":
        assert read == RESULT


def test_an_address_keeps_its_prefix_length_and_gateway():
    stored = {"ips": [{"address": "10.0.0.5/24", "gateway": "10.0.0.1"}]}
    (ip,) = results.decode(stored).ips
    assert (str(ip.address), ip.gateway, ip.interface) == ("10.0.0.5/24", "10.0.0.1", None)


@given(
    st.dictionaries(
        st.sampled_from(["ip4", "ips", "interfaces", "routes", "dns"]),
        st.none()
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.none() | st.integers())
        | st.lists(st.dictionaries(st.sampled_from(["ip", "address", "dst", "name"]), st.text())),
    )
)
def test_any_object_is_a_result_or_undecodable(document):
    try:
        results.decode(document)
    except CniError as error:
        assert error.code == 6  # noqa: PT017


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("x"), 11),
        (UnauthorizedError("x"), 11),
        (AddressInUseError("x"), 100),
        (NetlinkError("x", 17), 5),
        (ConfigError("x"), 7),
        (ValidationError("x"), 7),
        (NotFoundError("x"), 101),
        (CniError(50, "x"), 50),
    ],
)
def test_errors_of_the_library_have_codes(error, code):
    assert errors.from_error(error).code == code


def _leaves(kind):
    below = [cls for cls in kind.__subclasses__() if cls.__module__.startswith("libcalico.errors")]
    return [leaf for cls in below for leaf in _leaves(cls)] or [kind]


def _an(leaf):
    """Return an error of a class, whatever else its constructor takes."""
    error = leaf.__new__(leaf)
    Exception.__init__(error, "x")
    return error


def test_every_error_can_be_told():
    for leaf in _leaves(CalicoError):
        told = results.error("1.0.0", errors.from_error(_an(leaf)))
        assert told["code"] > 0
        assert "x" in told["msg"]
