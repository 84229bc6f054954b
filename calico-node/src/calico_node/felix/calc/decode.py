"""Stored bytes → what the calculation needs of them. What cannot be read never widens access.

* An endpoint that cannot be read is treated as absent; so is an address of a network set.
* A rule that cannot be read denies everything in its place.
* A policy of unknown types applies in both directions, a tier with an unknown action denies.
* A policy whose selector cannot be read denies, in its types, everything in its namespace (a global
  one: everything). One that cannot be read at all does so before all tiers.
* A profile of which only rules cannot be read keeps its labels; else it denies and lends none.

Endpoints are decoded by structs of a few fields: there may be a hundred thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import msgspec

from calico_node.felix.calc import traffic
from calico_node.felix.calc.active import Definition, denying
from calico_node.felix.calc.ipsets import NamedPort, Owner
from calico_node.felix.calc.policies import UNREADABLE_TIER, PolicyPlace, TierPlace
from calico_node.felix.calc.rules import compile_rules
from calico_node.felix.messages import FloatingAddress, Quality
from libcalico.errors import SelectorSyntaxError, ValidationError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.net.ports import protocol_number
from libcalico.resources import codec, rewrite
from libcalico.resources.endpoints import IPNAT, QoSControls
from libcalico.resources.model import ResourceId
from libcalico.resources.names import DEFAULT_TIER, NAMESPACE_LABEL
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSet
from libcalico.resources.policy import GlobalNetworkPolicy, NetworkPolicy, PolicyType, Rule
from libcalico.resources.profiles import Profile
from libcalico.selector import parse

_T = TypeVar("_T")
_UNLIMITED: Final = Quality()
_BOTH: Final[frozenset[PolicyType]] = frozenset({"Ingress", "Egress"})
_INGRESS: Final[frozenset[PolicyType]] = frozenset({"Ingress"})
#: What msgspec raises for bytes that are no such JSON.
NO_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LAST_PORT: Final = 65535
_DENY: Final = {"action": "Deny"}
#: The hint that a policy's chains and sets are better there before an endpoint needs them.
_EVERYWHERE: Final = "AssumeNeededOnEveryNode"


class Reading(NamedTuple, Generic[_T]):
    """What was made of stored bytes; ``problem`` is empty if all of them could be read."""

    value: _T
    problem: str = ""


class Endpoint(NamedTuple):
    """A workload endpoint, as far as it is needed."""

    node: str
    interface: str
    mac: str
    labels: dict[str, str]
    profiles: tuple[str, ...]
    owner: Owner
    allowed_sources: tuple[Cidr, ...]
    floating: tuple[FloatingAddress, ...] = ()
    quality: Quality = Quality()


class LabelledOwner(NamedTuple):
    """A network set, with its labels and the profiles that it inherits from."""

    owner: Owner
    labels: dict[str, str]
    parents: tuple[str, ...] = ()


class PolicyReading(NamedTuple):
    """Where a policy stands, and what it says."""

    place: PolicyPlace
    definition: Definition


class ProfileReading(NamedTuple):
    """What a profile says, and the labels that it lends."""

    definition: Definition
    labels: dict[str, str]


class Metadata(msgspec.Struct):
    """What is needed of an endpoint's metadata."""

    labels: dict[str, str] | None = None


class Port(msgspec.Struct):
    """A named port of an endpoint, as it is stored."""

    name: str = ""
    protocol: int | str = ""
    port: int = 0


# Readers that never write pass over what they do not know.
class _FloatingAddress(IPNAT, forbid_unknown_fields=False):
    pass


class _Controls(QoSControls, forbid_unknown_fields=False):
    pass


class _EndpointSpec(msgspec.Struct, rename="camel"):
    node: str = ""
    interface_name: str = ""
    mac: str = ""
    ip_networks: list[str] | None = msgspec.field(default=None, name="ipNetworks")
    profiles: list[str] | None = None
    ports: list[Port] | None = None
    allow_spoofed_source_prefixes: list[str] | None = None
    ip_nats: list[_FloatingAddress] | None = msgspec.field(default=None, name="ipNATs")
    qos_controls: _Controls | None = None


class _Endpoint(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: _EndpointSpec = msgspec.field(default_factory=_EndpointSpec)


class _TierSpec(msgspec.Struct, rename="camel"):
    order: float | None = None
    default_action: Any = None


class _Tier(msgspec.Struct):
    spec: _TierSpec | None = None


_tier_decoder: Final = msgspec.json.Decoder(_Tier)
_endpoint_decoder: Final = msgspec.json.Decoder(_Endpoint)


def endpoint(value: bytes) -> Reading[Endpoint | None]:
    """Read a WorkloadEndpoint; None if it cannot be used, or has no addresses."""
    try:
        stored = _endpoint_decoder.decode(value)
        spec = stored.spec
        if not spec.ip_networks:
            return Reading(None)
        addresses = tuple(dict.fromkeys(_address(text) for text in spec.ip_networks))
        ports = tuple(named_port(port) for port in spec.ports or ())
        sources = tuple(
            parse_cidr(text, strict=False) for text in spec.allow_spoofed_source_prefixes or ()
        )
        floating = tuple(_floating(nat, addresses) for nat in spec.ip_nats or ())
        quality = _UNLIMITED if spec.qos_controls is None else traffic.quality(spec.qos_controls)
    except (*NO_JSON, ValidationError) as error:
        return Reading(None, f"{error}; it is treated as absent")
    return Reading(
        Endpoint(
            spec.node,
            spec.interface_name,
            spec.mac,
            stored.metadata.labels or {},
            tuple(spec.profiles or ()),
            Owner(addresses, ports),
            sources,
            floating,
            quality,
        )
    )


def _address(text: str) -> Cidr:
    cidr = parse_cidr(text, strict=False)
    if not cidr.is_address:
        raise ValidationError(f"spec.ipNetworks: {text!r} is more than one address")
    return cidr


def _floating(nat: IPNAT, addresses: tuple[Cidr, ...]) -> FloatingAddress:
    external, internal = parse_address(nat.external_ip), parse_address(nat.internal_ip)
    if external.version != internal.version:
        raise ValidationError(f"spec.ipNATs: {external} and {internal} are of two families")
    if internal not in addresses:
        raise ValidationError(f"spec.ipNATs: {internal} is not in spec.ipNetworks")
    return FloatingAddress(external, internal)


def named_port(port: Port) -> NamedPort:
    """Read a named port.

    Raises:
        ValidationError: its number or protocol is none.
    """
    if not 0 <= port.port <= _LAST_PORT:
        raise ValidationError(f"spec.ports: {port.port} is not within 0 to {_LAST_PORT}")
    return NamedPort(port.name, protocol_number(port.protocol), port.port)


def network_set(which: ResourceId, value: bytes) -> Reading[LabelledOwner | None]:
    """Read a NetworkSet or GlobalNetworkSet; addresses that cannot be read are left out."""
    try:
        stored = cast(
            NetworkSet | GlobalNetworkSet,
            codec.decode(value, kind=which.kind, keep_unknown=False),
        )
    except ValidationError as error:
        return Reading(None, f"{error}; it is treated as absent")
    nets: dict[Cidr, None] = {}
    problems = []
    for number, text in enumerate(stored.spec.nets):
        try:
            nets[parse_cidr(text, strict=False)] = None
        except ValidationError as error:
            problems.append(f"spec.nets[{number}]: {error}; it is left out")
    labels = dict(stored.metadata.labels)
    parents: tuple[str, ...] = ()
    if which.namespace:
        labels[NAMESPACE_LABEL] = which.namespace
        parents = (f"kns.{which.namespace}",)
    return Reading(LabelledOwner(Owner(tuple(nets)), labels, parents), "; ".join(problems))


def tier(value: bytes) -> Reading[TierPlace | None]:
    """Read a Tier; one that cannot be read is treated as missing: last, and denying at its end."""
    try:
        spec = _tier_decoder.decode(value).spec or _TierSpec()
    except NO_JSON as error:
        return Reading(None, f"{error}; it is treated as missing: last, and denying at its end")
    order = inf if spec.order is None else spec.order
    if spec.default_action in (None, "", "Deny"):
        return Reading(TierPlace(order, "Deny"))
    if spec.default_action == "Pass":
        return Reading(TierPlace(order, "Pass"))
    problem = f"spec.defaultAction: {spec.default_action!r} is unknown; the tier denies at its end"
    return Reading(TierPlace(order, "Deny"), problem)


def profile(value: bytes) -> Reading[ProfileReading]:
    """Read a Profile."""
    try:
        stored, problems = _readable(value, "Profile", _profile_head)
    except ValidationError as error:
        return Reading(ProfileReading(denying(""), {}), f"{error}; the profile denies everything")
    spec = cast(Profile, stored).spec
    definition, more = _definition("", "", spec.ingress, spec.egress)
    return Reading(ProfileReading(definition, spec.labels_to_apply), "; ".join(problems + more))


def policy(which: ResourceId, value: bytes) -> Reading[PolicyReading]:
    """Read a NetworkPolicy or GlobalNetworkPolicy."""
    try:
        decoded, problems = _readable(value, which.kind, _policy_head)
    except ValidationError as error:
        everything = parse(_everything(which))
        place = PolicyPlace(UNREADABLE_TIER, -inf, _BOTH, everything, on_forward=True)
        problem = f"{error}; the policy denies everything that it may select"
        return Reading(PolicyReading(place, denying(UNREADABLE_TIER)), problem)
    stored = cast(NetworkPolicy | GlobalNetworkPolicy, decoded)
    spec = stored.spec
    tier_name = spec.tier or DEFAULT_TIER
    definition, more = _definition(tier_name, which.namespace, spec.ingress, spec.egress)
    definition = replace(definition, everywhere=_EVERYWHERE in spec.performance_hints)
    problems += more
    named = stored.with_(metadata=stored.metadata.with_(namespace=which.namespace))
    try:
        selector = parse(rewrite.policy_selector(named))
    except SelectorSyntaxError as error:
        problems.append(f"{error}; the policy denies everything that it may select")
        selector, definition = parse(_everything(which)), denying(tier_name)
    order = inf if spec.order is None else spec.order
    place = _of_flavour(
        PolicyPlace(tier_name, order, rewrite.effective_types(stored), selector), stored
    )
    return Reading(PolicyReading(place, definition), "; ".join(problems))


def _of_flavour(place: PolicyPlace, stored: NetworkPolicy | GlobalNetworkPolicy) -> PolicyPlace:
    if not isinstance(stored, GlobalNetworkPolicy):
        return place
    spec = stored.spec
    if spec.do_not_track:
        return replace(place, flavour="untracked")
    if spec.pre_dnat:
        return replace(place, flavour="pre_dnat", types=place.types & _INGRESS)
    return replace(place, on_forward=spec.apply_on_forward)


def _everything(which: ResourceId) -> str:
    """Return the selector of all that a policy may select at most."""
    return f"{NAMESPACE_LABEL} == '{which.namespace}'" if which.namespace else "all()"


def _definition(
    tier_name: str, namespace: str, ingress: list[Rule], egress: list[Rule]
) -> tuple[Definition, list[str]]:
    into = compile_rules(ingress, namespace, "spec.ingress")
    out_of = compile_rules(egress, namespace, "spec.egress")
    return Definition(tier_name, into, out_of), into.problems + out_of.problems


def _policy_head(spec: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what tells where the policy stands; unknown types make it apply in both directions."""
    kept = {k: v for k, v in spec.items() if k not in ("ingress", "egress", "performanceHints")}
    types = kept.get("types") or []
    if isinstance(types, list) and all(known in _BOTH for known in types):
        return kept, []
    del kept["types"]
    return kept, [f"spec.types: {types!r} are not known; the policy applies in both directions"]


def _profile_head(spec: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return {"labelsToApply": spec.get("labelsToApply", {})}, []


def _readable(
    value: bytes, kind: str, head: Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]]
) -> tuple[object, list[str]]:
    """Decode a resource with rules; each rule that cannot be decoded is replaced by a deny.

    Args:
        head: returns what of the spec must be readable beside the rules, and problems with it.

    Raises:
        ValidationError: the rest cannot be read either.
    """
    try:
        return codec.decode(value, kind=kind, keep_unknown=False), []
    except ValidationError as error:
        whole = error
    try:
        spec = msgspec.json.decode(value, type=dict[str, Any])["spec"]
        kept, problems = head(spec)
    except (*NO_JSON, LookupError, AttributeError, TypeError):
        raise whole from None
    for name in ("ingress", "egress"):
        rules = spec.get(name) or []
        if not isinstance(rules, list):
            raise whole
        kept[name] = [_DENY] * len(rules)
        for number, rule in enumerate(rules):
            try:
                codec.decode({"spec": {name: [rule]}}, kind=kind, keep_unknown=False)
                kept[name][number] = rule
            except ValidationError as error:
                told = str(error).replace(f"{name}[0]", f"{name}[{number}]")
                problems.append(f"{told}; the rule denies everything")
    return codec.decode({"spec": kept}, kind=kind, keep_unknown=False), problems
