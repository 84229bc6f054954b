"""Docker's pools and Calico's."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import NoPoolError, ValidationError
from libcalico.net.addresses import Cidr, parse_cidr
from libnetwork_plugin import pools, wire
from libnetwork_plugin.pools import Pool

SUBNET, RANGE = parse_cidr("10.50.0.0/24"), parse_cidr("10.50.0.64/26")


@st.composite
def any_pool(draw):
    version = draw(st.sampled_from([4, 6]))
    bits = 32 if version == 4 else 128
    if draw(st.booleans()):
        return Pool(version)
    subnet = Cidr(version, draw(st.integers(0, 2**bits - 1)), draw(st.integers(0, bits))).masked()
    if subnet.version == 6 and subnet.value >> 32 == 0xFFFF:
        return Pool(version)
    prefix = draw(st.none() | st.integers(subnet.prefix, bits))
    within = None if prefix is None else Cidr(version, subnet.value, prefix)
    return Pool(version, subnet, None if within == subnet else within)


@given(any_pool())
def test_the_id_holds_all_that_later_calls_need(pool):
    assert pools.parse(pool.id) == pool


@given(st.text())
def test_whatever_is_called_a_pool_is_one_or_an_error(text):
    with contextlib.suppress(ValidationError):
        assert isinstance(pools.parse(text), Pool)


@pytest.mark.parametrize(
    ("request_", "pool"),
    [
        (wire.RequestPool(), Pool(4)),
        (wire.RequestPool(v6=True), Pool(6)),
        (wire.RequestPool(pool="10.50.0.0/24"), Pool(4, SUBNET)),
        (wire.RequestPool(pool="10.50.0.0/24", sub_pool="10.50.0.64/26"), Pool(4, SUBNET, RANGE)),
        (wire.RequestPool(pool="10.50.0.0/24", sub_pool="10.50.0.0/24"), Pool(4, SUBNET)),
        (wire.RequestPool(pool="fd80:1::/64", v6=True), Pool(6, parse_cidr("fd80:1::/64"))),
    ],
)
def test_a_network_asks_for_a_pool(request_, pool):
    assert pools.requested(request_) == pool


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (wire.RequestPool(sub_pool="10.50.0.64/26"), "needs --subnet"),
        (wire.RequestPool(pool="10.50.0.0/24", sub_pool="10.51.0.0/26"), "is not within"),
        (wire.RequestPool(pool="10.50.0.0/24", v6=True), "is not IPv6"),
        (wire.RequestPool(pool="10.50.0.1/24"), "host bits"),
        (wire.RequestPool(pool="ten"), "is not a CIDR"),
    ],
)
def test_ranges_that_contradict_each_other_are_refused(request_, said):
    with pytest.raises(ValidationError, match=said):
        pools.requested(request_)


def test_a_subnet_lies_in_one_ip_pool():
    enabled = [parse_cidr("fd00::/48"), parse_cidr("10.49.0.0/16"), parse_cidr("10.50.0.0/16")]
    assert pools.holder(Pool(4, SUBNET), enabled) == parse_cidr("10.50.0.0/16")
    assert pools.holder(Pool(4), enabled) is None
    with pytest.raises(NoPoolError, match=r"use one of 10\.49\.0\.0/16, 10\.50\.0\.0/16"):
        pools.holder(Pool(4, parse_cidr("10.0.0.0/8")), enabled)
    with pytest.raises(NoPoolError, match="no enabled IPv6 pool"):
        pools.holder(Pool(6), enabled[1:])


def test_an_address_that_is_asked_for_is_in_the_subnet():
    asked = wire.RequestAddress(pool_id="", address="10.50.0.7")
    assert pools.wanted_address(Pool(4, SUBNET, RANGE), asked) == parse_cidr("10.50.0.7")
    assert pools.wanted_address(Pool(4), asked) == parse_cidr("10.50.0.7")
    with pytest.raises(ValidationError, match=r"10\.50\.0\.7 is not in the network's subnet"):
        pools.wanted_address(Pool(4, parse_cidr("10.51.0.0/24")), asked)
    with pytest.raises(ValidationError, match="not in"):
        pools.wanted_address(Pool(6), asked)
