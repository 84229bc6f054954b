"""What is Go Felix's among the chains and rules that the kernel lists, and in which order it goes."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.firewall import gofelix
from calico_node.felix.firewall.gofelix import Leftovers, Place
from calico_node.felix.nft import wire
from libcalico.errors import NetlinkError
from libcalico.netlink.codec import Message, attr, be32, nested, parse_attrs, parse_messages, text

NFT = 10 << 8


def chain(table, name):
    return Message(NFT | 3, 0, 0, 0, bytes(4) + text(1, table) + text(3, name))


def rule(handle, *expressions):
    payload = attr(3, handle.to_bytes(8, "big")) + nested(4, *expressions)
    return Message(NFT | 6, 0, 0, 0, bytes(4) + payload)


def jump(name):
    verdict = nested(2, be32(1, -3 & 0xFFFFFFFF), text(2, name))
    return nested(1, text(1, "immediate"), nested(2, be32(1, 0), nested(2, verdict)))


def remark(words):
    info = words.encode().ljust(256, b"\0")
    return nested(1, text(1, "match"), nested(2, text(1, "comment"), be32(2, 0), attr(3, info)))


def test_chains_are_told_by_table_and_name():
    there = gofelix.places(
        [
            chain("filter", "FORWARD"),
            chain("filter", "cali-FORWARD"),
            chain("operators", "cali-FORWARD"),
            chain("filter", "calico"),
            chain("calico", "filter-FORWARD"),
            chain("calico", "filter-cali-tw-x"),
        ]
    )
    found = gofelix.find(there)
    assert found == Leftovers(("calico",), (Place("filter", "cali-FORWARD"),))
    assert [place.chain for place in there if gofelix.may_link(place)] == ["FORWARD", "calico"]
    assert not gofelix.find(there[:1])


def test_rules_are_told_by_where_they_lead_and_by_their_comment():
    listed = [
        rule(1, jump("cali-FORWARD")),
        rule(2, jump("KUBE-FORWARD")),
        rule(3, remark("cali:S93hcgKJrXEqnTfs"), jump("ACCEPT")),
        rule(4, remark("calico: policy has passed to cali+")),
        rule(5, remark("mentions cali:this")),
        rule(6),
    ]
    assert gofelix.links(listed) == [1, 3]


def test_nothing_is_removed_that_something_else_still_needs():
    found = Leftovers(
        ("calico",),
        (Place("filter", "cali-a"), Place("filter", "cali-b")),
        ((Place("filter", "FORWARD"), 7),),
    )
    messages = parse_messages(gofelix.encode_removal("ip6", found))
    kinds = [message.type & 0xFF for message in messages[1:-1]]
    rule_, chain_, table = wire.DELRULE, wire.DELCHAIN, wire.DELTABLE
    assert kinds == [rule_, rule_, rule_, chain_, chain_, table]
    assert {message.payload[0] for message in messages[1:-1]} == {10}
    by_number = [parse_attrs(message.payload[4:]).get(3) for message in messages[1:4]]
    assert by_number == [(7).to_bytes(8, "big"), None, None]


@given(st.lists(st.binary(max_size=64)))
def test_nonsense_is_an_error_of_netlink(payloads):
    messages = [Message(NFT | 3, 0, 0, 0, bytes(4) + payload) for payload in payloads]
    for read in (gofelix.places, gofelix.links):
        with contextlib.suppress(NetlinkError):
            read(messages)
