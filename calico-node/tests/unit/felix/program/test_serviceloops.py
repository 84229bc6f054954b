"""What is forwarded to a service that nothing translates is ended, as the configuration says."""

from dataclasses import replace

import pytest

from calico_node.felix.messages import Changes
from calico_node.felix.nft.text import render_rule
from calico_node.felix.program import names, serviceloops
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import parse_cidr

SERVICES = [parse_cidr(net) for net in ("10.96.0.0/12", "10.96.1.0/24", "192.0.2.7", "fd96::/112")]


def ends(program):
    """Return whether the forward chain leads to the chain of services, and that chain's rules."""
    chains = program.table().chains
    forward = [render_rule(rule) for rule in chains["filter-FORWARD"].rules]
    found = chains.get(names.SERVICE_LOOPS)
    return f"jump {names.SERVICE_LOOPS}" in forward, found and [*map(render_rule, found.rules)]


@pytest.mark.parametrize(
    ("action", "said"), [("Drop", "drop"), ("Reject", "reject with icmpx port-unreachable")]
)
def test_each_family_is_ended_by_one_rule_without_overlaps(action, said):
    chain = serviceloops.chain(SERVICES, RuleSettings(service_loops=action))
    assert [render_rule(rule).partition(" comment")[0] for rule in chain.rules] == [
        f"ip daddr {{ 10.96.0.0/12, 192.0.2.7/32 }} {said}",
        f"ip6 daddr fd96::/112 {said}",
    ]


def test_there_is_nothing_without_services_or_if_it_is_turned_off():
    assert serviceloops.chain([], RuleSettings()) is None
    assert serviceloops.chain(SERVICES, RuleSettings(service_loops="Disabled")) is None


def test_services_and_the_setting_come_and_go():
    program = Program(RuleSettings())
    assert ends(program) == (False, None)
    program.apply(Changes(services=dict.fromkeys(SERVICES, True)))
    is_reached, rules = ends(program)
    assert is_reached
    assert len(rules) == 2
    program.reconfigure(replace(RuleSettings(), service_loops="Disabled"))
    assert ends(program) == (False, None)
    program.reconfigure(RuleSettings())
    assert ends(program) == (True, rules)
    program.apply(Changes(services=dict.fromkeys(SERVICES[:-1])))
    assert ends(program) == (True, rules[1:])
    program.apply(Changes(services={SERVICES[-1]: None}))
    assert ends(program) == (False, None)
