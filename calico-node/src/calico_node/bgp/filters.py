"""BGPFilters → what BIRD runs for a session: which functions, and the text of each rule. Pure.

Source: calico-control-plane reference, section 8.5; BIRD 2's filter language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from ipaddress import ip_network

from calico_node.bgp.model import PRIORITY_SUM, Direction, Filter, Version
from libcalico.errors import ValidationError
from libcalico.resources.bgpfilter import BGPFilter, FilterOperation, FilterRule
from libcalico.resources.numorstring import canonical_as_number

#: BIRD's names have 64 characters; prefix and suffix take 19 of them.
_LONGEST_NAME = 45
_HASH_CHARACTERS = 16
_STANDARD_PARTS = 2


def of_session(
    names: Sequence[str], known: Mapping[str, BGPFilter], direction: Direction, version: Version
) -> tuple[Filter, ...]:
    """Return the filters of one direction of a session, in order; one without rules does nothing.

    Raises:
        ValidationError: a filter does not exist. Without it the session would let through what its
            operator wants kept back.
    """
    found = []
    for name in names:
        if name not in known:
            raise ValidationError(
                f"spec.filters: BGPFilter({name}) does not exist, so the session stays down"
            )
        rules = getattr(known[name].spec, f"{direction}_v{version}")
        if rules:
            found.append(Filter(_symbol(name, direction, version), tuple(rules)))
    return tuple(found)


def _symbol(name: str, direction: Direction, version: Version) -> str:
    if len(name) > _LONGEST_NAME:
        digest = sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS].upper()
        name = f"{name[: _LONGEST_NAME - _HASH_CHARACTERS - 1]}_{digest}"
    return f"bgp_{name}_{direction}FilterV{version}"


def statement(rule: FilterRule) -> str:
    """Return a rule as one statement of BIRD's; ``internal_peer`` is the function's argument."""
    conditions = " && ".join(_conditions(rule))
    operations = " ".join(_operations(rule.operations))
    verdict = f"{rule.action.lower()};"
    body = f"{{ {operations} {verdict} }}" if operations else verdict
    if conditions:
        return f"if {conditions} then {body}"
    return f"{operations} {verdict}" if operations else verdict


def _conditions(rule: FilterRule) -> Iterator[str]:
    if rule.cidr:
        yield _prefix_condition(rule)
    if rule.source:
        yield "source = RTS_BGP"
    if rule.interface:
        yield f'(defined(ifname) && ifname ~ "{rule.interface}")'
    if rule.peer_type:
        yield "internal_peer" if rule.peer_type == "iBGP" else "!internal_peer"
    for community in rule.communities.values if rule.communities else ():
        yield f"{_community(community)} ~ {_attribute(community)}"
    if rule.as_path_prefix:
        yield f"bgp_path ~ [= {' '.join(map(str, rule.as_path_prefix))} * =]"
    if rule.priority is not None:
        yield f"(defined(bgp_local_pref) && bgp_local_pref = {PRIORITY_SUM - rule.priority})"


def _prefix_condition(rule: FilterRule) -> str:
    """Return the test of the prefix. Lengths narrow down what is inside, or equal to, the CIDR."""
    network = ip_network(rule.cidr)
    lengths = rule.prefix_length
    negated = rule.match_operator in ("NotEqual", "NotIn")
    if rule.match_operator in ("Equal", "NotEqual"):
        test = f"net = {network}"
        if lengths is not None and not _within(network.prefixlen, lengths.min, lengths.max):
            test = "false"
    elif lengths is None:
        test = f"net ~ {network}"
    else:
        shortest = max(lengths.min or 0, network.prefixlen)
        longest = network.max_prefixlen if lengths.max is None else lengths.max
        test = "false" if shortest > longest else f"net ~ [ {network}{{{shortest},{longest}}} ]"
    return f"!({test})" if negated else test


def _within(length: int, low: int | None, high: int | None) -> bool:
    return (low is None or low <= length) and (high is None or length <= high)


def _operations(operations: Sequence[FilterOperation]) -> Iterator[str]:
    for operation in operations:
        if operation.add_community is not None:
            value = operation.add_community.value
            yield f"{_attribute(value)}.add({_community(value)});"
        if operation.prepend_as_path is not None:
            for number in reversed(operation.prepend_as_path.prefix):
                yield f"bgp_path.prepend({canonical_as_number(number)});"
        if operation.set_priority is not None:
            yield f"bgp_local_pref = {PRIORITY_SUM - operation.set_priority.value};"


def _attribute(community: str) -> str:
    parts = community.count(":") + 1
    return "bgp_community" if parts == _STANDARD_PARTS else "bgp_large_community"


def _community(text: str) -> str:
    return f"({', '.join(str(int(part)) for part in text.split(':'))})"
