"""A world in which something goes wrong → a small one in which it still does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from libcalico.resources.model import Resource, ResourceId
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy
from libcalico.resources.profiles import Profile

Resources: TypeAlias = Mapping[ResourceId, Resource]
_DIRECTIONS: Final = ("ingress", "egress")


def smallest(
    resources: Resources, fails: Callable[[Resources], bool]
) -> dict[ResourceId, Resource]:
    """Leave out objects and rules, one after the other, as long as it still fails without them.

    Args:
        resources: for which ``fails`` is true.
        fails: whether it goes wrong with these objects, too.
    """
    kept, before = dict(resources), -1
    while (size := sum(map(_size, kept.values()))) != before:
        before = size
        kept = _without_objects(kept, fails)
        for which in list(kept):
            kept = _without_rules(kept, which, fails)
    return kept


def _size(resource: Resource) -> int:
    if not isinstance(resource, NetworkPolicy | GlobalNetworkPolicy | Profile):
        return 1
    return 1 + len(resource.spec.ingress) + len(resource.spec.egress)


def _without_objects(
    kept: dict[ResourceId, Resource], fails: Callable[[Resources], bool]
) -> dict[ResourceId, Resource]:
    for left_out in list(kept):
        fewer = {which: resource for which, resource in kept.items() if which != left_out}
        if fails(fewer):
            kept = fewer
    return kept


def _without_rules(
    kept: dict[ResourceId, Resource], which: ResourceId, fails: Callable[[Resources], bool]
) -> dict[ResourceId, Resource]:
    for direction in _DIRECTIONS:
        number = 0
        while (shorter := _without_rule(kept[which], direction, number)) is not None:
            fewer = {**kept, which: shorter}
            if fails(fewer):
                kept = fewer
            else:
                number += 1
    return kept


def _without_rule(resource: Resource, direction: str, number: int) -> Resource | None:
    """Return the object without one of its rules; None if it has no such rule."""
    if not isinstance(resource, NetworkPolicy | GlobalNetworkPolicy | Profile):
        return None
    rules = getattr(resource.spec, direction)
    if number >= len(rules):
        return None
    kept = [*rules[:number], *rules[number + 1 :]]
    return resource.with_(spec=resource.spec.with_(**{direction: kept}))
