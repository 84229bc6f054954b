"""A dataplane in plain Python: it applies changes, insists on their promises, and judges packets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    Direction,
    EndpointId,
    EndpointPolicies,
    HostEndpoint,
    HostPolicies,
    LocalEndpoint,
    Member,
    PolicyId,
    PortMember,
    RuleSide,
    SetChange,
    SetId,
    TierPolicies,
)
from libcalico.net.addresses import Cidr
from libcalico.policy.model import Packet

_ICMP = {4: 1, 6: 58}


class Dataplane:
    """Everything that changes told, by name. A promise that is broken is an AssertionError."""

    def __init__(self) -> None:
        self.sets: dict[SetId, set[Member]] = {}
        self.policies: dict[PolicyId, ActivePolicy] = {}
        self.profiles: dict[str, ActivePolicy] = {}
        self.endpoints: dict[EndpointId, LocalEndpoint] = {}
        self.host_endpoints: dict[str, HostEndpoint] = {}
        self.others: dict[str, dict[Any, Any]] = {}
        self.config: tuple[Mapping[str, str], ...] | None = None
        self.ready: bool | None = None

    def apply(self, changes: Changes) -> None:
        """Apply one batch: first what others refer to, removals last."""
        for set_id, change in changes.sets.items():
            if not change.removed:
                self._change_set(set_id, change)
        _apply(self.policies, changes.policies)
        _apply(self.profiles, changes.profiles)
        _apply(self.endpoints, changes.endpoints)
        _apply(self.host_endpoints, changes.host_endpoints)
        for set_id, change in changes.sets.items():
            if change.removed:
                assert change == SetChange(removed=True)
                del self.sets[set_id]
        for name in ("pools", "blocks", "hosts", "services", "host_links", "problems"):
            _apply(self.others.setdefault(name, {}), getattr(changes, name))
        assert changes.config is None or changes.config != self.config
        self.config = changes.config or self.config
        assert changes.ready is None or changes.ready != self.ready
        self.ready = self.ready if changes.ready is None else changes.ready
        self._check_references()

    def state(self) -> dict[str, Any]:
        """Return all of it, for comparison."""
        return dict(vars(self))

    def allows(self, endpoint: EndpointId, direction: Direction, packet: Packet) -> bool:
        """Return whether the endpoint's policies let the packet in (ingress) or out (egress)."""
        return self.judge(self.endpoints[endpoint].policies, direction, packet)

    def judge(self, policies: EndpointPolicies, direction: Direction, packet: Packet) -> bool:
        """Return what tiers and then profiles decide about a packet."""
        decided = self.judge_tiers(policies.tiers, direction, packet)
        if decided is not None:
            return decided
        for name in policies.profiles:
            profile = self.profiles[name]
            if profile.missing:
                return False
            verdict = self._first(_rules(profile, direction), packet)
            if verdict in ("Allow", "Deny"):
                return verdict == "Allow"
        return False

    def judge_tiers(
        self,
        tiers: Iterable[TierPolicies],
        direction: Direction,
        packet: Packet,
        *,
        is_early: bool = False,
    ) -> bool | None:
        """Return what tiers decide, None if they do not; early ones pass at the end of each tier."""
        for tier in tiers:
            applied = tier.ingress if direction == "ingress" else tier.egress
            if not applied:
                continue
            rules = (
                rule for policy in applied for rule in _rules(self.policies[policy], direction)
            )
            decided = self._first(rules, packet) or ("Pass" if is_early else tier.default_action)
            if decided != "Pass":
                return decided == "Allow"
        return None

    def _change_set(self, set_id: SetId, change: SetChange) -> None:
        if change.created:
            assert set_id not in self.sets
            assert not change.deleted
            self.sets[set_id] = set()
        members = self.sets[set_id]
        assert change.created or change.added or change.deleted
        assert not members & change.added
        assert members >= change.deleted
        members |= change.added
        members -= change.deleted

    def _check_references(self) -> None:
        """Nothing refers to what is not there, nothing is there without being referred to."""
        used = {
            set_id
            for policy in (*self.policies.values(), *self.profiles.values())
            for rule in (*policy.ingress, *policy.egress)
            for set_id in _set_ids(rule)
        }
        assert used == self.sets.keys()
        classes = [endpoint.policies for endpoint in self.endpoints.values()]
        assert len({id(policies) for policies in classes}) == len(set(classes))
        hosts = [host.policies for host in self.host_endpoints.values()]
        in_use = [p for host in hosts for p in _policy_ids(_all_tiers(host))]
        in_use += [p for policies in classes for p in _policy_ids(policies.tiers)]
        everywhere = {which for which, policy in self.policies.items() if policy.everywhere}
        assert self.policies.keys() == set(in_use) | everywhere
        classes += [host.normal for host in hosts]
        assert self.profiles.keys() == {p for policies in classes for p in policies.profiles}

    def _first(self, rules: Iterable[CompiledRule], packet: Packet) -> str | None:
        for rule in rules:
            if rule.action != "Log" and self._matches(rule, packet):
                return rule.action
        return None

    def _matches(self, rule: CompiledRule, packet: Packet) -> bool:
        return (
            rule.ip_version in (None, packet.version)
            and rule.protocol in (None, packet.protocol)
            and rule.not_protocol != packet.protocol
            and _icmp_matches(rule, packet)
            and self._side_matches(rule.source, packet.source, packet.source_port, packet)
            and self._side_matches(
                rule.destination, packet.destination, packet.destination_port, packet
            )
        )

    def _side_matches(
        self, side: RuleSide, address: Cidr, port: int | None, packet: Packet
    ) -> bool:
        def is_in(set_id: SetId) -> bool:
            return any(isinstance(m, Cidr) and m.contains(address) for m in self.sets[set_id])

        if side.nets and not any(net.contains(address) for net in side.nets):
            return False
        if any(net.contains(address) for net in side.not_nets):
            return False
        if not all(map(is_in, side.sets)) or any(map(is_in, side.not_sets)):
            return False
        return self._ports_match(side, address, port, packet)

    def _ports_match(self, side: RuleSide, address: Cidr, port: int | None, packet: Packet) -> bool:
        def is_in(set_id: SetId) -> bool:
            return (
                port is not None and PortMember(address, packet.protocol, port) in self.sets[set_id]
            )

        if side.ports or side.port_sets:
            in_range = port is not None and any(port in wanted for wanted in side.ports)
            if not in_range and not any(map(is_in, side.port_sets)):
                return False
        if side.not_ports and (port is None or any(port in banned for banned in side.not_ports)):
            return False
        return not any(map(is_in, side.not_port_sets))


def _apply(there: dict[Any, Any], changes: Mapping[Any, Any]) -> None:
    for name, value in changes.items():
        assert there.get(name) != value
        if value is None:
            del there[name]
        else:
            there[name] = value


def _rules(policy: ActivePolicy, direction: Direction) -> tuple[CompiledRule, ...]:
    return policy.ingress if direction == "ingress" else policy.egress


def _set_ids(rule: CompiledRule) -> Iterable[SetId]:
    for side in (rule.source, rule.destination):
        yield from (*side.sets, *side.not_sets, *side.port_sets, *side.not_port_sets)


def _all_tiers(host: HostPolicies) -> Iterable[TierPolicies]:
    return (*host.normal.tiers, *host.forward, *host.pre_dnat, *host.untracked)


def _policy_ids(tiers: Iterable[TierPolicies]) -> Iterable[PolicyId]:
    for tier in tiers:
        yield from (*tier.ingress, *tier.egress)


def _icmp_matches(rule: CompiledRule, packet: Packet) -> bool:
    if rule.icmp is None and rule.not_icmp is None:
        return True
    if packet.protocol != _ICMP[packet.version]:
        return False

    def is_one(wanted: tuple[int, int | None]) -> bool:
        kind, code = wanted
        return kind == packet.icmp_type and code in (None, packet.icmp_code)

    if rule.icmp is not None and not is_one(rule.icmp):
        return False
    return rule.not_icmp is None or not is_one(rule.not_icmp)
