"""AS numbers as people write them, and pools that make up a range."""

from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl.commands import bgp, poolranges
from libcalico.errors import ValidationError


@given(st.integers(0, 2**32 - 1))
def test_both_ways_to_write_an_as_number_agree(number):
    assert bgp.parse_as(str(number)) == bgp.parse_as(f"{number >> 16}.{number & 0xFFFF}") == number


@pytest.mark.parametrize("text", ["", "-1", "4294967296", "1.65536", "65536.0", "1.2.3", "x", "١"])
def test_what_is_no_as_number(text):
    with pytest.raises(ValidationError, match="is no AS number"):
        bgp.parse_as(text)


@given(st.integers(0, 2**18), st.integers(1, 2**10))
def test_the_pools_of_a_range_are_exactly_the_range(first, blocks):
    start, end = first * 64, (first + blocks) * 64 - 1
    cidrs = poolranges.of_range(_text(start), _text(end))
    covered = sorted((cidr.first, cidr.first + cidr.size - 1) for cidr in cidrs)
    assert (covered[0][0], covered[-1][1]) == (start, end)
    assert all(one[1] + 1 == two[0] for one, two in pairwise(covered))
    assert all(ip_network(str(cidr)).prefixlen <= 26 for cidr in cidrs)


def _text(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
