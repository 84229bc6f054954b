"""Which policies apply to which endpoints of this host, in which order.

Source: calico-control-plane reference, section 4.1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, NamedTuple

from calico_node.felix.messages import (
    EndpointId,
    EndpointPolicies,
    HostPolicies,
    PolicyId,
    TierPolicies,
)
from libcalico.resources.policy import PolicyType
from libcalico.selector import Node
from libcalico.selector.index import LabelIndex

#: The tier of policies that cannot be read: before all others.
UNREADABLE_TIER: Final = ""
_MOST_RESOLVED: Final = 4096


#: When a policy is looked at; all but normal ones are for host endpoints only.
Flavour = Literal["normal", "pre_dnat", "untracked"]


class HostId(NamedTuple):
    """Names a host endpoint of this host, and tells whether it is one of all interfaces."""

    name: str
    is_of_all: bool


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """Where a policy stands, and whom it selects.

    ``on_forward``: whether a normal one also holds for what a host forwards.
    """

    tier: str
    order: float
    types: frozenset[PolicyType]
    selector: Node
    flavour: Flavour = "normal"
    on_forward: bool = False

    def concerns(self, item: EndpointId | HostId) -> bool:
        """Whether the policy holds for an endpoint of that kind, if it selects it."""
        if self.flavour == "normal":
            return True
        if not isinstance(item, HostId) or not self.types:
            return False
        return self.flavour == "pre_dnat" or not item.is_of_all


@dataclass(frozen=True, slots=True)
class TierPlace:
    """Where a tier stands, and what happens at its end."""

    order: float
    default_action: Literal["Deny", "Pass"]


class PolicyResolver:
    """Keeps the ordered policies of every endpoint of this host, of workloads and of the host."""

    def __init__(self) -> None:
        self._index: LabelIndex[EndpointId | HostId, PolicyId] = LabelIndex()
        self._places: dict[PolicyId, PolicyPlace] = {}
        self._tiers: dict[str, TierPlace] = {}
        self._policies_by_tier: defaultdict[str, dict[PolicyId, None]] = defaultdict(dict)
        self._profiles: dict[EndpointId | HostId, tuple[str, ...]] = {}
        self._matches: dict[EndpointId | HostId, set[PolicyId]] = {}
        self._selected: dict[PolicyId, dict[EndpointId | HostId, None]] = {}
        self._dirty: dict[EndpointId | HostId, None] = {}
        self._touched: dict[PolicyId, None] = {}
        self._resolved: dict[tuple[frozenset[PolicyId], tuple[str, ...]], EndpointPolicies] = {}
        self._classes = _Classes()

    @property
    def tiers(self) -> int:
        """How many tiers are defined."""
        return len(self._tiers)

    def on_endpoint(
        self, endpoint: EndpointId | HostId, labels: Mapping[str, str], profiles: Sequence[str]
    ) -> None:
        """An endpoint of this host is now so."""
        self._profiles[endpoint] = tuple(profiles)
        self._matches.setdefault(endpoint, set())
        self._dirty[endpoint] = None
        self._index.on_item(endpoint, labels, profiles)
        self._settle()

    def on_endpoint_removed(self, endpoint: EndpointId | HostId) -> None:
        """An endpoint is not local any more, or gone; one that never was is passed over."""
        if endpoint not in self._profiles:
            return
        self._index.on_item_removed(endpoint)
        self._settle()
        del self._profiles[endpoint], self._matches[endpoint]
        if isinstance(endpoint, EndpointId):
            self._classes.leave(endpoint)
        self._dirty[endpoint] = None

    def on_parent(self, parent: str, labels: Mapping[str, str] | None) -> None:
        """A profile lends these labels; None: it does not exist."""
        self._index.on_parent(parent, labels)
        self._settle()

    def on_policy(self, policy: PolicyId, place: PolicyPlace) -> None:
        """A policy stands there."""
        old = self._places.get(policy)
        if old == place:
            return
        if old is not None and old.flavour != place.flavour:
            self.on_policy_removed(policy)
            old = None
        if old is not None:
            self._resolved.clear()
            self._leave_tier(old.tier, policy)
        self._places[policy] = place
        self._policies_by_tier[place.tier][policy] = None
        self._dirty |= self._selected.setdefault(policy, {})
        self._index.on_selector(policy, place.selector)
        self._settle()

    def on_policy_removed(self, policy: PolicyId) -> None:
        """A policy is gone; one that is not known is passed over."""
        place = self._places.pop(policy, None)
        if place is None:
            return
        self._resolved.clear()
        self._leave_tier(place.tier, policy)
        selected = self._selected.pop(policy)
        for endpoint in selected:
            self._matches[endpoint].discard(policy)
        self._dirty |= selected
        self._touched[policy] = None
        self._index.on_selector_removed(policy)

    def on_tier(self, name: str, place: TierPlace | None) -> None:
        """A tier stands there, or, None, is gone."""
        if self._tiers.get(name) == place:
            return
        if place is None:
            del self._tiers[name]
        else:
            self._tiers[name] = place
        self._resolved.clear()
        for policy in self._policies_by_tier.get(name, ()):
            self._dirty |= self._selected[policy]

    def _leave_tier(self, tier: str, policy: PolicyId) -> None:
        policies = self._policies_by_tier[tier]
        del policies[policy]
        if not policies:
            del self._policies_by_tier[tier]

    def is_active(self, policy: PolicyId) -> bool:
        """Return whether a policy selects some local endpoint."""
        return bool(self._selected.get(policy))

    def take_touched(self) -> Iterable[PolicyId]:
        """Return the policies that may have become active, or not, since the last call."""
        touched, self._touched = self._touched, {}
        return touched

    def take_dirty(self) -> Iterable[EndpointId]:
        """Return the workload endpoints whose policies may have changed since the last call."""
        dirty = [item for item in self._dirty if not isinstance(item, HostId)]
        self._dirty = {item: None for item in self._dirty if isinstance(item, HostId)}
        return dirty

    def take_dirty_hosts(self) -> Iterable[HostId]:
        """Return the host endpoints whose policies may have changed since the last call."""
        dirty = [item for item in self._dirty if isinstance(item, HostId)]
        self._dirty = {item: None for item in self._dirty if not isinstance(item, HostId)}
        return dirty

    def policies_of(self, endpoint: EndpointId) -> EndpointPolicies:
        """Return the ordered policies of a local endpoint; equal ones are the same object."""
        profiles = self._profiles[endpoint]
        key = frozenset(self._matches[endpoint]), profiles
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= _MOST_RESOLVED:
                self._resolved.clear()
            found = EndpointPolicies(tuple(self._ordered(key[0])), profiles)
        found = self._resolved[key] = self._classes.join(endpoint, found)
        return found

    def host_policies_of(self, host: HostId) -> HostPolicies:
        """Return the ordered policies of a host endpoint."""
        normal = [p for p in self._matches[host] if self._places[p].flavour == "normal"]
        forward = [p for p in normal if self._places[p].on_forward]
        pre_dnat = [p for p in self._matches[host] if self._places[p].flavour == "pre_dnat"]
        untracked = [p for p in self._matches[host] if self._places[p].flavour == "untracked"]
        return HostPolicies(
            EndpointPolicies(tuple(self._ordered(normal)), self._profiles[host]),
            tuple(self._ordered(forward)),
            tuple(self._ordered(pre_dnat)),
            tuple(self._ordered(untracked)),
        )

    def _settle(self) -> None:
        for policy, moves in self._index.drain().items():
            self._touched[policy] = None
            selected, place = self._selected[policy], self._places[policy]
            for endpoint in filter(place.concerns, moves.removed):
                self._matches[endpoint].discard(policy)
                del selected[endpoint]
                self._dirty[endpoint] = None
            for endpoint in filter(place.concerns, moves.added):
                self._matches[endpoint].add(policy)
                selected[endpoint] = None
                self._dirty[endpoint] = None

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

    def _position_of_tier(self, name: str) -> tuple[bool, bool, float, str]:
        """Tiers that do not exist come last; their policies still apply."""
        tier = self._tiers.get(name)
        return name != UNREADABLE_TIER, tier is None, tier.order if tier else inf, name

    def _position(self, policy: PolicyId) -> tuple[float, str]:
        return self._places[policy].order, f"{policy.name}/{policy.namespace}/{policy.kind}"


class _Classes:
    """One object for all endpoints with equal policies, as long as there are such endpoints."""

    def __init__(self) -> None:
        self._class_by_endpoint: dict[EndpointId, EndpointPolicies] = {}
        self._classes: dict[EndpointPolicies, EndpointPolicies] = {}
        self._sizes: Counter[int] = Counter()

    def join(self, endpoint: EndpointId, policies: EndpointPolicies) -> EndpointPolicies:
        """Return the object for these policies, which the endpoint has from now on."""
        old = self._class_by_endpoint.get(endpoint)
        if old is policies:
            return old
        joined = self._classes.setdefault(policies, policies)
        self._sizes[id(joined)] += 1
        self.leave(endpoint)
        self._class_by_endpoint[endpoint] = joined
        return joined

    def leave(self, endpoint: EndpointId) -> None:
        """The endpoint has no policies any more."""
        left = self._class_by_endpoint.pop(endpoint, None)
        if left is None:
            return
        self._sizes[id(left)] -= 1
        if not self._sizes[id(left)]:
            del self._sizes[id(left)], self._classes[left]
