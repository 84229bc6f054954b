"""Endpoint classes: the two chains that all endpoints with the same policies share.

A policy chain answers by mark bits: *accept* means allowed, *passed* means skip the rest of the
tier; a denied packet does not come back, or, where it is to be rejected, has both: not every hook that
a policy chain is reached from can reject. The class chain returns to its caller for an allowed packet
and drops every other one. Why bits and not inlined policies: docs/adr.

Source of the order of evaluation: calico-control-plane reference, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from calico_node.felix.messages import (
    Direction,
    EndpointPolicies,
    HostPolicies,
    PolicyId,
    TierPolicies,
)
from calico_node.felix.nft.model import (
    DROP,
    RETURN,
    Chain,
    Field,
    Masked,
    Match,
    Rule,
    SetMark,
    Statement,
    jump,
)
from calico_node.felix.program import names
from calico_node.felix.program.rules import deny, plain_comment
from calico_node.felix.program.settings import RuleSettings

_UDP: Final = 17
_IPIP: Final = 4


@lru_cache(maxsize=4096)
def class_id(policies: EndpointPolicies) -> str:
    """Return the name of the class of endpoints with these policies; equal policies, equal name."""
    return names.class_id(repr(policies))


def render(policies: EndpointPolicies, direction: Direction, settings: RuleSettings) -> Chain:
    """Return the chain for traffic to (ingress) or from (egress) the endpoints of a class."""
    rules = [Rule((SetMark(settings.marks.both, 0),))]
    if direction == "egress":
        rules += _tunnels(settings)
    rules += body(policies, direction, settings, deny(settings))
    name = names.class_chain(class_id(policies), direction)
    return Chain(name, tuple(rules), owner=name)


def body(
    policies: EndpointPolicies, direction: Direction, settings: RuleSettings, denied: Statement
) -> list[Rule]:
    """Return the rules that ask tiers and then profiles; ``denied`` ends what nobody allows."""
    rules = [
        rule for tier in policies.tiers for rule in tier_rules(tier, direction, settings, denied)
    ]
    for profile in policies.profiles:
        rules.append(Rule((jump(names.profile_chain(profile, direction)),)))
        rules += _judge(settings, denied)
    return [*rules, Rule((denied,), comment="no policy or profile allowed it")]


def policies_of(policies: EndpointPolicies, direction: Direction) -> Iterator[PolicyId]:
    """Yield the policies that a class chain refers to."""
    for tier in policies.tiers:
        yield from tier.ingress if direction == "ingress" else tier.egress


def subjects(policies: EndpointPolicies) -> Iterator[PolicyId | str]:
    """Yield the policies, and the names of the profiles, of a class in either direction."""
    yield from policies_of(policies, "ingress")
    yield from policies_of(policies, "egress")
    yield from policies.profiles


def subjects_of_host(policies: HostPolicies) -> Iterator[PolicyId | str]:
    """Yield the policies of all flavours, and the names of the profiles, of a host endpoint."""
    yield from subjects(policies.normal)
    early = (*policies.forward, *policies.pre_dnat, *policies.untracked)
    yield from subjects(EndpointPolicies(early, ()))


def _tunnels(settings: RuleSettings) -> list[Rule]:
    """Workloads must not inject packets into the hosts' tunnels."""
    rules = []
    if not settings.allow_vxlan_from_workloads:
        matches = (Match(Field.L4PROTO, _UDP), Match(Field.DPORT, settings.vxlan_port))
        rules.append(Rule((*matches, DROP), comment="VXLAN from a workload"))
    if not settings.allow_ipip_from_workloads:
        rules.append(Rule((Match(Field.L4PROTO, _IPIP), DROP), comment="IPIP from a workload"))
    return rules


def tier_rules(
    tier: TierPolicies,
    direction: Direction,
    settings: RuleSettings,
    denied: Statement,
    *,
    allowed: Sequence[Statement] = (RETURN,),
    is_early: bool = False,
) -> list[Rule]:
    """Return the rules that ask one tier; none if it has no policies in that direction.

    Args:
        denied: ends what is denied.
        allowed: what is done with what is allowed.
        is_early: other policies follow; nothing is denied at the end of the tier.
    """
    policies = tier.ingress if direction == "ingress" else tier.egress
    if not policies:
        return []
    marks = settings.marks
    rules = [Rule((SetMark(marks.passed, 0),), comment=plain_comment(f"tier {tier.name}"))]
    for number, policy in enumerate(policies):
        undecided = (Masked(Field.MARK, marks.both, 0),) if number else ()
        rules.append(Rule((*undecided, jump(names.policy_chain(policy, direction)))))
    rules += _judge(settings, denied, allowed)
    if tier.default_action == "Deny" and not is_early:
        undecided = (Masked(Field.MARK, marks.passed, 0),)
        end = plain_comment(f"end of tier {tier.name}")
        rules.append(Rule((*undecided, denied), comment=end))
    return rules


def _judge(
    settings: RuleSettings, denied: Statement, allowed: Sequence[Statement] = (RETURN,)
) -> Iterator[Rule]:
    """Yield what is done with what a policy chain answered."""
    marks = settings.marks
    if settings.deny == "Reject":
        yield Rule((Masked(Field.MARK, marks.both, marks.both), denied))
    yield Rule((Masked(Field.MARK, marks.accept, marks.accept), *allowed))
