"""The sum of all changes is a function of the last state, and it is what the naive calculation says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.calc.testing import states
from calico_node.felix.calc.testing.dataplane import Dataplane
from calico_node.felix.messages import EndpointId
from libcalico.datastore import keys
from libcalico.policy import World, evaluate_endpoint
from libcalico.resources import codec
from libcalico.resources.model import id_of
from libcalico.testing import builders

FLUSH = ("flush", None)
BUILT_IN = builders.a_profile(
    name="projectcalico-default-allow",
    ingress=[builders.a_rule("Allow")],
    egress=[builders.a_rule("Allow")],
)
STEPS = st.lists(st.one_of(*[states.values()] * 5, st.just(FLUSH)), max_size=40)


def told_from_scratch(state):
    calculation, dataplane = Calculation(states.HOST), Dataplane()
    for key in sorted(state):
        calculation.on_update(key, state[key])
    dataplane.apply(calculation.flush())
    return dataplane


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_the_sum_of_changes_depends_on_the_last_state_only(steps):
    calculation, dataplane, state = Calculation(states.HOST), Dataplane(), {}
    for key, value in steps:
        if (key, value) == FLUSH:
            dataplane.apply(calculation.flush())
        else:
            calculation.on_update(key, value)
            state.pop(key, None)
            if value is not None:
                state[key] = value
    dataplane.apply(calculation.flush())
    assert dataplane.state() == told_from_scratch(state).state()
    assert not calculation.flush()
    for key, value in state.items():
        calculation.on_update(key, value)
    assert not calculation.flush()
    for key in state:
        calculation.on_update(key, None)
    dataplane.apply(calculation.flush())
    assert dataplane.state() == told_from_scratch({}).state()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(states.resources(), max_size=15), st.lists(states.packets(), min_size=1, max_size=8)
)
def test_packets_are_judged_as_the_reference_evaluator_judges_them(drawn, packets):
    resources = {id_of(resource): resource for resource in drawn}
    state = {keys.path_of(which): codec.encode(r) for which, r in resources.items()}
    dataplane = told_from_scratch(state)
    stored = [codec.decode(value) for value in state.values()]
    world = World.of([*stored, BUILT_IN])
    for endpoint in world.endpoints:
        which = EndpointId(endpoint.id.namespace, endpoint.id.name)
        if which not in dataplane.endpoints:
            continue
        for packet in packets:
            for direction in ("ingress", "egress"):
                expected = evaluate_endpoint(world, endpoint, direction, packet)
                told = dataplane.allows(which, direction, packet)
                assert told == expected.allowed, expected.steps


@pytest.mark.parametrize("key", ["/calico/x", "", "/calico/resources/v3/projectcalico.org/tiers/"])
def test_other_keys_are_passed_over(key):
    calculation = Calculation(states.HOST)
    calculation.flush()
    calculation.on_update(key, b"{}")
    assert not calculation.flush()
