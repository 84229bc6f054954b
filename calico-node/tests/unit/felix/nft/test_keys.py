"""Packing of keys, and intervals."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.nft.keys import (
    KeyType,
    Prefix,
    interval_of,
    merge_intervals,
    merge_prefixes,
    pack,
)
from calico_node.felix.nft.testing.forms import address, prefix
from calico_node.felix.nft.testing.tables import prefixes


def test_a_single_key_is_not_padded():
    assert pack((KeyType.INET_SERVICE,), (443,)) == b"\x01\xbb"


def test_each_field_of_a_concatenation_fills_whole_registers():
    types = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
    packed = pack(types, (address("10.0.0.1"), 6, 80))
    assert packed == b"\x0a\0\0\x01" + b"\x06\0\0\0" + b"\0\x50\0\0"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (KeyType.IPV4_ADDR, 1),
        (KeyType.IPV4_ADDR, "10.0.0.1"),
        (KeyType.IPV4_ADDR, bytes(16)),
        (KeyType.IFNAME, 3),
        (KeyType.IFNAME, bytes(16)),
        (KeyType.IFNAME, "an interface name that is long"),
        (KeyType.INET_PROTO, 256),
        (KeyType.INET_SERVICE, -1),
        (KeyType.INET_SERVICE, "http"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(type_, value):
    with pytest.raises(ValueError, match=type_.text):
        type_.pack(value)


def test_the_interval_of_a_prefix_is_its_first_and_last_address():
    assert interval_of(prefix("10.8.0.0/13")) == address("10.8.0.0") + address("10.15.255.255")
    assert interval_of(Prefix(bytes(16), 0)) == bytes(16) + b"\xff" * 16


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple)))
def test_merged_intervals_hold_the_same_numbers_and_do_not_touch(intervals):
    merged = merge_intervals(intervals)
    assert _numbers(merged) == _numbers(intervals)
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(merged))


@given(st.lists(prefixes()))
def test_merged_prefixes_are_disjoint_and_hold_the_same_addresses(found):
    merged = merge_prefixes(found)
    bounds = [(p[:4], p[4:]) for p in map(interval_of, merged)]
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(bounds))
    networks = ipaddress.collapse_addresses(map(_network, found))
    assert list(ipaddress.collapse_addresses(map(_network, merged))) == list(networks)
    assert set(merged) <= set(found)


def _network(found):
    return ipaddress.ip_network((found.address, found.length))


def _numbers(intervals):
    return {number for low, high in intervals for number in range(low, high + 1)}
