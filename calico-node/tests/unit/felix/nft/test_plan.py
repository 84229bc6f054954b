"""Plans lead from any table to any other, through batches that never dangle."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    VerdictMap,
    jump,
    table,
)
from calico_node.felix.nft.operations import AddElements, AddRule, FlushChain
from calico_node.felix.nft.plan import (
    Delta,
    MapChange,
    SetChange,
    diff,
    plan,
    references,
    replace_table,
)
from calico_node.felix.nft.testing.tables import tables

IPV4 = (KeyType.IPV4_ADDR,)


@settings(max_examples=100, deadline=None)
@given(st.lists(tables(), min_size=1, max_size=4))
def test_every_delta_leads_to_the_desired_table(desired):
    kernel = FakeNftables()
    kernel.commit(replace_table(desired[0]))
    assert kernel.table("t") == desired[0]
    for before, after in itertools.pairwise(desired):
        kernel.commit(plan("t", diff(before, after)))
        assert kernel.table("t") == after
        kernel.commit(replace_table(before))
        assert kernel.table("t") == before
        kernel.commit(replace_table(after))


@settings(max_examples=50, deadline=None)
@given(tables())
def test_nothing_is_done_when_nothing_changed(same):
    assert plan("t", diff(same, same)) == []


def test_operations_carry_the_owner_of_the_rule_else_of_the_chain():
    mine = Rule((ACCEPT,), owner="policy/a")
    chain = Chain("c", (mine, Rule((DROP,))), owner="class/b")
    operations = plan("t", Delta(chains=(chain,)))
    owners = [o.owner for o in operations if isinstance(o, AddRule)]
    assert owners == ["policy/a", "class/b"]
    assert [o.owner for o in operations if isinstance(o, FlushChain)] == ["class/b"]


def test_owners_are_no_difference():
    assert Chain("c", (Rule((ACCEPT,), owner="a"),), owner="a") == Chain("c", (Rule((ACCEPT,)),))


def test_a_change_of_elements_touches_only_them():
    change = SetChange(Set("s", IPV4, owner="me"), added=frozenset({b"\x0a\0\0\1"}))
    (operation,) = plan("t", Delta(set_changes=(change,)))
    assert operation == AddElements("t", "s", frozenset({b"\x0a\0\0\1"}), False, "me")


def test_a_changed_verdict_is_removed_before_it_is_added():
    map_ = VerdictMap("m", (KeyType.IFNAME,))
    key = KeyType.IFNAME.pack("cali1")
    operations = plan("t", Delta(map_changes=(MapChange(map_, changed={key: DROP}),)))
    assert [type(operation).__name__ for operation in operations] == [
        "DeleteElements",
        "AddVerdicts",
    ]


def test_a_set_of_another_shape_rewrites_the_chains_that_use_it():
    user = Chain("user", (Rule((Match(Field.IP_SADDR, Named("s")), DROP)),))
    other = Chain("other", (Rule((jump("user"),)),))
    before = table("t", [user, other], [Set("s", IPV4)])
    after = table("t", [user, other], [Set("s", IPV4, interval=True)])
    delta = diff(before, after)
    assert delta.chains == (user,)
    assert delta.removed_sets == {"s"}
    assert references(user) == {"s"}


def test_a_chain_that_changes_its_hook_needs_a_new_table():
    before = table("t", [Chain("c", (), BaseHook("filter", "input", 0))])
    after = table("t", [Chain("c", (), BaseHook("filter", "input", 1))])
    with pytest.raises(ValueError, match=r"hook: \['c'\]"):
        diff(before, after)
