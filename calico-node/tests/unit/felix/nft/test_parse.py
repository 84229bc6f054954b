"""What the kernel sends is read, and nonsense is a NetlinkError, never anything else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.nft import parse, wire
from calico_node.felix.nft.keys import KeyType, interval_of, merge_prefixes
from calico_node.felix.nft.model import ACCEPT, goto, jump
from calico_node.felix.nft.operations import AddElements, AddVerdicts
from calico_node.felix.nft.testing.tables import prefixes
from libcalico.errors import NetlinkError
from libcalico.netlink.codec import Message, attr, be32, nested, parse_messages, text


def _sent(operation):
    """The kernel dumps elements in the form in which they are added."""
    return parse_messages(wire.encode_batch([operation]).data)[1:-1]


@given(st.frozensets(st.binary(min_size=6, max_size=6), max_size=30))
def test_plain_elements_come_back(keys):
    assert parse.elements(_sent(AddElements("t", "s", keys, False, ""))) == keys


@given(st.sampled_from((32, 128)).flatmap(lambda bits: st.lists(prefixes(bits))))
def test_intervals_come_back_in_any_order(found):
    keys = frozenset(map(interval_of, merge_prefixes(found)))
    assert parse.intervals(_sent(AddElements("t", "s", keys, True, ""))) == keys


def test_verdicts_come_back():
    verdicts = {
        KeyType.IFNAME.pack("cali1"): jump("a"),
        KeyType.IFNAME.pack("cali2"): goto("b"),
        KeyType.IFNAME.pack("cali3"): ACCEPT,
    }
    assert parse.verdicts(_sent(AddVerdicts("t", "m", verdicts, ""))) == verdicts


def test_a_generation_names_its_maker():
    payload = bytes(4) + be32(1, 7) + be32(2, 42) + text(3, "nft")
    message = Message(10 << 8 | 15, 0, 0, 0, payload)
    assert parse.is_new_generation(message)
    assert parse.generation(message) == parse.Generation(7, 42, "nft")


def test_a_notification_names_its_family_and_unknown_ones_are_none_of_ours():
    body = text(1, "t") + text(2, "c")
    messages = [Message(10 << 8 | 8, 0, 0, 0, bytes((f, 0, 0, 0)) + body) for f in (1, 2, 10, 7)]
    assert list(map(parse.change, messages)) == [
        parse.Change("delrule", "t", "c"),
        parse.Change("delrule", "t", "c", "ip"),
        parse.Change("delrule", "t", "c", "ip6"),
        None,
    ]


@pytest.mark.parametrize(
    "element",
    [
        nested(1, b""),
        nested(1, nested(2, nested(2, be32(1, 1)))),
        nested(1, nested(1, attr(1, b"key"))),
        nested(1, nested(1, attr(1, b"key")), nested(2, nested(2, be32(1, 77)))),
    ],
)
def test_a_map_element_without_key_or_verdict_is_refused(element):
    message = Message(10 << 8 | 12, 0, 0, 0, bytes(4) + nested(3, element))
    with pytest.raises(NetlinkError):
        parse.verdicts([message])


@given(st.sampled_from((0, 3, 6, 9, 12, 15, 99)), st.binary(max_size=60))
def test_nonsense_is_a_netlink_error(kind, payload):
    message = Message(10 << 8 | kind, 0, 0, 0, b"\x01\0\0\0" + payload)
    for read in (parse.change, parse.generation):
        with contextlib.suppress(NetlinkError):
            read(message)
    for read in (parse.elements, parse.intervals, parse.verdicts):
        with contextlib.suppress(NetlinkError):
            read([message])
