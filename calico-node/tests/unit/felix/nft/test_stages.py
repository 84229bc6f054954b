"""Batches between any two tables lead there, and no element leads to a chain that had no rules before."""

from hypothesis import given, settings

from calico_node.felix.nft.fake import FakeNftables
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    BaseHook,
    Chain,
    Field,
    Match,
    Named,
    Rule,
    Set,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
    table,
)
from calico_node.felix.nft.plan import diff, plan, replace_table
from calico_node.felix.nft.stages import stages
from calico_node.felix.nft.testing.tables import tables

CALI1 = KeyType.IFNAME.pack("cali1")
CLOSED = (Rule((DROP,)),)
LOOKUP = Rule((VerdictLookup(Field.IIFNAME, "m"),))
BASE = Chain("base", (LOOKUP,), BaseHook("filter", "forward", 0))
FROM_SET = Rule((Match(Field.IP_SADDR, Named("s")), ACCEPT))


@settings(max_examples=100, deadline=None)
@given(tables(), tables())
def test_stages_lead_to_the_desired_table(before, after):
    kernel = FakeNftables()
    kernel.commit(replace_table(before))
    for batch in stages("t", diff(before, after)):
        known = kernel.table("t")
        kernel.commit(batch)
        check_packets_on_their_way(known, kernel.table("t"))
    assert kernel.table("t") == after


def check_packets_on_their_way(before, after):
    """An element of a map that stays leads to a chain that was there, as it is now or closed."""
    for name in before.maps.keys() & after.maps.keys():
        old = before.maps[name].elements
        for key, verdict in after.maps[name].elements.items():
            if verdict.chain and old.get(key) != verdict:
                assert verdict.chain in before.chains


def dispatching(elements, *chains, sets=()):
    return table("t", [BASE, *chains], sets, [VerdictMap("m", (KeyType.IFNAME,), elements)])


def test_a_chain_that_a_new_element_leads_to_is_there_one_batch_earlier():
    new = [Chain("new", (Rule((jump("deeper"),)),)), Chain("deeper", (Rule((ACCEPT,)),))]
    before, after = dispatching({}), dispatching({CALI1: goto("new")}, *new)
    first, second = stages("t", diff(before, after))
    kernel = FakeNftables()
    kernel.commit(replace_table(before))
    kernel.commit(first)
    assert kernel.table("t") == dispatching({}, *new)
    kernel.commit(second)
    assert kernel.table("t") == after
    assert [type(operation).__name__ for operation in second] == ["AddVerdicts"]


def test_a_chain_without_all_that_it_leads_to_drops_until_it_is_there():
    old = Chain("policy", (Rule((ACCEPT,)),))
    changed = Chain("policy", (Rule((DROP,)),))
    user = Chain("user", (Rule((jump("policy"),)),))
    before = dispatching({}, old, sets=[Set("s", (KeyType.IPV4_ADDR,))])
    reader = Chain("reader", (FROM_SET,))
    again = Set("s", (KeyType.IPV4_ADDR,), interval=True)
    after = dispatching({CALI1: goto("user")}, changed, user, reader, sets=[again])
    kernel = FakeNftables()
    kernel.commit(replace_table(before))
    first, second = stages("t", diff(before, after))
    kernel.commit(first)
    chains = kernel.table("t").chains
    assert (chains["user"].rules, chains["reader"].rules) == (CLOSED, CLOSED)
    assert chains["policy"].rules == old.rules
    kernel.commit(second)
    assert kernel.table("t") == after


def test_what_no_new_element_leads_to_is_one_batch():
    before, after = dispatching({}), dispatching({}, Chain("new", (Rule((ACCEPT,)),)))
    delta = diff(before, after)
    assert stages("t", delta) == [plan("t", delta)]
    assert stages("t", diff(after, after)) == []
