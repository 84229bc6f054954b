"""Rules of policies, profiles and tiers. Source: ``calico-control-plane.md`` 2.7 and 2.8."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from types import MappingProxyType
from typing import Literal

from libcalico.resources import fieldchecks as check
from libcalico.resources.defaults import FIXED_TIERS
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    HTTPMatch,
    ICMPFields,
    Rule,
    Tier,
)
from libcalico.resources.profiles import Profile
from libcalico.resources.staged import StagedGlobalNetworkPolicy, TieredPolicy

Direction = Literal["ingress", "egress"]
_PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite")
_SPELLINGS = MappingProxyType({name.lower(): name for name in _PROTOCOLS})
_WITH_PORTS = frozenset({"TCP", "UDP", "SCTP", 6, 17, 132})
_ICMP = frozenset({"ICMP", 1})
_ICMPV6 = frozenset({"ICMPv6", 58})
_EVERYTHING = frozenset({ip_network("0.0.0.0/0"), ip_network("::/0")})
_MAX_HTTP = 20


def check_policy(policy: TieredPolicy) -> Iterator[str]:
    """Check a NetworkPolicy or a GlobalNetworkPolicy, enforced or staged."""
    spec = policy.spec
    yield from check.subdomain("spec.tier", spec.tier)
    yield from check.selector("spec.selector", spec.selector)
    yield from check.selector("spec.serviceAccountSelector", spec.service_account_selector)
    yield from check.unique("spec.types", spec.types)
    yield from check.unique("spec.performanceHints", spec.performance_hints)
    yield from _check_rules(spec.ingress, "ingress", policy.namespace)
    yield from _check_rules(spec.egress, "egress", policy.namespace)
    if isinstance(policy, GlobalNetworkPolicy | StagedGlobalNetworkPolicy):
        yield from _check_host_policy(policy)


def _check_host_policy(policy: GlobalNetworkPolicy | StagedGlobalNetworkPolicy) -> Iterator[str]:
    spec = policy.spec
    yield from check.selector("spec.namespaceSelector", spec.namespace_selector)
    if spec.do_not_track and spec.pre_dnat:
        yield "spec.preDNAT: cannot be true together with spec.doNotTrack"
    if spec.pre_dnat and spec.egress:
        yield "spec.egress: a preDNAT policy has ingress rules only"
    if spec.pre_dnat and "Egress" in spec.types:
        yield "spec.types: a preDNAT policy is of type Ingress only"
    if (spec.do_not_track or spec.pre_dnat) and not spec.apply_on_forward:
        field = "doNotTrack" if spec.do_not_track else "preDNAT"
        yield f"spec.applyOnForward: must be true because spec.{field} is true"


def check_profile(profile: Profile) -> Iterator[str]:
    """Check a Profile."""
    yield from check.label_map("spec.labelsToApply", profile.spec.labels_to_apply)
    yield from _check_rules(profile.spec.ingress, "ingress", "")
    yield from _check_rules(profile.spec.egress, "egress", "")


def check_tier(tier: Tier) -> Iterator[str]:
    """Check a Tier; the tiers that every cluster has are fixed."""
    fixed = FIXED_TIERS.get(tier.name)
    if fixed is None:
        return
    order, action = fixed
    if tier.spec.order != order:
        yield f"spec.order: must be {order:.0f} in tier {tier.name!r}, not {tier.spec.order!r}"
    if tier.spec.default_action != action:
        yield f"spec.defaultAction: must be {action} in tier {tier.name!r}"


def _check_rules(rules: list[Rule], direction: Direction, namespace: str) -> Iterator[str]:
    for index, rule in enumerate(rules):
        yield from _check_rule(f"spec.{direction}[{index}]", rule, direction, namespace)


def _check_rule(path: str, rule: Rule, direction: Direction, namespace: str) -> Iterator[str]:
    yield from _check_protocol(f"{path}.protocol", rule.protocol)
    yield from _check_protocol(f"{path}.notProtocol", rule.not_protocol)
    yield from _check_icmp(path, rule)
    yield from _check_families(path, rule)
    sides: tuple[tuple[Literal["source", "destination"], EntityRule], ...] = (
        ("source", rule.source),
        ("destination", rule.destination),
    )
    for name, side in sides:
        place = f"{path}.{name}"
        yield from _check_side(place, side)
        yield from _check_ports(place, side, rule)
        yield from _check_services(place, side, name, direction, namespace)
    if rule.http is not None:
        yield from _check_http(f"{path}.http", rule.http, rule, direction)
    if rule.metadata is not None:
        yield from check.annotation_map(f"{path}.metadata.annotations", rule.metadata.annotations)


def _check_protocol(path: str, protocol: int | str | None) -> Iterator[str]:
    if isinstance(protocol, int):
        yield from check.whole_number(path, protocol, 1, 255)
    elif protocol is not None and protocol not in _PROTOCOLS:
        meant = _spelt(protocol)
        allowed = meant if meant in _PROTOCOLS else f"one of {', '.join(_PROTOCOLS)}, or 1 to 255"
        yield f"{path}: {protocol!r} is no protocol; use {allowed}"


def _check_icmp(path: str, rule: Rule) -> Iterator[str]:
    for name, icmp in (("icmp", rule.icmp), ("notICMP", rule.not_icmp)):
        if icmp is not None:
            yield from _check_icmp_fields(f"{path}.{name}", icmp)
    if rule.icmp is not None and _spelt(rule.protocol) not in _ICMP | _ICMPV6:
        yield f"{path}.icmp: needs protocol ICMP or ICMPv6 in the same rule"
    for version, protocols, name in ((4, _ICMPV6, "ICMPv6"), (6, _ICMP, "ICMP")):
        for field, protocol in (("protocol", rule.protocol), ("notProtocol", rule.not_protocol)):
            if rule.ip_version == version and protocol in protocols:
                yield f"{path}.ipVersion: {version} contradicts {field} {name}"


def _check_icmp_fields(path: str, icmp: ICMPFields) -> Iterator[str]:
    if icmp.type is not None:
        yield from check.whole_number(f"{path}.type", icmp.type, 0, 254)
    if icmp.code is not None:
        yield from check.whole_number(f"{path}.code", icmp.code, 0, 255)
        if icmp.type is None:
            yield f"{path}.code: needs a type beside it"


def _check_families(path: str, rule: Rule) -> Iterator[str]:
    """All CIDRs of a rule are of one family, which is that of ``ipVersion``."""
    sides = (rule.source, rule.destination)
    texts = [net for side in sides for net in (*side.nets, *side.not_nets)]
    versions = {net.version for net in map(check.parse_network, texts) if net is not None}
    if len(versions) > 1:
        yield f"{path}: rule contains both IPv4 and IPv6 CIDRs; write one rule for each family"
    elif versions and rule.ip_version and rule.ip_version not in versions:
        yield f"{path}.ipVersion: {rule.ip_version} contradicts the family of the rule's CIDRs"


def _check_side(path: str, side: EntityRule) -> Iterator[str]:
    for name, nets in (("nets", side.nets), ("notNets", side.not_nets)):
        for index, text in enumerate(nets):
            place = f"{path}.{name}[{index}]"
            yield from check.network(place, text)
            if name == "notNets" and check.parse_network(text) in _EVERYTHING:
                yield f"{place}: {text!r} excludes every address, so the rule could never match"
    yield from check.selector(f"{path}.selector", side.selector)
    yield from check.selector(f"{path}.notSelector", side.not_selector)
    yield from check.selector(
        f"{path}.namespaceSelector", side.namespace_selector, global_allowed=True
    )
    if side.service_accounts is not None:
        accounts = f"{path}.serviceAccounts"
        for index, name in enumerate(side.service_accounts.names):
            yield from check.subdomain(f"{accounts}.names[{index}]", name)
        yield from check.selector(f"{accounts}.selector", side.service_accounts.selector)


def _check_ports(path: str, side: EntityRule, rule: Rule) -> Iterator[str]:
    protocol = _spelt(rule.protocol)
    for name, ports in (("ports", side.ports), ("notPorts", side.not_ports)):
        for index, port in enumerate(ports):
            yield from check.port(f"{path}.{name}[{index}]", port)
        if ports and protocol is None and not all(map(_is_port_name, ports)):
            yield f"{path}.{name}: numbers need a protocol; set protocol TCP, UDP or SCTP in the rule"
        elif ports and protocol is not None and protocol not in _WITH_PORTS:
            yield f"{path}.{name}: protocol {rule.protocol} has no ports; use TCP, UDP or SCTP"


def _is_port_name(port: int | str) -> bool:
    return isinstance(port, str) and not re.fullmatch(r"[0-9]+:[0-9]+", port)


def _check_services(
    path: str,
    side: EntityRule,
    name: Literal["source", "destination"],
    direction: Direction,
    namespace: str,
) -> Iterator[str]:
    services = side.services
    if services is None:
        return
    if not services.name:
        yield f"{path}.services.name: missing"
    for field, text in (("name", services.name), ("namespace", services.namespace)):
        if text:
            yield from check.subdomain(f"{path}.services.{field}", text)
    if not services.namespace and not namespace:
        yield f"{path}.services.namespace: missing; only a NetworkPolicy may leave it out"
    if (name == "source") != (direction == "ingress"):
        where = "source" if direction == "ingress" else "destination"
        yield f"{path}.services: {direction} rules have services in their {where} only"
    rivals: dict[str, object] = {
        "selector": side.selector,
        "notSelector": side.not_selector,
        "nets": side.nets,
        "notNets": side.not_nets,
        "serviceAccounts": side.service_accounts,
        "namespaceSelector": side.namespace_selector,
    }
    if name == "destination":
        rivals |= {"ports": side.ports, "notPorts": side.not_ports}
    for rival, value in rivals.items():
        if value:
            yield f"{path}.{rival}: cannot be combined with services"


def _check_http(path: str, http: HTTPMatch, rule: Rule, direction: Direction) -> Iterator[str]:
    if rule.action != "Allow":
        yield f"{path}: only an Allow rule may match HTTP"
    if direction != "ingress":
        yield f"{path}: only ingress rules may match HTTP"
    if _spelt(rule.protocol) not in (None, "TCP"):
        yield f"{path}: needs protocol TCP"
    yield from check.unique(f"{path}.methods", http.methods)
    for name, members in (("methods", http.methods), ("paths", http.paths)):
        if len(members) > _MAX_HTTP:
            yield f"{path}.{name}: {len(members)} are too many; at most {_MAX_HTTP} are allowed"
    for index, match in enumerate(http.paths):
        yield from _check_http_path(f"{path}.paths[{index}]", match)


def _check_http_path(path: str, match: dict[str, str]) -> Iterator[str]:
    if len(match) != 1 or not match.keys() <= {"exact", "prefix"}:
        yield f"{path}: write either exact or prefix"
        return
    text = next(iter(match.values()))
    if not text.startswith("/") or re.search(r"[?# ]", text):
        yield f"{path}: {text!r} is no path; it begins with '/' and holds no '?', '#' or blank"


def _spelt(protocol: int | str | None) -> int | str | None:
    """Return the name that was meant, so that its case is one mistake and causes no others."""
    return _SPELLINGS.get(protocol.lower(), protocol) if isinstance(protocol, str) else protocol
