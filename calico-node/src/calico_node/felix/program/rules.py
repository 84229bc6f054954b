"""One compiled rule → nft rules.

All conditions of a rule must hold; some of them are alternatives of each other (single addresses or
wider CIDRs of an IP set, numeric or named ports). nft has no "or" between different lookups, so each
combination becomes a rule of its own with the same action; alternatives on one field become an
anonymous set. Rules that look at addresses are rendered for each family that they can match. What only logs
must do so once: there, each alternative is for what the ones before it do not match.

Source of the semantics: calico-control-plane reference, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Final, Literal

from calico_node.felix.messages import (
    CompiledRule,
    RuleSide,
    SetId,
)
from calico_node.felix.nft.keys import Prefix, Range
from calico_node.felix.nft.model import (
    DROP,
    RETURN,
    Field,
    Match,
    Member,
    Named,
    NfProto,
    OneOf,
    Reject,
    Rule,
    SetMark,
    Statement,
    one_of,
)
from calico_node.felix.program import names
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr
from libcalico.net.ports import PortRange

Family = Literal[4, 6]
Conditions = tuple[Statement, ...]
#: IP sets that hold, in that family, CIDRs wider than one address.
WideSets = frozenset[tuple[SetId, int]]

_ICMP: Final = {4: 1, 6: 58}
_NFPROTO: Final = {4: NfProto.IPV4, 6: NfProto.IPV6}
_ADDRESS: Final = {
    ("source", 4): Field.IP_SADDR,
    ("source", 6): Field.IP6_SADDR,
    ("destination", 4): Field.IP_DADDR,
    ("destination", 6): Field.IP6_DADDR,
}
_PORT: Final = {"source": Field.SPORT, "destination": Field.DPORT}
_ICMP_TYPE: Final = {4: Field.ICMP_TYPE, 6: Field.ICMPV6_TYPE}
_ICMP_CODE: Final = {4: Field.ICMP_CODE, 6: Field.ICMPV6_CODE}
_COMMENT_BYTES: Final = 127

SideName = Literal["source", "destination"]


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What rendering needs beside the rule.

    Attributes:
        has_nets: whether the IP set holds, in that family, CIDRs wider than one address.
        log: what a rule with the action Log does.
    """

    settings: RuleSettings
    has_nets: Callable[[SetId, int], bool]
    log: Conditions


def render(rule: CompiledRule, context: RuleContext, owner: str = "") -> Sequence[Rule]:
    """Return the nft rules for one compiled rule, in order; none if it can never match."""
    wide = frozenset(
        (set_id, version)
        for side in (rule.source, rule.destination)
        for set_id in (*side.sets, *side.not_sets)
        for version in (4, 6)
        if context.has_nets(set_id, version)
    )
    action = _action(rule, context)
    return _rendered(rule, action, wide, is_dual=context.settings.ipv6, owner=owner)


@lru_cache(maxsize=16384)
def _rendered(
    rule: CompiledRule, action: Conditions, wide: WideSets, *, is_dual: bool, owner: str
) -> tuple[Rule, ...]:
    """Render a rule; rules that a changed policy kept are not rendered again."""
    comment = plain_comment(rule.comment)
    return tuple(
        Rule((*conditions, *action), comment=comment, owner=owner)
        for family in _families(rule, is_dual=is_dual)
        for conditions in _alternatives(rule, family, wide)
    )


def _families(rule: CompiledRule, *, is_dual: bool) -> list[Family | None]:
    """Return the families to render for; ``[None]`` if the rule does not look at anything of a family."""
    possible = [f for f in (4, 6) if _family_can_match(rule, f)]
    if not is_dual:
        possible = [f for f in possible if f == 4]
    if rule.ip_version is None and not _looks_at_family(rule) and is_dual:
        return [None]
    return [4 if f == 4 else 6 for f in possible]


def _family_can_match(rule: CompiledRule, family: int) -> bool:
    sides = (rule.source, rule.destination)
    return (
        rule.ip_version in (None, family)
        and all(not side.nets or _of(side.nets, family) for side in sides)
        and not any(net.prefix == 0 for side in sides for net in _of(side.not_nets, family))
        and not (_looks_at_icmp(rule) and rule.protocol not in (None, _ICMP[family]))
    )


def _looks_at_icmp(rule: CompiledRule) -> bool:
    return rule.icmp is not None or rule.not_icmp is not None


def _looks_at_family(rule: CompiledRule) -> bool:
    return _looks_at_icmp(rule) or any(
        side.nets
        or side.not_nets
        or side.sets
        or side.not_sets
        or side.port_sets
        or side.not_port_sets
        for side in (rule.source, rule.destination)
    )


def _alternatives(
    rule: CompiledRule, family: Family | None, wide: WideSets
) -> Iterator[Conditions]:
    always = [*_protocol(rule, family)]
    choices: list[Sequence[Match]] = []
    for name, side in _sides(rule):
        always += _always(name, side, family, wide)
        choices += _choices(name, side, family, wide)
    always += _icmp(rule, family)
    separate = _disjoint if rule.action == "Log" else _overlapping
    for combination in product(*map(separate, choices)):
        yield tuple(always) + tuple(statement for part in combination for statement in part)


def _overlapping(choice: Sequence[Match]) -> Iterator[Conditions]:
    return ((alternative,) for alternative in choice)


def _disjoint(choice: Sequence[Match]) -> Iterator[Conditions]:
    """Yield alternatives of which no packet matches two."""
    others: Conditions = ()
    for alternative in choice:
        yield (*others, alternative)
        others += (replace(alternative, negate=True),)


def _sides(rule: CompiledRule) -> tuple[tuple[SideName, RuleSide], tuple[SideName, RuleSide]]:
    return ("source", rule.source), ("destination", rule.destination)


def _protocol(rule: CompiledRule, family: Family | None) -> Iterator[Statement]:
    if family is not None:
        yield Match(Field.NFPROTO, _NFPROTO[family])
    if rule.protocol is not None:
        yield Match(Field.L4PROTO, rule.protocol)
    if rule.not_protocol is not None:
        yield Match(Field.L4PROTO, rule.not_protocol, negate=True)


def _icmp(rule: CompiledRule, family: Family | None) -> Iterator[Statement]:
    if family is None:
        return
    for value, negate in ((rule.icmp, False), (rule.not_icmp, True)):
        if value is None:
            continue
        kind, code = value
        if code is None:
            yield Match(_ICMP_TYPE[family], kind, negate=negate)
        else:
            # One comparison of the pair: "not (type and code)" is not "not type and not code".
            both = (_ICMP_TYPE[family], _ICMP_CODE[family])
            yield Match(both, OneOf(((kind, code),)), negate=negate)


def _always(
    name: SideName, side: RuleSide, family: Family | None, wide: WideSets
) -> Iterator[Statement]:
    """Yield the conditions of a side that have no alternatives."""
    if family is not None:
        address = _ADDRESS[name, family]
        if nets := _of(side.nets, family):
            yield Match(address, one_of(_prefixes(nets)))
        if nets := _of(side.not_nets, family):
            yield Match(address, one_of(_prefixes(nets)), negate=True)
        for set_id in side.not_sets:
            for variant in _variants(set_id, family, wide):
                yield Match(address, Named(variant), negate=True)
        for set_id in side.not_port_sets:
            yield Match(_tuple(name, family), Named(names.set_name(set_id, family)), negate=True)
    if side.not_ports:
        yield Match(_PORT[name], one_of(_ports(side.not_ports)), negate=True)


def _choices(
    name: SideName, side: RuleSide, family: Family | None, wide: WideSets
) -> Iterator[Sequence[Match]]:
    """Yield lists of alternatives; one of each list must hold."""
    if family is not None:
        for set_id in side.sets:
            yield [
                Match(_ADDRESS[name, family], Named(variant))
                for variant in _variants(set_id, family, wide)
            ]
    ports: list[Match] = []
    if side.ports:
        ports.append(Match(_PORT[name], one_of(_ports(side.ports))))
    if family is not None:
        ports += [
            Match(_tuple(name, family), Named(names.set_name(set_id, family)))
            for set_id in side.port_sets
        ]
    if ports:
        yield ports


def _variants(set_id: SetId, family: Family, wide: WideSets) -> list[str]:
    """Return the kernel sets that together hold an IP set's members of one family."""
    variants = [names.set_name(set_id, family)]
    if (set_id, family) in wide:
        variants.append(names.set_name(set_id, family, nets=True))
    return variants


def _tuple(name: SideName, family: Family) -> tuple[Field, ...]:
    return _ADDRESS[name, family], Field.L4PROTO, _PORT[name]


def _of(nets: Sequence[Cidr], family: int) -> list[Cidr]:
    return [net for net in nets if net.version == family]


def _prefixes(nets: Sequence[Cidr]) -> list[Member]:
    return [Prefix(net.packed(), net.prefix) for net in nets]


def _ports(ports: Sequence[PortRange]) -> list[Member]:
    return [p.first if p.first == p.last else Range(p.first, p.last) for p in ports]


def _action(rule: CompiledRule, context: RuleContext) -> Conditions:
    marks = context.settings.marks
    match rule.action:
        case "Allow":
            return (SetMark(marks.accept, marks.accept), RETURN)
        case "Pass":
            return (SetMark(marks.passed, marks.passed), RETURN)
        case "Deny":
            return denied(context.settings)
        case "Log":
            return context.log


def denied(settings: RuleSettings) -> Conditions:
    """Return what a policy chain does with a packet that it denies; the class chain rejects."""
    if settings.deny == "Drop":
        return (DROP,)
    return (SetMark(settings.marks.both, settings.marks.both), RETURN)


def deny(settings: RuleSettings) -> Statement:
    """Return the statement that ends a packet which policy does not allow."""
    return Reject() if settings.deny == "Reject" else DROP


def plain_comment(text: str) -> str:
    """Return ``text`` as nft accepts it: printable ASCII without quotes, at most 127 bytes."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in text)
    return plain[:_COMMENT_BYTES].strip()
