"""Rules of BGPFilter. Source: calico-control-plane reference, section 2.6."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libcalico.resources import fieldchecks as check
from libcalico.resources.bgpfilter import BGPFilter, FilterOperation, FilterRule
from libcalico.resources.validate_bgp import MAX_PRIORITY, check_community

_INTERFACE_GLOB = re.compile(r"[a-zA-Z0-9_.*-]{1,15}")
_MAX_OPERATIONS = 10
_MAX_PREPENDED = 10


def check_bgp_filter(bgp_filter: BGPFilter) -> Iterator[str]:
    """Check a BGPFilter."""
    spec = bgp_filter.spec
    lists = (
        ("exportV4", spec.export_v4, 4),
        ("importV4", spec.import_v4, 4),
        ("exportV6", spec.export_v6, 6),
        ("importV6", spec.import_v6, 6),
    )
    for name, rules, version in lists:
        for index, rule in enumerate(rules):
            yield from _check_rule(f"spec.{name}[{index}]", rule, version)


def _check_rule(path: str, rule: FilterRule, version: int) -> Iterator[str]:
    yield from _check_prefix(path, rule, version)
    if rule.interface:
        place = f"{path}.interface"
        yield from check.matches(place, rule.interface, _INTERFACE_GLOB, "interface pattern")
    if rule.communities is not None:
        yield from _check_communities(f"{path}.communities.values", rule.communities.values)
    for index, number in enumerate(rule.as_path_prefix):
        yield from check.as_number(f"{path}.asPathPrefix[{index}]", number)
    if rule.priority is not None:
        yield from check.whole_number(f"{path}.priority", rule.priority, 1, MAX_PRIORITY)
    yield from _check_operations(f"{path}.operations", rule)


def _check_prefix(path: str, rule: FilterRule, version: int) -> Iterator[str]:
    if rule.cidr:
        yield from check.network(f"{path}.cidr", rule.cidr)
        found = check.parse_network(rule.cidr)
        if found is not None and found.version != version:
            yield f"{path}.cidr: {rule.cidr!r} is no IPv{version} CIDR"
    if bool(rule.cidr) != (rule.match_operator is not None):
        missing = "matchOperator" if rule.cidr else "cidr"
        yield f"{path}.{missing}: missing; cidr and matchOperator are set together or not at all"
    if rule.prefix_length is None:
        return
    if not rule.cidr:
        yield f"{path}.prefixLength: needs a cidr beside it"
    longest = 32 if version == 4 else 128
    for name, bound in (("min", rule.prefix_length.min), ("max", rule.prefix_length.max)):
        if bound is not None:
            yield from check.whole_number(f"{path}.prefixLength.{name}", bound, 0, longest)


def _check_communities(path: str, values: list[str]) -> Iterator[str]:
    if len(values) != 1:
        yield f"{path}: {len(values)} values; write exactly one"
    for index, value in enumerate(values):
        yield from check_community(f"{path}[{index}]", value)


def _check_operations(path: str, rule: FilterRule) -> Iterator[str]:
    if rule.operations and rule.action != "Accept":
        yield f"{path}: only a rule with action Accept may change routes"
    if len(rule.operations) > _MAX_OPERATIONS:
        count = len(rule.operations)
        yield f"{path}: {count} are too many; at most {_MAX_OPERATIONS} are allowed"
    for index, operation in enumerate(rule.operations):
        yield from _check_operation(f"{path}[{index}]", operation)


def _check_operation(path: str, operation: FilterOperation) -> Iterator[str]:
    add, prepend, priority = (
        operation.add_community,
        operation.prepend_as_path,
        operation.set_priority,
    )
    if sum(part is not None for part in (add, prepend, priority)) != 1:
        yield f"{path}: write exactly one of addCommunity, prependASPath, setPriority"
    if add is not None:
        yield from check_community(f"{path}.addCommunity.value", add.value)
    if priority is not None:
        place = f"{path}.setPriority.value"
        yield from check.whole_number(place, priority.value, 1, MAX_PRIORITY)
    if prepend is None:
        return
    if not 1 <= len(prepend.prefix) <= _MAX_PREPENDED:
        count = len(prepend.prefix)
        yield f"{path}.prependASPath.prefix: {count} numbers; write 1 to {_MAX_PREPENDED}"
    for index, number in enumerate(prepend.prefix):
        yield from check.as_number(f"{path}.prependASPath.prefix[{index}]", number)
