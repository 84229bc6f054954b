"""Walk tiers, policies and profiles as the reference says, and note every step."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from libcalico.policy.match import matches
from libcalico.policy.model import (
    Direction,
    Endpoint,
    Flavour,
    HostEndpoint,
    Packet,
    Policy,
    Step,
    Verdict,
    World,
)
from libcalico.resources import rewrite
from libcalico.resources.model import id_of
from libcalico.resources.policy import GlobalNetworkPolicy, Rule
from libcalico.selector import parse


def evaluate(world: World, packet: Packet) -> Verdict:
    """Return what becomes of a packet between two addresses.

    The policy of the sender's endpoint decides first, then that of the receiver's. An address
    that no endpoint has is outside, where nothing decides.
    """
    steps: tuple[Step, ...] = ()
    directions: tuple[tuple[Direction, list[Endpoint]], ...] = (
        ("egress", world.endpoints_at(packet.source)),
        ("ingress", world.endpoints_at(packet.destination)),
    )
    for direction, endpoints in directions:
        for endpoint in endpoints[:1]:
            verdict = evaluate_endpoint(world, endpoint, direction, packet)
            steps += verdict.steps
            if not verdict.allowed:
                return Verdict(allowed=False, steps=steps)
    return Verdict(allowed=True, steps=steps)


def evaluate_endpoint(
    world: World, endpoint: Endpoint, direction: Direction, packet: Packet
) -> Verdict:
    """Return what the endpoint's policies decide about a packet to (ingress) or from it (egress)."""
    steps: list[Step] = []
    allowed = evaluate_tiers(world, endpoint, direction, "normal", packet, steps)
    if allowed is None:
        allowed = evaluate_profiles(world, endpoint, direction, packet, steps)
    return Verdict(allowed, tuple(steps))


def evaluate_tiers(
    world: World,
    endpoint: Endpoint | HostEndpoint,
    direction: Direction,
    flavour: Flavour,
    packet: Packet,
    steps: list[Step],
) -> bool | None:
    """Return what the policies of one flavour decide, None if they do not, and note the steps."""
    for tier in _tiers(world):
        policies = [p for p in _of_tier(world, tier) if _applies(p, endpoint, direction, flavour)]
        if not policies:
            continue
        decision = _tier(world, policies, direction, packet, steps)
        if decision is None:
            decision = _end_of_tier(world, tier, direction, flavour, steps)
        if decision != "Pass":
            return decision == "Allow"
    return None


def _tiers(world: World) -> list[str]:
    """Return the names of tiers with policies, in order: by order, none last, then by name.

    Tiers that do not exist come after all others; their policies still apply.
    """
    names = {p.spec.tier or "default" for p in world.policies}

    def position(name: str) -> tuple[bool, float, str]:
        tier = world.tiers.get(name)
        order = tier.spec.order if tier is not None else None
        return tier is None, inf if order is None else order, name

    return sorted(names, key=position)


def _of_tier(world: World, tier: str) -> list[Policy]:
    def position(policy: Policy) -> tuple[float, str]:
        order = policy.spec.order
        where = id_of(policy)
        return inf if order is None else order, f"{where.name}/{where.namespace}/{where.kind}"

    return sorted((p for p in world.policies if (p.spec.tier or "default") == tier), key=position)


def _applies(
    policy: Policy, endpoint: Endpoint | HostEndpoint, direction: Direction, flavour: Flavour
) -> bool:
    if flavour not in _flavours(policy):
        return False
    wanted = "Ingress" if direction == "ingress" else "Egress"
    return wanted in rewrite.effective_types(policy) and parse(
        rewrite.policy_selector(policy)
    ).evaluate(endpoint.labels)


def _flavours(policy: Policy) -> frozenset[Flavour]:
    """Return where a policy is looked at; the flavours but normal are for host endpoints only."""
    if not isinstance(policy, GlobalNetworkPolicy):
        return frozenset({"normal"})
    spec = policy.spec
    if spec.do_not_track:
        return frozenset({"doNotTrack"})
    if spec.pre_dnat:
        return frozenset({"preDNAT"})
    return frozenset({"normal", "forward"} if spec.apply_on_forward else {"normal"})


def _tier(
    world: World,
    policies: Sequence[Policy],
    direction: Direction,
    packet: Packet,
    steps: list[Step],
) -> str | None:
    for policy in policies:
        rules = policy.spec.ingress if direction == "ingress" else policy.spec.egress
        where = str(id_of(policy))
        decision = _rules(rules, where, policy.namespace, world, direction, packet, steps)
        if decision is not None:
            return decision
    return None


def _rules(
    rules: Sequence[Rule],
    where: str,
    namespace: str,
    world: World,
    direction: Direction,
    packet: Packet,
    steps: list[Step],
) -> str | None:
    """Return the action of the first rule that matches and decides, or None."""
    for number, rule in enumerate(rules):
        if matches(rule, namespace, packet, world):
            steps.append(Step(direction, where, number, rule.action))
            if rule.action != "Log":
                return rule.action
    return None


def _end_of_tier(
    world: World, name: str, direction: Direction, flavour: Flavour, steps: list[Step]
) -> str:
    """Return what happens at the end of a tier; behind early flavours normal policy follows."""
    tier = world.tiers.get(name)
    action = (tier.spec.default_action if tier is not None else None) or "Deny"
    if flavour in ("preDNAT", "doNotTrack"):
        action = "Pass"
    steps.append(Step(direction, f"end of tier {name}", None, action))
    return action


def evaluate_profiles(
    world: World,
    endpoint: Endpoint | HostEndpoint,
    direction: Direction,
    packet: Packet,
    steps: list[Step],
) -> bool:
    """Return what the profiles decide: the first rule that matches; nothing matched denies."""
    for name in endpoint.profiles:
        profile = world.profiles.get(name)
        if profile is None:
            steps.append(Step(direction, f"Profile({name}), which does not exist", None, "Deny"))
            return False
        rules = profile.spec.ingress if direction == "ingress" else profile.spec.egress
        decision = _rules(rules, str(id_of(profile)), "", world, direction, packet, steps)
        if decision in ("Allow", "Deny"):
            return decision == "Allow"
    steps.append(Step(direction, "end of profiles", None, "Deny"))
    return False
