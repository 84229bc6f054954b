"""What the kernel lists is read; nonsense is a NetlinkError, never anything else."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.firewall import parse, wire
from calico_node.felix.firewall.model import Acceptance, Chain, Delete, Insert, Listed
from libcalico.errors import NetlinkError
from libcalico.netlink.codec import Message, attr, be32, nested, parse_messages, text


def test_a_rule_of_ours_comes_back_as_ours():
    acceptance = Acceptance("to", "cali")
    batch = parse_messages(
        wire.encode_batch(4, [Insert("FORWARD", acceptance), Delete("FORWARD", 7)])
    )
    (rule,) = parse.rules([batch[1]])
    assert (rule.comment, rule.is_ours, rule.target) == (acceptance.comment, True, "")
    assert parse.rules([batch[2]]) == (Listed(7),)


def test_a_jump_names_its_chain():
    verdict = nested(2, be32(1, -3 & 0xFFFFFFFF), text(2, "DOCKER-USER"))
    immediate = nested(1, text(1, "immediate"), nested(2, be32(1, 0), nested(2, verdict)))
    payload = bytes(4) + attr(3, bytes(7) + b"\x05") + nested(4, immediate)
    assert parse.rules([Message(10 << 8 | 6, 0, 0, 0, payload)]) == (Listed(5, "", "DOCKER-USER"),)


def test_only_chains_of_table_filter_count():
    def chain(table, name, *policy):
        return Message(
            10 << 8 | 3, 0, 0, 0, bytes(4) + text(1, table) + text(3, name) + b"".join(policy)
        )

    listed = [
        chain("filter", "FORWARD", be32(5, 0)),
        chain("filter", "INPUT", be32(5, 1)),
        chain("filter", "DOCKER-USER"),
        chain("nat", "FORWARD", be32(5, 0)),
    ]
    assert parse.chains(listed) == {
        "FORWARD": Chain("FORWARD", drops=True),
        "INPUT": Chain("INPUT"),
        "DOCKER-USER": Chain("DOCKER-USER"),
    }


@given(st.binary(max_size=80))
def test_nonsense_is_a_netlink_error(payload):
    message = Message(10 << 8 | 6, 0, 0, 0, bytes(4) + payload)
    for read in (parse.chains, parse.rules):
        with contextlib.suppress(NetlinkError):
            read([message])


@given(st.binary(max_size=40))
def test_foreign_user_data_is_no_comment_of_ours(data):
    (rule,) = parse.rules([Message(10 << 8 | 6, 0, 0, 0, bytes(4) + attr(7, data))])
    assert not rule.is_ours
