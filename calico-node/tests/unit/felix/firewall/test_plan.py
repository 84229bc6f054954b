"""Where our rules go in the host's own firewall: a table that obeys the plan needs no second one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.firewall.model import (
    DOCKER_USER,
    FORWARD,
    MARKER,
    Chain,
    Delete,
    FirewallSettings,
    Insert,
    Listed,
)
from calico_node.felix.firewall.plan import place, plan, removal, wanted

OURS = [
    f"{MARKER} {direction} {prefix}+" for prefix in ("cali", "tap") for direction in ("from", "to")
]
HANDLES = st.integers(1, 10_000)
FOREIGN = st.builds(
    Listed,
    handle=HANDLES,
    comment=st.sampled_from(["", "mine", f"{MARKER} away", f"{MARKER} from cali"]),
    target=st.sampled_from(["", DOCKER_USER, "DOCKER-FORWARD"]),
)
RULES = FOREIGN | st.builds(Listed, handle=HANDLES, comment=st.sampled_from(OURS))


def test_without_accepting_there_are_no_rules():
    ours = tuple(Listed(number, comment) for number, comment in enumerate(OURS, 1))
    chains = {FORWARD: Chain(FORWARD, True, ours)}
    left_to_others = FirewallSettings(("cali", "tap"), accepts=False)
    assert wanted(left_to_others) == ()
    assert plan(chains, left_to_others) == removal(chains) != []


@st.composite
def tables(draw):
    """Chains of a firewall with rules of others and of ours, wherever they may have got to."""
    names = draw(st.sets(st.sampled_from([DOCKER_USER, FORWARD])))
    rules = draw(st.lists(RULES, unique_by=lambda rule: rule.handle, max_size=12))
    cut = draw(st.integers(0, 12))
    parts = {DOCKER_USER: rules[:cut], FORWARD: rules[cut:]}
    drops = draw(st.booleans())
    return {n: Chain(n, drops and n == FORWARD, tuple(parts[n])) for n in sorted(names)}


SETTINGS = st.builds(
    FirewallSettings,
    interface_prefixes=st.sampled_from([("cali",), ("cali", "tap"), ("tap",)]),
    appends=st.booleans(),
)


def obey(chains, operations):
    """Do what the kernel does."""
    after = dict(chains)
    for number, operation in enumerate(operations, 20_000):
        rules = list(after[operation.chain].rules)
        match operation:
            case Delete(handle=handle):
                (gone,) = [rule for rule in rules if rule.handle == handle]
                rules.remove(gone)
            case Insert(acceptance=acceptance, at_end=at_end):
                rules.insert(len(rules) if at_end else 0, Listed(number, acceptance.comment))
        after[operation.chain] = replace(after[operation.chain], rules=tuple(rules))
    return after


def foreign(chains):
    return {name: [rule for rule in c.rules if not rule.is_ours] for name, c in chains.items()}


@given(tables(), SETTINGS)
def test_afterwards_each_rule_is_in_its_place_once_and_others_are_untouched(chains, settings):
    after = obey(chains, plan(chains, settings))
    target = place(chains, appends=settings.appends)
    found = [(name, r.comment) for name, c in after.items() for r in c.rules if r.is_ours]
    there = [(target, rule.comment) for rule in wanted(settings)] if target else []
    assert sorted(found) == sorted(there)
    assert foreign(after) == foreign(chains)
    assert plan(after, settings) == []


@given(tables())
def test_a_removal_takes_ours_and_nothing_else(chains):
    after = obey(chains, removal(chains))
    assert not [rule for chain in after.values() for rule in chain.rules if rule.is_ours]
    assert foreign(after) == foreign(chains)


@pytest.mark.parametrize(
    ("jumps", "has_docker", "drops", "appends", "expected"),
    [
        (True, True, True, False, DOCKER_USER),
        (True, True, False, False, DOCKER_USER),
        (False, True, True, False, FORWARD),
        (False, True, False, False, None),
        (False, False, True, False, FORWARD),
        (False, False, False, False, None),
        (True, True, True, True, FORWARD),
        (True, True, False, True, None),
    ],
)
def test_rules_go_where_packets_would_be_dropped(jumps, has_docker, drops, appends, expected):
    target = (Listed(1, target=DOCKER_USER),) if jumps else ()
    chains = {FORWARD: Chain(FORWARD, drops, target)}
    if has_docker:
        chains[DOCKER_USER] = Chain(DOCKER_USER)
    assert place(chains, appends=appends) == expected


def test_new_rules_stand_before_or_behind_those_of_others_in_their_order():
    chains = {FORWARD: Chain(FORWARD, True, (Listed(1), Listed(2)))}
    expected = [rule.comment for rule in wanted(FirewallSettings())]
    for appends, order in ((False, [*expected, "", ""]), (True, ["", "", *expected])):
        settings = FirewallSettings(appends=appends)
        after = obey(chains, plan(chains, settings))
        assert [rule.comment for rule in after[FORWARD].rules] == order
