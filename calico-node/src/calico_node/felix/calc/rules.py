"""A rule of a policy or profile → a compiled rule, and the IP sets that it names.

Source: calico-control-plane reference, sections 3.4, 3.5 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from calico_node.felix.messages import CompiledRule, RuleSide, SetId
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import PortRange, parse_port, protocol_number
from libcalico.resources import rewrite
from libcalico.resources.policy import EntityRule, ICMPFields, Port, Rule
from libcalico.selector import Node, parse, selector_id, unique_id

#: Denies everything; stands for what cannot be understood.
DENY_ALL: Final = CompiledRule("Deny")
_LAST_ICMP: Final = 255
_WIDER: Final = "the rule matches whatever the request"
_NEVER: Final = "the rule never matches"
_HTTP: Final = {"Allow": _NEVER, "Pass": _NEVER, "Deny": _WIDER, "Log": _WIDER}
_PROTOCOL_NAMES: Final = {6: "tcp", 17: "udp", 132: "sctp"}
_rule_decoder: Final = msgspec.json.Decoder(Rule)


@dataclass(frozen=True, slots=True)
class SetSpec:
    """What an IP set holds: addresses of what a selector selects, or such with the port of a name.

    Args:
        selector: over endpoints and, without ``port``, network sets.
        port: name of a port; then members are address, protocol and port.
        protocol: only ports of this protocol; None: of any.
    """

    id: SetId
    selector: Node
    port: str = ""
    protocol: int | None = None


@dataclass(slots=True)
class Compiled:
    """Compiled rules of one list, the sets that they name, and what was wrong with them."""

    rules: list[CompiledRule] = field(default_factory=list)
    sets: dict[SetId, SetSpec] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def compile_rules(rules: Iterable[Rule], namespace: str, path: str) -> Compiled:
    """Compile a list of rules.

    A rule that can never match is left out. One that cannot be understood denies everything in its
    place: what comes before it still decides, and nothing behind it does.

    Args:
        rules: in order.
        namespace: of the policy; empty for global policies and profiles.
        path: of the list, for problems.
    """
    compiled = Compiled()
    for number, rule in enumerate(rules):
        if rule.http is not None:
            compiled.problems.append(f"{path}[{number}].http: not enforced; {_HTTP[rule.action]}")
        if not can_match(rule):
            continue
        one = _compiled(msgspec.json.encode(rule), namespace)
        compiled.rules.append(one.rule)
        compiled.sets |= one.sets
        if one.problem:
            compiled.problems.append(f"{path}[{number}]: {one.problem}")
    return compiled


def can_match(rule: Rule) -> bool:
    """Return whether anything here can match the rule.

    Services are known to the Kubernetes datastore only. HTTP criteria are enforced by nobody here:
    a rule that allows some requests must not be taken for one that allows all.
    """
    has_services = any(side.services is not None for side in (rule.source, rule.destination))
    return not has_services and (rule.http is None or rule.action in ("Deny", "Log"))


class _One(NamedTuple):
    """What became of one rule."""

    rule: CompiledRule
    sets: Mapping[SetId, SetSpec]
    problem: str = ""


@lru_cache(maxsize=16384)
def _compiled(text: bytes, namespace: str) -> _One:
    """Compile a rule, given as JSON: rules that a changed policy kept are not compiled again."""
    sets: dict[SetId, SetSpec] = {}
    try:
        return _One(_compile(_rule_decoder.decode(text), namespace, sets), sets)
    except ValidationError as error:
        return _One(DENY_ALL, {}, f"{error}; the rule denies everything")


def _compile(rule: Rule, namespace: str, sets: dict[SetId, SetSpec]) -> CompiledRule:
    protocol = None if rule.protocol is None else protocol_number(rule.protocol)
    not_protocol = None if rule.not_protocol is None else protocol_number(rule.not_protocol)
    return CompiledRule(
        action=rule.action,
        ip_version=rule.ip_version,
        protocol=protocol,
        not_protocol=not_protocol,
        icmp=_icmp(rule.icmp),
        not_icmp=_icmp(rule.not_icmp),
        source=_side(rule.source, protocol, namespace, sets),
        destination=_side(rule.destination, protocol, namespace, sets),
        comment=_comment(rule),
    )


def _icmp(fields: ICMPFields | None) -> tuple[int, int | None] | None:
    if fields is None or (fields.type is None and fields.code is None):
        return None
    if fields.type is None:
        raise ValidationError("an ICMP code needs a type beside it")
    for number in (fields.type, fields.code or 0):
        if not 0 <= number <= _LAST_ICMP:
            raise ValidationError(f"ICMP type or code {number} is not within 0 to {_LAST_ICMP}")
    return fields.type, fields.code


def _comment(rule: Rule) -> str:
    annotations = rule.metadata.annotations if rule.metadata is not None else {}
    return "; ".join(f"{key}={value}" for key, value in sorted(annotations.items()))


def _side(
    side: EntityRule, protocol: int | None, namespace: str, sets: dict[SetId, SetSpec]
) -> RuleSide:
    positive, negative = rewrite.entity_selectors(side, namespace)
    merged = f"({positive}) && (!({negative}))" if positive and negative else positive
    ports, names = _split(side.ports)
    not_ports, not_names = _split(side.not_ports)
    return RuleSide(
        nets=_nets(side.nets),
        not_nets=_nets(side.not_nets),
        sets=_by_selector(merged, sets),
        not_sets=_by_selector("" if positive else negative, sets),
        ports=ports,
        port_sets=_by_port(names, merged, protocol, sets),
        not_ports=not_ports,
        # Nobody may have the port, whoever selects him.
        not_port_sets=_by_port(not_names, "", protocol, sets),
    )


def _nets(texts: Sequence[str]) -> tuple[Cidr, ...]:
    return tuple(dict.fromkeys(parse_cidr(text, strict=False) for text in texts))


def _split(ports: Sequence[Port]) -> tuple[tuple[PortRange, ...], tuple[str, ...]]:
    """Return numeric ports, and names of ports."""
    parsed = [parse_port(port) for port in ports]
    return (
        tuple(port for port in parsed if isinstance(port, PortRange)),
        tuple(port for port in parsed if isinstance(port, str)),
    )


def _by_selector(selector: str, sets: dict[SetId, SetSpec]) -> tuple[SetId, ...]:
    if not selector:
        return ()
    node = parse(selector)
    set_id = SetId(selector_id(node))
    sets[set_id] = SetSpec(set_id, node)
    return (set_id,)


def _by_port(
    names: Sequence[str], selector: str, protocol: int | None, sets: dict[SetId, SetSpec]
) -> tuple[SetId, ...]:
    node = parse(selector)
    kind = "any" if protocol is None else _PROTOCOL_NAMES.get(protocol, str(protocol))
    found = []
    for name in names:
        set_id = SetId(unique_id("n", f"{selector_id(node)},{kind},{name}"))
        sets[set_id] = SetSpec(set_id, node, name, protocol)
        found.append(set_id)
    return tuple(found)
