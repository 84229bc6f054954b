"""Which policies apply to which local endpoints, in which order.

Source: calico-control-plane reference, section 4.1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from calico_node.felix.messages import EndpointId, EndpointPolicies, PolicyId, TierPolicies
from libcalico.resources.policy import PolicyType
from libcalico.selector import Node
from libcalico.selector.index import LabelIndex


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """Where a policy stands, and whom it selects."""

    tier: str
    order: float
    types: frozenset[PolicyType]
    selector: Node


@dataclass(frozen=True, slots=True)
class TierPlace:
    """Where a tier stands, and what happens at its end."""

    order: float
    default_action: Literal["Deny", "Pass"]


class PolicyResolver:
    """Keeps the ordered policies of every local endpoint."""

    def __init__(self) -> None:
        self._index: LabelIndex[EndpointId, PolicyId] = LabelIndex()
        self._places: dict[PolicyId, PolicyPlace] = {}
        self._tiers: dict[str, TierPlace] = {}
        self._profiles: dict[EndpointId, tuple[str, ...]] = {}
        self._matches: dict[EndpointId, set[PolicyId]] = {}
        self._selected: dict[PolicyId, set[EndpointId]] = defaultdict(set)
        self._dirty: set[EndpointId] = set()
        self._touched: set[PolicyId] = set()
        self._resolved: dict[tuple[frozenset[PolicyId], tuple[str, ...]], EndpointPolicies] = {}
        self._interned: dict[EndpointPolicies, EndpointPolicies] = {}

    def on_endpoint(
        self, endpoint: EndpointId, labels: Mapping[str, str], profiles: Sequence[str]
    ) -> None:
        """A local endpoint is now so."""
        self._profiles[endpoint] = tuple(profiles)
        self._matches.setdefault(endpoint, set())
        self._dirty.add(endpoint)
        self._index.on_item(endpoint, labels, profiles)
        self._settle()

    def on_endpoint_removed(self, endpoint: EndpointId) -> None:
        """An endpoint is not local any more, or gone."""
        if endpoint not in self._profiles:
            return
        self._index.on_item_removed(endpoint)
        self._settle()
        del self._profiles[endpoint], self._matches[endpoint]
        self._dirty.add(endpoint)

    def on_parent(self, parent: str, labels: Mapping[str, str] | None) -> None:
        """A profile lends these labels; None: it does not exist."""
        self._index.on_parent(parent, labels)
        self._settle()

    def on_policy(self, policy: PolicyId, place: PolicyPlace | None) -> None:
        """A policy stands there, or, None, is gone."""
        old = self._places.get(policy)
        if old == place:
            return
        self._forget()
        self._dirty |= self._selected[policy]
        if place is None:
            del self._places[policy]
            for endpoint in self._selected.pop(policy, ()):
                self._matches[endpoint].discard(policy)
            self._index.on_selector_removed(policy)
            self._touched.add(policy)
            return
        self._places[policy] = place
        self._index.on_selector(policy, place.selector)
        self._settle()

    def on_tier(self, name: str, place: TierPlace | None) -> None:
        """A tier stands there, or, None, is gone."""
        if self._tiers.get(name) == place:
            return
        if place is None:
            del self._tiers[name]
        else:
            self._tiers[name] = place
        self._forget()
        self._dirty |= self._profiles.keys()

    def is_active(self, policy: PolicyId) -> bool:
        """Return whether a policy selects some local endpoint."""
        return bool(self._selected.get(policy))

    def take_touched(self) -> set[PolicyId]:
        """Return the policies that may have become active, or not, since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def take_dirty(self) -> set[EndpointId]:
        """Return the endpoints whose policies may have changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def policies_of(self, endpoint: EndpointId) -> EndpointPolicies:
        """Return the ordered policies of a local endpoint; equal ones are the same object."""
        profiles = self._profiles[endpoint]
        key = frozenset(self._matches[endpoint]), profiles
        found = self._resolved.get(key)
        if found is None:
            fresh = EndpointPolicies(tuple(self._ordered(key[0])), profiles)
            found = self._resolved[key] = self._interned.setdefault(fresh, fresh)
        return found

    def _forget(self) -> None:
        """Places changed: what was resolved before must be resolved again."""
        self._resolved.clear()
        self._interned.clear()

    def _settle(self) -> None:
        for policy, moves in self._index.drain().items():
            self._touched.add(policy)
            for endpoint in moves.removed:
                self._matches[endpoint].discard(policy)
                self._selected[policy].discard(endpoint)
            for endpoint in moves.added:
                self._matches[endpoint].add(policy)
                self._selected[policy].add(endpoint)
            self._dirty.update(moves.removed, moves.added)

    def _ordered(self, policies: Iterable[PolicyId]) -> Iterable[TierPolicies]:
        by_tier: dict[str, list[PolicyId]] = defaultdict(list)
        for policy in policies:
            by_tier[self._places[policy].tier].append(policy)
        for name in sorted(by_tier, key=self._position_of_tier):
            ordered = sorted(by_tier[name], key=self._position)
            ingress = tuple(p for p in ordered if "Ingress" in self._places[p].types)
            egress = tuple(p for p in ordered if "Egress" in self._places[p].types)
            tier = self._tiers.get(name)
            yield TierPolicies(name, tier.default_action if tier else "Deny", ingress, egress)

    def _position_of_tier(self, name: str) -> tuple[bool, float, str]:
        """Tiers that do not exist come last; their policies still apply."""
        tier = self._tiers.get(name)
        return tier is None, tier.order if tier else inf, name

    def _position(self, policy: PolicyId) -> tuple[float, str]:
        return self._places[policy].order, f"{policy.name}/{policy.namespace}/{policy.kind}"
