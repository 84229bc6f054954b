"""Connections are read from what the kernel sends; nonsense is a NetlinkError, never anything else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_address
from libcalico.netlink import conntrack
from libcalico.netlink.codec import Message, attr, be32, nested, parse_attrs, parse_messages


def side(*texts):
    ip = b"".join(attr(n, parse_address(text).packed()) for n, text in enumerate(texts, 1))
    return nested(1, ip)


def test_both_directions_count_and_the_key_is_what_the_kernel_said():
    payload = bytes((2, 0, 0, 0))
    payload += nested(1, side("10.0.0.1", "10.0.0.2")) + nested(2, side("10.0.0.3", "10.0.0.1"))
    found = conntrack.parse_connection(Message(256, 0, 0, 0, payload + be32(12, 7)))
    assert found.version == 4
    assert found.addresses == {parse_address(f"10.0.0.{n}") for n in (1, 2, 3)}
    (request,) = parse_messages(conntrack.encode_delete(found))
    sent = parse_attrs(request.payload, 4)
    assert sent == {1: side("10.0.0.1", "10.0.0.2"), 12: be32(12, 7)[4:]}


FOUR, SIX = parse_address("10.0.0.1"), parse_address("fd00::1")


@pytest.mark.parametrize(
    ("addresses", "tracked", "filtered", "whole"),
    [
        ([FOUR], 100, 0, 1),
        ([FOUR], 100_000, 4, 0),
        ([parse_address(f"10.0.0.{n}") for n in range(50)], 100_000, 0, 1),
        ([SIX], 100_000, 0, 1),
        ([FOUR, SIX], 100_000, 4, 1),
        ([FOUR, SIX], 100, 0, 2),
        ([], 0, 0, 0),
    ],
)
def test_many_connections_are_picked_out_by_the_kernel_where_it_can(
    addresses, tracked, filtered, whole
):
    requests = conntrack.plan_reading(addresses, tracked)
    have_filter = [bool(parse_attrs(parse_messages(r)[0].payload, 4)) for r in requests]
    assert (have_filter.count(True), have_filter.count(False)) == (filtered, whole)


@given(st.binary(max_size=80))
def test_nonsense_is_a_netlink_error(payload):
    for body in (payload, b"\x02\0\0\0" + payload, b"\x0a\0\0\0" + nested(1, nested(1, payload))):
        with contextlib.suppress(NetlinkError):
            conntrack.parse_connection(Message(256, 0, 0, 0, body))
