"""Felix from the datastore to a kernel that refuses what dangles, and now and then what it does not like.

The theorem: what is programmed depends on the last state of the datastore only, never on the path; and
nothing that is committed on the way passes a packet that the states before and after both drop.
"""

import errno
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.dataplane.commit import Committer
from calico_node.felix.dataplane.testing import network, worlds
from calico_node.felix.dataplane.testing.verdicts import (
    ADDRESSES,
    HOOKS,
    RULES,
    decide,
    headers,
    passage,
)
from calico_node.felix.messages import PolicyId
from calico_node.felix.nft.apply import Refusal, RefusedError
from calico_node.felix.nft.fake import FakeNftables
from calico_node.felix.nft.model import SetMark
from calico_node.felix.nft.operations import AddRule, CreateChain, DestroyTable, FlushChain
from calico_node.felix.nft.testing.packets import passes
from calico_node.felix.program import names
from calico_node.felix.program.program import Program
from libcalico.datastore import keys
from libcalico.policy import World
from libcalico.resources import codec

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.lists(st.sampled_from([0.05, 0.2, 0.5]), min_size=1, max_size=4)


class MoodyKernel:
    """A kernel that refuses the rules of some policies, and remembers every table that it had.

    Args:
        disliked: owners of rules; only those that could let a packet pass are refused.
    """

    def __init__(self, disliked=()):
        self.disliked = set(disliked)
        self.had = []
        self.asked = []
        self._fake = FakeNftables()

    def commit(self, operations):
        for operation in operations:
            if isinstance(operation, AddRule) and self._dislikes(operation):
                raise RefusedError([Refusal(operation, errno.EINVAL)])
        self._fake.commit(operations)
        self.asked += operations
        if operations:
            self.had.append(self.table())

    def skeleton(self, name):
        return self._fake.skeleton(name)

    def _dislikes(self, operation):
        marks = any(isinstance(statement, SetMark) for statement in operation.rule.statements)
        return marks and operation.owner in self.disliked

    def table(self):
        return self._fake.table(names.TABLE)


class Felix:
    """The calculation, the program and the kernel; and the world that they were told of."""

    def __init__(self, disliked=()):
        self.kernel = MoodyKernel(disliked)
        self.resources = {}
        self._calculation = Calculation(network.HOST)
        self._calculation.on_interface(network.OUTSIDE, ADDRESSES)
        self._program = Program(RULES)
        self.committer = Committer(self._program, self.kernel)

    @property
    def world(self):
        return World.of(self.resources.values())

    def tell(self, which, resource):
        if resource is None:
            self.resources.pop(which, None)
        else:
            self.resources[which] = resource
        value = None if resource is None else codec.encode(resource)
        self._calculation.on_update(keys.path_of(which), value)

    def flush(self):
        """Commit what changed; return all tables that the kernel had meanwhile."""
        self.kernel.had.clear()
        self.committer.commit(self._program.apply(self._calculation.flush()))
        assert self.kernel.table() == self._program.table()
        return list(self.kernel.had)


def owner(which):
    """What rules of a policy or profile say of their origin."""
    return str(PolicyId(which.kind, which.namespace, which.name))


def updates(felix, wanted, random):
    """What changes from what Felix was told to a wanted world, in any order."""
    differing = [
        which
        for which in sorted(felix.resources.keys() | wanted.keys(), key=str)
        if felix.resources.get(which) != wanted.get(which)
    ]
    random.shuffle(differing)
    return [(which, wanted.get(which)) for which in differing]


def lets_through(table, packet, world):
    """Whether a table passes a packet on, which goes where the routes of that world lead it."""
    hooks = HOOKS[passage(world, packet).kind]
    return passes(table, hooks, headers(world, packet))


def passes_meanwhile(tables, packet, before, after):
    """Whether one of the tables that follow each other passes a packet; routes change after the last."""
    return any(lets_through(table, packet, before) for table in tables[:-1]) or any(
        lets_through(table, packet, after) for table in tables[-1:]
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS, SHARES)
def test_what_is_programmed_depends_on_the_last_state_only(seed, shares):
    maker, random, felix = worlds.WorldMaker(seed), Random(seed), Felix()
    for share in [1.0, *shares]:
        maker.change(share)
        flush_one_in = random.choice([1, 4, 1000])
        for which, resource in updates(felix, maker.resources, random):
            felix.tell(which, resource)
            if not random.randrange(flush_one_in):
                felix.flush()
    felix.flush()
    fresh = Felix()
    for which, resource in maker.resources.items():
        fresh.tell(which, resource)
    fresh.flush()
    assert felix.kernel.table() == fresh.kernel.table()
    for which in list(felix.resources):
        felix.tell(which, None)
    felix.flush()
    empty = Felix()
    empty.flush()
    assert felix.kernel.table() == empty.kernel.table()


@settings(max_examples=25, deadline=None)
@given(SEEDS, SHARES)
def test_the_programmed_table_decides_as_the_reference_evaluator(seed, shares):
    maker, felix = worlds.WorldMaker(seed), Felix()
    for share in [1.0, *shares]:
        maker.change(share)
        for which, resource in updates(felix, maker.resources, Random(seed)):
            felix.tell(which, resource)
        felix.flush()
        for packet in (maker.packet() for _ in range(10)):
            verdict = decide(felix.world, packet)
            told = lets_through(felix.kernel.table(), packet, felix.world)
            assert told == verdict.allowed, (packet, verdict.steps)


@settings(max_examples=25, deadline=None)
@given(SEEDS, SHARES, st.sampled_from([0.0, 0.3, 0.9]))
def test_no_commit_passes_what_the_states_before_and_after_both_drop(seed, shares, dislike):
    maker, random, felix = worlds.WorldMaker(seed), Random(seed), Felix()
    before = felix.world
    for share in [1.0, *shares]:
        maker.change(share)
        felix.kernel.disliked = {owner(w) for w in maker.resources if random.random() < dislike}
        if random.random() < dislike:
            felix.committer.doubt()
        for which, resource in updates(felix, maker.resources, random):
            felix.tell(which, resource)
            if random.randrange(5):
                continue
            tables, after = felix.flush(), felix.world
            for packet in (maker.packet() for _ in range(8)):
                if passes_meanwhile(tables, packet, before, after):
                    assert decide(before, packet).allowed or decide(after, packet).allowed
            before = after


def test_a_policy_that_the_kernel_refuses_denies_until_it_is_another():
    maker = worlds.WorldMaker(1)
    maker.change(1.0)
    policies = [w for w in maker.resources if w.kind == "GlobalNetworkPolicy"]
    felix = Felix(map(owner, policies))
    for which, resource in maker.resources.items():
        felix.tell(which, resource)
    felix.flush()
    assert felix.committer.refused
    assert {refused.name for refused in felix.committer.refused} <= {w.name for w in policies}
    felix.kernel.disliked.clear()
    for which in policies:
        felix.tell(which, None)
    felix.flush()
    assert not felix.committer.refused


def test_a_table_that_is_in_doubt_is_replaced():
    felix = Felix()
    felix.flush()
    felix.kernel.commit([DestroyTable(names.TABLE)])
    felix.committer.doubt()
    assert not felix.committer.is_programmed
    felix.committer.replace()
    assert felix.committer.is_programmed
    assert felix.kernel.table() is not None


def test_at_its_start_what_maps_lead_to_stays_and_the_rest_is_made_right():
    felix, again = Felix(), Felix()
    maker = worlds.WorldMaker(1)
    maker.change(1.0)
    for told in (felix, again):
        for which, resource in maker.resources.items():
            told.tell(which, resource)
    felix.flush()
    wanted = felix.kernel.table()
    felix.kernel.commit([FlushChain(names.TABLE, name, "") for name in wanted.chains])
    felix.kernel.commit([CreateChain(names.TABLE, "stranger", None, "")])
    again.kernel = felix.kernel
    again.committer = Committer(again._program, felix.kernel)
    felix.kernel.asked.clear()
    again.flush()
    assert felix.kernel.table() == wanted
    assert not [o for o in felix.kernel.asked if isinstance(o, DestroyTable)]


def test_a_map_that_is_not_there_after_a_rebuild_has_the_table_replaced():
    felix = Felix()
    felix.flush()
    wanted, lost = felix.kernel.table(), names.TO_WORKLOADS_MAP
    read = felix.kernel.skeleton

    def without_one(name):
        found = read(name)
        return replace(found, maps={n: m for n, m in found.maps.items() if n != lost})

    felix.kernel.skeleton = without_one
    felix.kernel.asked.clear()
    felix.committer.replace()
    assert [o for o in felix.kernel.asked if isinstance(o, DestroyTable)]
    assert felix.kernel.table() == wanted
