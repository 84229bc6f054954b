"""Where in the host's own firewall our accept rules belong, and what to do to have them there. Pure.

An accept in our own table does not keep a packet from being dropped in another: every table's verdict counts.
Docker sets the policy of ``ip filter FORWARD`` to drop when it turns forwarding on, some distributions always
do. Our table comes first (its priority is lower), so what gets to that chain from or to a workload has passed
policy.

Rules go, as ``ChainInsertMode`` says, before the others: into DOCKER-USER, which Docker leaves alone, where
FORWARD jumps there, else into FORWARD while its policy is drop. Or behind the others: at the end of FORWARD
while its policy is drop. No chain is ever made. Where a rule stands afterwards is the operator's affair:
whoever puts one before ours means it. With ``NftablesFilterAllowAction`` Return there are none: what policy
lets pass is left to the host's own rules.

Source: calico-dataplane reference, section 2.3 and forward_drop in section 7.
"""

from __future__ import annotations

from calico_node.felix.firewall.model import (
    DOCKER_USER,
    FORWARD,
    Acceptance,
    Chain,
    Chains,
    Delete,
    FirewallSettings,
    Insert,
    Operation,
)


def wanted(settings: FirewallSettings) -> tuple[Acceptance, ...]:
    """Return our rules, in their order."""
    if not settings.accepts:
        return ()
    return tuple(
        Acceptance(direction, prefix)
        for prefix in settings.interface_prefixes
        for direction in ("from", "to")
    )


def place(chains: Chains, *, appends: bool) -> str | None:
    """Return the chain in which our rules belong; None if nothing drops what gets there."""
    forward = chains.get(FORWARD, Chain(FORWARD))
    is_reached = any(rule.target == DOCKER_USER for rule in forward.rules)
    if not appends and is_reached and DOCKER_USER in chains:
        return DOCKER_USER
    return FORWARD if forward.drops else None


def plan(chains: Chains, settings: FirewallSettings) -> list[Operation]:
    """Return what is to be done so that each of our rules is there once, in its place, and nowhere else."""
    target = place(chains, appends=settings.appends)
    missing = list(wanted(settings)) if target is not None else []
    by_comment = {acceptance.comment: acceptance for acceptance in missing}
    operations: list[Operation] = []
    for chain in chains.values():
        for rule in chain.rules:
            if not rule.is_ours:
                continue
            kept = by_comment.pop(rule.comment, None) if chain.name == target else None
            if kept is None:
                operations.append(Delete(chain.name, rule.handle))
            else:
                missing.remove(kept)
    if target is not None:
        ordered = missing if settings.appends else reversed(missing)
        operations += [Insert(target, one, at_end=settings.appends) for one in ordered]
    return operations


def removal(chains: Chains) -> list[Operation]:
    """Return what is to be done so that none of our rules is left."""
    return [
        Delete(chain.name, rule.handle)
        for chain in chains.values()
        for rule in chain.rules
        if rule.is_ours
    ]
