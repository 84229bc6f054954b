"""Plans lead the real kernel from any table to any other."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calico_node.felix.nft.apply import Nftables, RefusedError
from calico_node.felix.nft.fake import FakeNftables
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import (
    ACCEPT,
    Chain,
    Field,
    Match,
    OneOf,
    Rule,
    Set,
    table,
)
from calico_node.felix.nft.monitor import Monitor
from calico_node.felix.nft.operations import (
    AddElements,
    AddRule,
    CreateChain,
    DeleteChain,
    FlushChain,
)
from calico_node.felix.nft.plan import diff, plan, replace_table
from calico_node.felix.nft.testing.forms import everything
from calico_node.felix.nft.testing.tables import tables

pytestmark = pytest.mark.root


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(desired=st.lists(tables(), min_size=2, max_size=4))
def test_every_delta_leads_to_the_desired_table(desired, netns, other_netns, list_blocks, kernels):
    kernel, scratch = kernels
    fake = FakeNftables()
    for commit in (kernel.commit, fake.commit):
        commit(replace_table(desired[0]))
    for before, after in pairwise(desired):
        delta = plan("t", diff(before, after))
        kernel.commit(delta)
        fake.commit(delta)
        assert fake.table("t") == after
        assert _contents(kernel, after) == _contents(fake, after)
    scratch.commit(replace_table(desired[-1]))
    assert list_blocks(netns) == list_blocks(other_netns)


@pytest.fixture
def kernels(netns, other_netns):
    with netns.call(Nftables) as kernel, other_netns.call(Nftables) as scratch:
        yield kernel, scratch


def test_of_a_rewritten_chain_only_the_rules_that_changed_are_exchanged(
    netns, other_netns, list_blocks, kernels
):
    kernel, scratch = kernels
    kernel.commit(replace_table(_numbered(1, 2, 3)))
    with netns.call(lambda: Monitor("t")) as monitor:
        for numbers in ((1, 4, 3), (1, 5, 3), (6, 5, 7)):
            kernel.commit(plan("t", diff(_numbered(1, 2, 3), _numbered(*numbers))))
        told = [[change.verb for change in commit.changes] for commit in monitor.read()]
    assert [verbs.count("newrule") for verbs in told] == [1, 1, 2]
    scratch.commit(replace_table(_numbered(6, 5, 7)))
    assert list_blocks(netns) == list_blocks(other_netns)


def test_a_rule_that_somebody_removed_is_refused_and_then_written_anew(
    netns, other_netns, list_blocks, kernels
):
    kernel = kernels[0]
    kernel.commit(replace_table(_numbered(1, 2, 3)))
    with netns.call(Nftables) as somebody:
        somebody.commit([FlushChain("t", "c", "")])
    edit = plan("t", diff(_numbered(1, 2, 3), _numbered(1, 4, 3)))
    with pytest.raises(RefusedError):
        kernel.commit(edit)
    for each in kernels:
        each.commit(replace_table(_numbered(1, 4, 3)))
    assert list_blocks(netns) == list_blocks(other_netns)


def test_a_table_that_was_looked_at_is_not_believed_to_be_as_it_was_written(
    netns, other_netns, list_blocks, kernels
):
    kernel, scratch = kernels
    kernel.commit(replace_table(_numbered(1, 2, 3)))
    with netns.call(Nftables) as somebody:
        somebody.commit([AddRule("t", "c", Rule((ACCEPT,)), "")])
    kernel.skeleton("t")
    kernel.commit(plan("t", diff(_numbered(1, 2, 3), _numbered(1, 4, 3))))
    scratch.commit(replace_table(_numbered(1, 4, 3)))
    assert list_blocks(netns) == list_blocks(other_netns)


def _numbered(*numbers):
    rules = [Rule((Match(Field.DPORT, OneOf((n, n + 1))), ACCEPT), f"{n}") for n in numbers]
    return table("t", [Chain("c", tuple(rules))])


def test_a_bad_operation_leaves_everything_as_it_was(netns, kernel, list_blocks):
    kernel.commit(replace_table(everything("t")))
    before = list_blocks(netns), kernel.generation()
    with pytest.raises(RefusedError) as caught:
        kernel.commit(
            [
                *replace_table(everything("t")),
                CreateChain("t", "new", None, "good"),
                AddElements("t", "hosts", [b"\x0b\0\0\1"], interval=False, owner="good"),
                DeleteChain("t", "absent", "policy/bad"),
            ]
        )
    assert caught.value.owner == "policy/bad"
    assert caught.value.operation == DeleteChain("t", "absent", "policy/bad")
    assert "policy/bad" in str(caught.value)
    assert (list_blocks(netns), kernel.generation()) == before


def test_a_set_of_many_megabytes_is_one_commit(kernel):
    huge = frozenset(bytes(12) + i.to_bytes(4, "big") for i in range(100_000))
    hosts = Set("hosts", (KeyType.IPV6_ADDR,), huge, size=2 * len(huge))
    kernel.commit(replace_table(table("t", sets=[hosts])))
    assert kernel.read_elements("t", "hosts") == huge


def _contents(kernel, of):
    sets = {
        name: kernel.read_elements("t", name, interval=set_.interval)
        for name, set_ in of.sets.items()
    }
    return sets, {name: kernel.read_verdicts("t", name) for name in of.maps}
