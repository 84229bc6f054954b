"""The only module that knows both Calico and nftables: changes in, a changed table out.

A :class:`Program` holds the desired table ``inet calico`` and changes it as the calculation tells.
The table depends only on the last state that it was told, never on the path. Policies that the
kernel refused are replaced by a deny until they change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    Direction,
    EndpointId,
    EndpointPolicies,
    LocalEndpoint,
    PolicyId,
    Pool,
    SetId,
)
from calico_node.felix.nft.keys import KeyType, pack
from calico_node.felix.nft.model import Chain, Rule, Table, goto
from calico_node.felix.nft.plan import Delta
from calico_node.felix.program import (
    classes,
    logs,
    names,
    nat,
    quality,
    rules,
    serviceloops,
    static,
)
from calico_node.felix.program.hostendpoints import HostEndpoints
from calico_node.felix.program.pending import Pending, TableSizes
from calico_node.felix.program.sets import IpSets, prefix_of, write_intervals
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.program.tunnels import Tunnels
from libcalico.net.addresses import Cidr

_DIRECTIONS: tuple[Direction, Direction] = ("ingress", "egress")
_K = TypeVar("_K")
_V = TypeVar("_V")
#: What a chain of rules belongs to: a policy, or a profile by its name.
Subject = PolicyId | str


class Program:
    """The desired table, changed by :meth:`apply`."""

    def __init__(self, settings: RuleSettings) -> None:
        self._settings = settings
        self._pending = Pending(names.TABLE)
        self._sets = IpSets(self._pending)
        self._active: dict[Subject, ActivePolicy] = {}
        self._users: Counter[tuple[Subject, Direction]] = Counter()
        self._sets_of: dict[Subject, frozenset[SetId]] = {}
        self._refused: dict[Subject, str] = {}
        self._endpoints: dict[EndpointId, LocalEndpoint] = {}
        self._by_interface: dict[str, set[EndpointId]] = {}
        self._programmed: dict[str, LocalEndpoint] = {}
        self._spoofers: dict[str, tuple[Cidr, ...]] = {}
        self._classes: dict[str, EndpointPolicies] = {}
        self._members: Counter[str] = Counter()
        self._host_endpoints = HostEndpoints(self._pending, settings, self._count_use)
        self._pools: dict[str, Pool] = {}
        self._hosts: dict[str, tuple[Cidr, ...]] = {}
        self._services: dict[Cidr, bool] = {}
        self._floating = nat.FloatingAddresses(self._pending)
        self._quality = quality.QualityOfService(self._pending)
        for kept in static.sets():
            self._pending.put_set(kept)
        for kept_map in (*static.maps(), *quality.maps()):
            self._pending.put_map(kept_map)
        self._write_static()

    @property
    def refused(self) -> Mapping[Subject, str]:
        """Policies and profiles that the kernel refused, and that deny for now: subject → reason."""
        return self._refused

    def table(self) -> Table:
        """Return the whole desired table."""
        return self._pending.table()

    def sizes(self) -> TableSizes:
        """Return how much is in the desired table."""
        return self._pending.sizes()

    def take_table(self) -> Table:
        """Return the whole desired table, for a commit in place of all changes so far."""
        self._pending.forget()
        return self._pending.table()

    def apply(self, changes: Changes) -> Delta:
        """Change the desired table, and return what changed in it since the last commit."""
        stale = self._apply_sets(changes)
        stale |= self._apply_active(changes.policies)
        stale |= self._apply_active(changes.profiles)
        for subject in sorted(stale, key=str):
            self._write_subject(subject)
        self._apply_endpoints(changes.endpoints)
        self._apply_pools(changes.pools)
        self._host_endpoints.apply(changes.host_endpoints, self._tunnels())
        self._apply_hosts(changes.hosts)
        self._apply_services(changes.services)
        for set_id, change in changes.sets.items():
            if change.removed:
                self._sets.change(set_id, change)
        return self._pending.take()

    def reconfigure(self, settings: RuleSettings) -> Delta:
        """Render everything anew for another configuration, and return what changed."""
        self._settings = settings
        self._write_static()
        for subject in self._active:
            self._write_subject(subject)
        for policies in self._classes.values():
            self._write_class(policies)
        self._host_endpoints.reconfigure(settings, self._tunnels())
        return self._pending.take()

    def refuse(self, owner: str, reason: str) -> bool:
        """Replace the rules that the kernel refused by a deny.

        Args:
            owner: the ``owner`` of the refused rule, chain or set.
            reason: what the kernel said.

        Returns:
            False if the owner is no policy, profile or set of one: then nothing can be replaced.
        """
        blamed = [
            s for s in self._active if owner == _owner(s) or owner in self._sets_of.get(s, ())
        ]
        for subject in blamed:
            self._refused[subject] = reason
            self._write_subject(subject)
        return bool(blamed)

    # Policies and profiles

    def _apply_sets(self, changes: Changes) -> set[Subject]:
        resized = {
            set_id
            for set_id, change in changes.sets.items()
            if not change.removed and self._sets.change(set_id, change)
        }
        return {s for s, used in self._sets_of.items() if used & resized} if resized else set()

    def _apply_active(
        self, active: Mapping[PolicyId, ActivePolicy | None] | Mapping[str, ActivePolicy | None]
    ) -> set[Subject]:
        for subject, policy in active.items():
            self._refused.pop(subject, None)
            if policy is None:
                self._active.pop(subject, None)
                self._sets_of.pop(subject, None)
            else:
                self._active[subject] = policy
                self._sets_of[subject] = frozenset(_set_ids(policy))
        return set(active)

    def _write_subject(self, subject: Subject) -> None:
        for direction in _DIRECTIONS:
            self._write_rules(subject, direction)

    def _write_rules(self, subject: Subject, direction: Direction) -> None:
        """Make the chain of one direction right: present while a class uses it, or if it is to be anyway."""
        name = _chain_name(subject, direction)
        policy = self._active.get(subject)
        if not (self._users[subject, direction] or _is_needed_unused(policy, direction)):
            self._pending.drop_chain(name)
            return
        owner = _owner(subject)
        if policy is None or policy.missing or subject in self._refused:
            why = self._refused.get(subject, "it does not exist")
            comment = rules.plain_comment(f"denies, for {why}")
            rule = Rule(rules.denied(self._settings), comment=comment)
            self._pending.put_chain(Chain(name, (rule,), owner=owner))
            return
        log = logs.statements(subject, policy.tier, self._settings)
        context = rules.RuleContext(self._settings, self._sets.has_nets, log)
        compiled = _rules_of(policy, direction)
        rendered = [r for one in compiled for r in rules.render(one, context, owner)]
        self._pending.put_chain(Chain(name, tuple(rendered), owner=owner))

    # Endpoints and their classes

    def _apply_endpoints(self, endpoints: Mapping[EndpointId, LocalEndpoint | None]) -> None:
        touched: set[str] = set()
        for endpoint_id, endpoint in endpoints.items():
            if (old := self._endpoints.pop(endpoint_id, None)) is not None:
                self._by_interface[old.interface].discard(endpoint_id)
                touched.add(old.interface)
            if endpoint is not None:
                self._endpoints[endpoint_id] = endpoint
                self._by_interface.setdefault(endpoint.interface, set()).add(endpoint_id)
                touched.add(endpoint.interface)
        leaving = [self._change_interface(interface) for interface in sorted(touched)]
        for policies in leaving:
            self._leave_class(policies)

    def _change_interface(self, interface: str) -> EndpointPolicies | None:
        """Program the endpoint that owns an interface; return the policies of the one before.

        Two endpoints that claim one interface: the one with the lowest identity has it.
        """
        claimants = self._by_interface.get(interface)
        if not claimants:
            self._by_interface.pop(interface, None)
        new = self._endpoints[min(claimants)] if claimants else None
        old = self._programmed.get(interface)
        if new == old:
            return None
        for version in (4, 6):
            self._pending.remove(names.SOURCES[version], _sources(old, version))
            self._pending.add(names.SOURCES[version], _sources(new, version))
        self._allow_spoofing(interface, new.allowed_sources if new is not None else ())
        self._floating.put(interface, new.floating if new is not None else ())
        self._quality.put(interface, new)
        if new is None:
            del self._programmed[interface]
        else:
            self._programmed[interface] = new
            self._join_class(new.policies)
        self._dispatch(interface, new)
        return old.policies if old is not None else None

    def _allow_spoofing(self, interface: str, prefixes: tuple[Cidr, ...]) -> None:
        if prefixes == self._spoofers.get(interface, ()):
            return
        if prefixes:
            self._spoofers[interface] = prefixes
        else:
            del self._spoofers[interface]
        self._write_anti_spoofing()

    def _dispatch(self, interface: str, endpoint: LocalEndpoint | None) -> None:
        key = KeyType.IFNAME.pack(interface)
        for direction, map_name in (
            ("egress", names.FROM_WORKLOADS_MAP),
            ("ingress", names.TO_WORKLOADS_MAP),
        ):
            verdict = None
            if endpoint is not None:
                class_id = classes.class_id(endpoint.policies)
                chosen: Direction = "egress" if direction == "egress" else "ingress"
                class_chain = names.class_chain(class_id, chosen)
                verdict = goto(self._quality.entry(interface, chosen, class_chain))
            self._pending.put_verdict(map_name, key, verdict)
        if endpoint is None:
            self._quality.leave(interface)

    def _join_class(self, policies: EndpointPolicies) -> None:
        class_id = classes.class_id(policies)
        self._members[class_id] += 1
        if self._members[class_id] == 1:
            self._classes[class_id] = policies
            self._count_users(policies, 1)
            self._write_class(policies)

    def _leave_class(self, policies: EndpointPolicies | None) -> None:
        if policies is None:
            return
        class_id = classes.class_id(policies)
        self._members[class_id] -= 1
        if self._members[class_id] == 0:
            del self._members[class_id]
            del self._classes[class_id]
            for direction in _DIRECTIONS:
                self._pending.drop_chain(names.class_chain(class_id, direction))
            self._count_users(policies, -1)

    def _count_users(self, policies: EndpointPolicies, change: int) -> None:
        for direction in _DIRECTIONS:
            used: list[Subject] = [*classes.policies_of(policies, direction), *policies.profiles]
            for subject in used:
                self._count_use(subject, direction, change)

    def _count_use(self, subject: Subject, direction: Direction, change: int) -> None:
        before = bool(self._users[subject, direction])
        self._users[subject, direction] += change
        if bool(self._users[subject, direction]) != before:
            self._write_rules(subject, direction)
        if not self._users[subject, direction]:
            del self._users[subject, direction]

    def _write_class(self, policies: EndpointPolicies) -> None:
        for direction in _DIRECTIONS:
            self._pending.put_chain(classes.render(policies, direction, self._settings))

    # What does not depend on endpoints

    def _write_static(self) -> None:
        for chain in static.chains(self._settings, self._tunnels()):
            self._pending.put_chain(chain)
        self._write_forwarding()
        self._floating.enable(is_enabled=self._settings.floating_ips)
        self._write_anti_spoofing()

    def _write_anti_spoofing(self) -> None:
        allowed = self._spoofers if self._settings.allow_spoofing else {}
        serves = self._settings.serves_addresses
        self._pending.put_chain(static.anti_spoofing(allowed, serves_addresses=serves))

    def _apply_pools(self, pools: Mapping[str, Pool | None]) -> None:
        _update(self._pools, pools)
        if not pools:
            return
        for version in (4, 6):
            of_family = [p for p in self._pools.values() if p.cidr.version == version]
            everything = [prefix_of(p.cidr) for p in of_family]
            natted = [prefix_of(p.cidr) for p in of_family if p.nat_outgoing]
            write_intervals(self._pending, names.ALL_POOLS[version], everything)
            write_intervals(self._pending, names.MASQUERADE_POOLS[version], natted)
        self._pending.put_chain(static.entering(self._settings, self._tunnels()))
        self._pending.put_chain(static.leaving(self._tunnels()))

    def _tunnels(self) -> Tunnels:
        """Return the tunnels in use."""
        return Tunnels.of(self._pools.values(), self._settings)

    def _apply_services(self, services: Mapping[Cidr, bool | None]) -> None:
        _update(self._services, services)
        if services:
            self._write_forwarding()

    def _write_forwarding(self) -> None:
        ending = serviceloops.chain(self._services, self._settings)
        forwarding = static.forwarding(self._settings, ends_service_loops=ending is not None)
        self._pending.put_chain(forwarding)
        if ending is None:
            self._pending.drop_chain(names.SERVICE_LOOPS)
        else:
            self._pending.put_chain(ending)

    def _apply_hosts(self, hosts: Mapping[str, tuple[Cidr, ...] | None]) -> None:
        _update(self._hosts, hosts)
        if not hosts:
            return
        for version in (4, 6):
            wanted = {
                address.packed()
                for addresses in self._hosts.values()
                for address in addresses
                if address.version == version
            }
            there = self._pending.elements(names.ALL_HOSTS[version])
            self._pending.remove(names.ALL_HOSTS[version], there - wanted)
            self._pending.add(names.ALL_HOSTS[version], wanted - there)


def _update(kept: dict[_K, _V], changes: Mapping[_K, _V | None]) -> None:
    for key, value in changes.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value


def _owner(subject: Subject) -> str:
    """Return what rules of a policy or profile say of their origin, for errors."""
    return str(subject) if isinstance(subject, PolicyId) else f"Profile({subject})"


def _chain_name(subject: Subject, direction: Direction) -> str:
    if isinstance(subject, PolicyId):
        return names.policy_chain(subject, direction)
    return names.profile_chain(subject, direction)


def _is_needed_unused(policy: ActivePolicy | None, direction: Direction) -> bool:
    return policy is not None and policy.everywhere and bool(_rules_of(policy, direction))


def _rules_of(policy: ActivePolicy, direction: Direction) -> tuple[CompiledRule, ...]:
    return policy.ingress if direction == "ingress" else policy.egress


def _set_ids(policy: ActivePolicy) -> Iterable[SetId]:
    compiled: tuple[CompiledRule, ...] = (*policy.ingress, *policy.egress)
    for rule in compiled:
        for side in (rule.source, rule.destination):
            yield from (*side.sets, *side.not_sets, *side.port_sets, *side.not_port_sets)


def _sources(endpoint: LocalEndpoint | None, version: int) -> set[bytes]:
    """Return interface . address elements of an endpoint's own addresses."""
    if endpoint is None:
        return set()
    address = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}[version]
    return {
        pack((KeyType.IFNAME, address), (endpoint.interface, cidr.packed()))
        for cidr in endpoint.addresses
        if cidr.version == version
    }
