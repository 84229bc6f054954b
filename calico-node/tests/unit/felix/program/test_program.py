"""The theorem of the program: the table depends on the last state only, never on the path."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    FloatingAddress,
    HostEndpoint,
    HostPolicies,
    Limits,
    LocalEndpoint,
    Member,
    PolicyId,
    Pool,
    Quality,
    RuleSide,
    SetChange,
    SetId,
    TierPolicies,
)
from calico_node.felix.nft.keys import Range
from calico_node.felix.nft.model import Chain, Named, Set, Table, VerdictMap, goto
from calico_node.felix.nft.plan import Delta, references
from calico_node.felix.program import names
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import PortRange

MEMBERS = [
    parse_cidr(text)
    for text in (
        "10.0.0.1",
        "10.0.0.2",
        "fd00::1",
        "10.1.0.0/16",
        "10.1.2.0/24",
        "fd00:1::/64",
        "0.0.0.0/0",
    )
]
SETS = [SetId("s:one"), SetId("s:two")]
POLICIES = [PolicyId("GlobalNetworkPolicy", "", n) for n in ("a", "b")] + [
    PolicyId("NetworkPolicy", "default", "a")
]
PROFILES = ["open", "closed"]
INTERFACES = ["cali1", "cali2"]
EVERYTHING_ON = RuleSettings(floating_ips=True)


@dataclass(frozen=True)
class State:
    """Everything that the calculation could have told, at one moment."""

    sets: dict[SetId, frozenset[Member]] = field(default_factory=dict)
    policies: dict[PolicyId, ActivePolicy] = field(default_factory=dict)
    profiles: dict[str, ActivePolicy] = field(default_factory=dict)
    endpoints: dict[EndpointId, LocalEndpoint] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    hosts: dict[str, HostEndpoint] = field(default_factory=dict)
    services: dict[Cidr, bool] = field(default_factory=dict)


rules = st.builds(
    CompiledRule,
    action=st.sampled_from(["Allow", "Deny", "Pass", "Log"]),
    source=st.builds(
        RuleSide,
        sets=st.lists(st.sampled_from(SETS), max_size=2, unique=True).map(tuple),
        not_sets=st.lists(st.sampled_from(SETS), max_size=1).map(tuple),
    ),
    protocol=st.just(6),
    destination=st.builds(RuleSide, ports=st.just((PortRange(80, 80), PortRange(90, 99)))),
)
rule_lists = st.lists(rules, max_size=2).map(tuple)
active = st.builds(
    ActivePolicy,
    tier=st.just("default"),
    ingress=rule_lists,
    egress=rule_lists,
    missing=st.booleans(),
)
tiers = st.builds(
    TierPolicies,
    name=st.sampled_from(["one", "two"]),
    default_action=st.sampled_from(["Deny", "Pass"]),
    ingress=st.lists(st.sampled_from(POLICIES), max_size=2, unique=True).map(tuple),
    egress=st.lists(st.sampled_from(POLICIES), max_size=2, unique=True).map(tuple),
)
endpoint_policies = st.builds(
    EndpointPolicies,
    tiers=st.lists(tiers, max_size=2).map(tuple),
    profiles=st.lists(st.sampled_from(PROFILES), max_size=2, unique=True).map(tuple),
)
floating = st.builds(
    FloatingAddress,
    external=st.sampled_from([parse_cidr("192.0.2.1"), parse_cidr("192.0.2.2")]),
    internal=st.sampled_from(MEMBERS[:2]),
)
limits = st.builds(
    Limits,
    packet_rate=st.sampled_from([0, 0, 100, 200]),
    packet_burst=st.sampled_from([0, 7]),
    connections=st.sampled_from([0, 0, 5, 6]),
)
qualities = st.just(Quality()) | st.builds(
    Quality, ingress=limits, egress=limits, dscp=st.sampled_from([None, 10, 46])
)
endpoints = st.builds(
    LocalEndpoint,
    interface=st.sampled_from(INTERFACES),
    addresses=st.lists(st.sampled_from(MEMBERS[:3]), max_size=2, unique=True).map(tuple),
    mac=st.just("ee:ee:ee:ee:ee:ee"),
    policies=endpoint_policies,
    floating=st.lists(floating, max_size=2, unique=True).map(tuple),
    quality=qualities,
)
pools = st.builds(
    Pool,
    cidr=st.sampled_from(MEMBERS[3:6]),
    nat_outgoing=st.booleans(),
    vxlan=st.sampled_from(["Never", "Always"]),
)
some_tiers = st.lists(tiers, max_size=2).map(tuple)
hosts = st.builds(
    HostEndpoint,
    name=st.sampled_from(["h", "i"]),
    policies=st.builds(
        HostPolicies,
        normal=endpoint_policies,
        forward=some_tiers,
        pre_dnat=some_tiers,
        untracked=some_tiers,
    ),
)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A consistent state: what endpoints use is active, what rules name are sets."""
    used = draw(
        st.dictionaries(
            st.builds(EndpointId, st.just("ns"), st.sampled_from("xyz")), endpoints, max_size=3
        )
    )
    governed = draw(st.dictionaries(st.sampled_from(["eth0", "cali9", "*"]), hosts, max_size=2))
    own = [h.policies for h in governed.values()]
    ordered = [e.policies for e in used.values()] + [h.normal for h in own]
    used_tiers = [t for p in ordered for t in p.tiers]
    used_tiers += [t for h in own for t in (*h.forward, *h.pre_dnat, *h.untracked)]
    policies = {p for t in used_tiers for p in (*t.ingress, *t.egress)}
    everywhere = draw(st.sets(st.sampled_from(POLICIES)))
    profiles = {p for e in ordered for p in e.profiles}
    members = st.frozensets(st.sampled_from(MEMBERS), max_size=4)
    state = State(
        {set_id: draw(members) for set_id in SETS},
        {
            p: replace(draw(active), everywhere=p in everywhere)
            for p in sorted(policies | everywhere)
        },
        {p: draw(active) for p in sorted(profiles)},
        used,
        draw(st.dictionaries(st.sampled_from(["p", "q"]), pools, max_size=2)),
        governed,
        draw(st.dictionaries(st.sampled_from(MEMBERS), st.just(True), max_size=3)),
    )
    named = {
        s
        for a in (*state.policies.values(), *state.profiles.values())
        for r in (*a.ingress, *a.egress)
        for s in (*r.source.sets, *r.source.not_sets)
    }
    return State(
        {s: m for s, m in state.sets.items() if s in named},
        state.policies,
        state.profiles,
        state.endpoints,
        state.pools,
        state.hosts,
        state.services,
    )


def changes(old: State, new: State) -> Changes:
    def differing(before: dict, after: dict) -> dict:
        return {
            key: after.get(key)
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }

    sets = {
        s: SetChange(deleted=old.sets[s], removed=True) for s in old.sets.keys() - new.sets.keys()
    }
    for set_id, members in new.sets.items():
        before = old.sets.get(set_id)
        if before != members:
            sets[set_id] = SetChange(
                members - (before or frozenset()),
                (before or frozenset()) - members,
                created=before is None,
            )
    return Changes(
        sets=sets,
        policies=differing(old.policies, new.policies),
        profiles=differing(old.profiles, new.profiles),
        endpoints=differing(old.endpoints, new.endpoints),
        pools=differing(old.pools, new.pools),
        host_endpoints=differing(old.hosts, new.hosts),
        services=differing(old.services, new.services),
    )


def applied(table: Table, delta: Delta) -> Table:
    """Fold a delta into a table, refusing what the kernel would refuse."""
    chains = {n: c for n, c in table.chains.items() if n not in delta.removed_chains}
    chains |= {c.name: c for c in delta.chains}
    sets = {n: s for n, s in table.sets.items() if n not in delta.removed_sets}
    maps = {n: m for n, m in table.maps.items() if n not in delta.removed_sets}
    assert delta.removed_sets <= table.sets.keys() | table.maps.keys()
    assert delta.removed_chains <= table.chains.keys()
    for new in delta.created_sets:
        assert new.name not in sets.keys() | maps.keys()
        (sets if isinstance(new, Set) else maps)[new.name] = new
    for change in delta.set_changes:
        there = sets[change.set.name].elements
        assert not change.added & there
        assert change.removed <= there
        sets[change.set.name] = with_elements(
            sets[change.set.name], there - change.removed | change.added
        )
    for change in delta.map_changes:
        there = dict(maps[change.map.name].elements)
        assert change.removed <= there.keys()
        assert change.changed.keys() <= there.keys()
        assert not change.added.keys() & there.keys()
        kept = {k: v for k, v in there.items() if k not in change.removed}
        old = maps[change.map.name]
        maps[change.map.name] = VerdictMap(
            old.name, old.key, {**kept, **change.added, **change.changed}, old.size, old.owner
        )
    return consistent(Table(table.name, chains, sets, maps))


def with_elements(old: Set, elements: frozenset[bytes]) -> Set:
    return Set(old.name, old.key, elements, old.interval, old.size, old.owner)


def consistent(table: Table) -> Table:
    for chain in table.chains.values():
        assert references(chain) <= table.sets.keys() | table.maps.keys()
        for rule in chain.rules:
            for statement in rule.statements:
                if getattr(statement, "chain", ""):
                    assert statement.chain in table.chains
                if isinstance(getattr(statement, "value", None), Named):
                    assert statement.value.set in table.sets
    for map_ in table.maps.values():
        chains = {verdict.chain for verdict in map_.elements.values() if verdict.chain}
        assert chains <= table.chains.keys()
    return table


@settings(max_examples=150, deadline=None)
@given(st.lists(states(), min_size=1, max_size=4))
def test_the_table_depends_on_the_last_state_only(path):
    program, previous = Program(EVERYTHING_ON), State()
    table = program.table()
    program.apply(Changes())
    for state in path:
        table = applied(table, program.apply(changes(previous, state)))
        assert table == program.table()
        previous = state
    fresh = Program(EVERYTHING_ON)
    fresh.apply(changes(State(), path[-1]))
    assert program.table() == fresh.table()


@settings(max_examples=50, deadline=None)
@given(states())
def test_a_new_configuration_gives_the_same_table_as_starting_with_it(state):
    other = RuleSettings(
        endpoint_to_host="Accept",
        deny="Reject",
        mark_mask=0xFF00,
        floating_ips=True,
        serves_addresses=True,
        service_loops="Reject",
        nat_ports=Range(20000, 29999),
        nat_outgoing_address=parse_cidr("192.0.2.9"),
    )
    program, fresh = Program(RuleSettings()), Program(other)
    program.apply(changes(State(), state))
    table = program.table()
    fresh.apply(changes(State(), state))
    assert applied(table, program.reconfigure(other)) == fresh.table()


@given(states())
def test_telling_the_same_again_changes_nothing(state):
    program = Program(RuleSettings())
    told = changes(State(), state)
    program.apply(told)
    again = Changes(
        policies=told.policies,
        profiles=told.profiles,
        endpoints=told.endpoints,
        pools=told.pools,
        host_endpoints=told.host_endpoints,
    )
    assert program.apply(again) == Delta()


def endpoint(interface: str = "cali1", *profiles: str) -> LocalEndpoint:
    return LocalEndpoint(interface, (MEMBERS[0],), "", EndpointPolicies((), profiles))


def test_two_endpoints_with_equal_policies_share_their_chains():
    program = Program(RuleSettings())
    allow = ActivePolicy("", (CompiledRule("Allow"),), ())
    program.apply(
        Changes(
            profiles={"open": allow},
            endpoints={
                EndpointId("ns", "a"): endpoint("cali1", "open"),
                EndpointId("ns", "b"): endpoint("cali2", "open"),
            },
        )
    )
    verdicts = set(program.table().maps[names.TO_WORKLOADS_MAP].elements.values())
    assert len(verdicts) == 1
    assert verdicts.pop().kind == goto("").kind


def test_a_profile_that_nothing_is_known_of_denies():
    program = Program(RuleSettings())
    program.apply(Changes(endpoints={EndpointId("ns", "a"): endpoint("cali1", "ghost")}))
    chain = program.table().chains[names.profile_chain("ghost", "ingress")]
    assert [str(s) for r in chain.rules for s in r.statements] == [str(rules_deny())]


def rules_deny() -> object:
    from calico_node.felix.program import rules as module

    return module.deny(RuleSettings())


def test_a_policy_that_is_needed_everywhere_is_there_while_nobody_uses_it():
    program = Program(RuleSettings())
    policy, rules = POLICIES[0], (CompiledRule("Allow", source=RuleSide(sets=(SETS[0],))),)
    needed = ActivePolicy("t", rules, (), everywhere=True)
    into, out_of = (names.policy_chain(policy, way) for way in ("ingress", "egress"))
    created = {SETS[0]: SetChange(frozenset(MEMBERS[:1]), created=True)}
    program.apply(Changes(sets=created, policies={policy: needed}))
    assert references(program.table().chains[into])
    assert out_of not in program.table().chains, "there is nothing to prepare"
    program.apply(Changes(policies={policy: replace(needed, everywhere=False)}))
    assert into not in program.table().chains
    program.apply(Changes(policies={policy: needed}))
    program.apply(Changes(policies={policy: None}))
    assert into not in program.table().chains


def test_a_refused_policy_denies_until_it_changes():
    program = Program(RuleSettings())
    policy = POLICIES[0]
    tier = TierPolicies("t", "Deny", (policy,), ())
    allow = ActivePolicy("t", (CompiledRule("Allow"),), ())
    owner = EndpointId("ns", "a")
    one = LocalEndpoint("cali1", (), "", EndpointPolicies((tier,), ()))
    program.apply(Changes(policies={policy: allow}, endpoints={owner: one}))
    name = names.policy_chain(policy, "ingress")
    before = program.table().chains[name]
    assert program.refuse(str(policy), "Invalid argument")
    assert program.table().chains[name].rules[0].statements == (rules_deny(),)
    assert list(program.refused) == [policy]
    program.apply(Changes(policies={policy: allow}))
    assert program.table().chains[name] == before
    assert not program.refused


def test_an_unknown_owner_cannot_be_refused():
    assert not Program(RuleSettings()).refuse("static", "no")


def test_every_set_named_by_a_rule_is_there_before_any_member_is():
    program = Program(RuleSettings())
    side = RuleSide(sets=(SETS[0],))
    policy = ActivePolicy("", (CompiledRule("Allow", source=side),), ())
    program.apply(
        Changes(
            sets={SETS[0]: SetChange(created=True)},
            profiles={"p": policy},
            endpoints={EndpointId("ns", "a"): endpoint("cali1", "p")},
        )
    )
    chain = program.table().chains[names.profile_chain("p", "ingress")]
    assert isinstance(chain, Chain)
    assert references(chain) == {names.set_name(SETS[0], 4), names.set_name(SETS[0], 6)}
