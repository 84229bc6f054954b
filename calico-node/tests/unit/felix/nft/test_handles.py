"""Shortened batches do to rules what whole ones do, whatever was told and whatever was lost."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.nft.handles import Handles
from calico_node.felix.nft.model import ACCEPT, DROP, Chain, Rule, table
from calico_node.felix.nft.operations import (
    AddRule,
    CreateChain,
    DeleteChain,
    DestroyTable,
    FlushChain,
    ReplaceRule,
)
from calico_node.felix.nft.plan import diff, plan, replace_table
from calico_node.felix.nft.testing.tables import tables

ONE, TWO, THREE = Rule((ACCEPT,), "1"), Rule((ACCEPT,), "2"), Rule((DROP,), "3")
DROPS = Rule((DROP,), "2")


class Rules:
    """The rules of chains, each with a handle of its own, as a kernel keeps them."""

    def __init__(self):
        self.chains = {}
        self._handles = itertools.count(1)

    def do(self, requests):
        """Do all requests; return the handles of new rules by the index of their request."""
        given_out = {}
        for index, request in enumerate(requests):
            match request:
                case DestroyTable():
                    self.chains.clear()
                case CreateChain(chain=chain):
                    self.chains.setdefault(chain, [])
                case FlushChain(chain=chain):
                    self.chains[chain] = []
                case DeleteChain(chain=chain):
                    del self.chains[chain]
                case AddRule(chain=chain, rule=rule):
                    given_out[index] = next(self._handles)
                    self.chains[chain].append((given_out[index], rule))
                case ReplaceRule(chain=chain, handle=handle, rule=rule):
                    place = [known for known, _ in self.chains[chain]].index(handle)
                    given_out[index] = next(self._handles)
                    self.chains[chain][place] = given_out[index], rule
        return given_out

    def content(self):
        """Return what a listing shows: chains and their rules."""
        return {chain: tuple(rule for _, rule in rules) for chain, rules in self.chains.items()}


@settings(max_examples=50, deadline=None)
@given(st.lists(tables(), min_size=1, max_size=5), st.data())
def test_a_shortened_batch_leads_to_the_same_rules(desired, data):
    kernel, handles = Rules(), Handles()
    batches = [replace_table(desired[0])]
    batches += [plan("t", diff(a, b)) for a, b in itertools.pairwise(desired)]
    for after, operations in zip(desired, batches, strict=True):
        requests = handles.shorten(operations)
        told = kernel.do(requests)
        lost = data.draw(st.sets(st.sampled_from(sorted(told)))) if told else set()
        handles.learn(requests, {i: handle for i, handle in told.items() if i not in lost})
        assert kernel.content() == {name: chain.rules for name, chain in after.chains.items()}


def test_only_the_rule_that_changed_is_exchanged():
    before, after = (_rules_of(ONE, rule, THREE) for rule in (TWO, DROPS))
    assert _requests(before, after) == [
        CreateChain("t", "c", None, ""),
        ReplaceRule("t", "c", 2, DROPS, ""),
    ]


def test_a_chain_that_gets_fewer_or_more_rules_is_written_anew():
    assert FlushChain("t", "c", "") in _requests(_rules_of(ONE, TWO), _rules_of(ONE))
    assert FlushChain("t", "c", "") in _requests(_rules_of(ONE), _rules_of(ONE, TWO))


def test_a_chain_is_written_anew_although_it_should_be_so_already():
    for same in (_rules_of(ONE, TWO), _rules_of()):
        rules = [AddRule("t", "c", rule, "") for rule in same.chains["c"].rules]
        operations = [FlushChain("t", "c", ""), *rules]
        assert _knowing(same).shorten(operations) == operations


def test_what_is_not_known_is_written_anew():
    before, after = _rules_of(ONE, TWO), _rules_of(ONE, THREE)
    operations = plan("t", diff(before, after))
    forgetful = _knowing(before)
    forgetful.forget()
    for handles in (Handles(), forgetful):
        assert handles.shorten(operations) == operations


def test_the_handle_of_an_exchanged_rule_is_the_new_one():
    handles, kernel = Handles(), Rules()
    states = [_rules_of(ONE, rule) for rule in (TWO, THREE, TWO, THREE)]
    for operations in (
        replace_table(states[0]),
        *(plan("t", diff(a, b)) for a, b in itertools.pairwise(states)),
    ):
        requests = handles.shorten(operations)
        handles.learn(requests, kernel.do(requests))
    assert requests[-1] == ReplaceRule("t", "c", 4, THREE, "")


def _rules_of(*rules):
    return table("t", [Chain("c", rules)])


def _knowing(before):
    handles = Handles()
    requests = handles.shorten(replace_table(before))
    handles.learn(requests, Rules().do(requests))
    return handles


def _requests(before, after):
    return _knowing(before).shorten(plan("t", diff(before, after)))
