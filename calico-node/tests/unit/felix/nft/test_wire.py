"""Batches as bytes: their frame, whom each message belongs to, and what cannot be encoded.

That the bytes mean what they should is held by the functional tests, on a real kernel.
"""

import pytest

from calico_node.felix.nft import wire
from calico_node.felix.nft.keys import KeyType, Prefix, Range
from calico_node.felix.nft.model import (
    DROP,
    Counter,
    Field,
    Limit,
    Log,
    Match,
    Named,
    OneOf,
    Rule,
    SetMark,
    Verdict,
    VerdictMap,
    jump,
)
from calico_node.felix.nft.operations import (
    AddElements,
    AddRule,
    AddVerdicts,
    CreateChain,
    CreateSet,
    CreateTable,
    DeleteElements,
    DestroyTable,
    describe,
)
from calico_node.felix.nft.parse import GENERIC_HEADER
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.testing.forms import address, everything, prefix
from libcalico.netlink.codec import NLM_F_ACK, parse_attrs, parse_messages

SUBSYSTEM = 10 << 8


def test_a_batch_is_framed_and_numbered():
    batch = wire.encode_batch([CreateTable("t"), CreateChain("t", "c", None, "")])
    messages = parse_messages(batch.data)
    kinds = [message.type & 0xFF for message in messages]
    assert kinds == [wire.BATCH_BEGIN, wire.NEWTABLE, wire.NEWCHAIN, wire.BATCH_END]
    assert [message.seq for message in messages] == [0, 1, 2, 3]
    assert batch.operation_by_seq == [-1, 0, 1, -1]
    assert [bool(message.flags & NLM_F_ACK) for message in messages] == [False, False, True, False]


def test_the_table_of_all_forms_is_whole_messages_of_known_operations():
    operations = replace_table(everything("t"))
    batch = wire.encode_batch(operations)
    messages = parse_messages(batch.data)
    assert len(messages) == len(batch.operation_by_seq)
    assert sorted(set(batch.operation_by_seq)) == list(range(-1, len(operations)))


def test_messages_of_an_anonymous_set_belong_to_its_rule():
    rule = Rule((Match(Field.DPORT, OneOf((80, 443))), DROP))
    batch = wire.encode_batch([CreateTable("t"), AddRule("t", "c", rule, "")])
    kinds = [message.type & 0xFF for message in parse_messages(batch.data)]
    assert kinds[2:-1] == [wire.NEWSET, wire.NEWSETELEM, wire.NEWRULE]
    assert batch.operation_by_seq[2:-1] == [1, 1, 1]


def test_every_anonymous_set_of_a_batch_has_its_own_number():
    rule = Rule((Match(Field.DPORT, OneOf((80, 443))), Match(Field.SPORT, OneOf((1, 2))), DROP))
    batch = wire.encode_batch([AddRule("t", "c", rule, ""), AddRule("t", "c", rule, "")])
    numbers = [
        parse_attrs(message.payload, GENERIC_HEADER)[10]
        for message in parse_messages(batch.data)
        if message.type == SUBSYSTEM | wire.NEWSET
    ]
    assert len(set(numbers)) == 4


def test_long_lists_are_split_below_the_limit_of_an_attribute():
    keys = [i.to_bytes(4, "big") for i in range(10_000)]
    batch = wire.encode_batch([AddElements("t", "s", keys, interval=False, owner="")])
    messages = parse_messages(batch.data)
    assert len(messages) > 4
    assert max(len(message.payload) for message in messages) < 0xFFFF


def test_no_elements_are_no_message():
    operations = [
        AddElements("t", "s", [], interval=False, owner=""),
        AddElements("t", "s", [], interval=True, owner=""),
        DeleteElements("t", "s", [], interval=False, owner=""),
        AddVerdicts("t", "m", {}, ""),
    ]
    assert wire.encode_batch(operations).operation_by_seq == [-1, -1]


def test_a_kernel_without_destroy_is_asked_with_older_requests():
    operations = [
        DestroyTable("t"),
        DeleteElements("t", "s", [b"1234"], interval=False, owner=""),
    ]
    new, old = (wire.encode_batch(operations, destroys=known) for known in (True, False))
    kinds = [[m.type & 0xFF for m in parse_messages(batch.data)][1:-1] for batch in (new, old)]
    assert kinds[0] == [wire.DESTROYTABLE, wire.DESTROYSETELEM]
    assert kinds[1] == [wire.NEWTABLE, wire.DELTABLE, wire.DELSETELEM]


def test_equal_rules_are_encoded_alike_whoever_owns_them():
    rules = [Rule((Counter(), jump("x")), owner=owner) for owner in ("a", "b")]
    a, b = (wire.encode_batch([AddRule("t", "c", rule, "")]).data for rule in rules)
    assert a == b


@pytest.mark.parametrize(
    "statement",
    [
        Match(Field.IP_SADDR, address("fd00::1")),
        Match(Field.IP_SADDR, prefix("fd00::/64")),
        Match(Field.IP_SADDR, Prefix(bytes(4), 33)),
        Match(Field.IP_SADDR, Prefix(address("10.0.0.1"), 8)),
        Match(Field.IP_SADDR, OneOf((Prefix(address("10.0.0.1"), 8),))),
        Match(Field.IP_SADDR, OneOf((Prefix(bytes(16), 0),))),
        Match(Field.IP_SADDR, Range(address("10.0.0.2"), address("10.0.0.1"))),
        Match(Field.DPORT, OneOf((Range(2, 1),))),
        Match(Field.IP_SADDR, 7),
        Match(Field.IIFNAME, "an interface name too long"),
        Match(Field.DPORT, 65536),
        Match(Field.DPORT, OneOf((1, 65536))),
        Match(Field.DPORT, OneOf(((1, 2),))),
        Match(Field.DPORT, OneOf(())),
        Match(Field.MARK, Range(1, 2)),
        Match((Field.IP_SADDR, Field.DPORT), address("10.0.0.1")),
        Match((Field.IP_SADDR, Field.DPORT), OneOf((address("10.0.0.1"),))),
        Match((Field.IP_SADDR, Field.DPORT), OneOf(((address("10.0.0.1"),),))),
        SetMark(0x30000, 0x1),
        SetMark(1 << 32, 0),
        Limit(-1),
        Log("x", group=65536),
    ],
    ids=str,
)
def test_what_cannot_be_encoded_is_named(statement):
    good = AddRule("t", "c", Rule((DROP,)), "")
    with pytest.raises(wire.UnencodableError) as caught:
        wire.encode_batch([good, AddRule("t", "c", Rule((statement,)), "")])
    assert caught.value.index == 1


def test_a_comment_is_at_most_127_bytes():
    rules = [Rule((DROP,), comment="x" * size) for size in (127, 128)]
    wire.encode_batch([AddRule("t", "c", rules[0], "")])
    with pytest.raises(wire.UnencodableError, match="127 bytes"):
        wire.encode_batch([AddRule("t", "c", rules[1], "")])


def test_keys_of_one_set_are_of_one_width():
    for interval in (False, True):
        bad = AddElements("t", "s", [bytes(8), bytes(6)], interval, "")
        with pytest.raises(wire.UnencodableError, match="width"):
            wire.encode_batch([bad])


def test_a_rule_too_long_for_a_message_is_named():
    rule = Rule((Counter(),) * 3000)
    with pytest.raises(wire.UnencodableError):
        wire.encode_batch([AddRule("t", "c", rule, "")])


def test_operations_are_described_in_a_few_words():
    huge = AddElements("t", "hosts", [bytes(4)] * 1000, interval=False, owner="")
    assert describe(huge) == "AddElements t hosts"
    assert describe(DestroyTable("t")) == "DestroyTable t"
    assert describe(CreateSet("t", VerdictMap("m", (KeyType.IFNAME,)), "")) == "CreateSet t m"
    rule = Rule((Match(Field.IP_SADDR, Named("hosts")), Verdict(DROP.kind)))
    assert describe(AddRule("t", "c", rule, "")) == "AddRule t c"
