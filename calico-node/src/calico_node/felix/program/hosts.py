"""Host endpoints in nftables: base chains of their own, which exist only while a host endpoint does.

::

    raw prerouting, output       untracked policy; both directions are asked
    mangle prerouting            policy before destination NAT
    filter input, output         policy of the host's own traffic, and the failsafe ports
    filter forward               policy of forwarded traffic: of where it arrives, of where it leaves
    mangle postrouting           as output, for what destination NAT sends another way

At each place a verdict map leads from the interface to the chain of its endpoint's class. What an early
place allows carries the accept bit to the later ones. They run before the chains of workloads, which
clear that bit. Source: calico-dataplane reference, sections 2.4, 2.5, 2.9 and 2.10; why the base chains
are not those of workloads: docs/adr.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from calico_node.felix.messages import Direction, EndpointPolicies, HostPolicies, TierPolicies
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    RETURN,
    BaseHook,
    Bits,
    Chain,
    CtState,
    CtStatus,
    Field,
    Masked,
    Match,
    NamePrefix,
    NoTrack,
    OneOf,
    Rule,
    SetMark,
    Statement,
    VerdictLookup,
    goto,
    jump,
    one_of,
)
from calico_node.felix.program import classes, names, tunnels
from calico_node.felix.program.rules import deny
from calico_node.felix.program.sets import prefix_of
from calico_node.felix.program.settings import FailsafePort, RuleSettings
from calico_node.felix.program.tunnels import Tunnels
from libcalico.net.addresses import Cidr

Hook = Literal["prerouting", "input", "forward", "output", "postrouting"]
_LOOPBACK: Final = "lo"
#: Multicast listeners, and router and neighbour discovery: without these a host has no IPv6.
NEIGHBOUR_TYPES: Final = (*range(130, 137), 143)
_OWNER: Final = "host-endpoints"
_SAVED_BY_TRACKING: Final = Rule(
    (Bits(Field.CT_STATE, CtState.ESTABLISHED | CtState.RELATED), ACCEPT)
)
_ADDRESS: Final = {
    ("ingress", 4): Field.IP_SADDR,
    ("ingress", 6): Field.IP6_SADDR,
    ("egress", 4): Field.IP_DADDR,
    ("egress", 6): Field.IP6_DADDR,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where packets meet the policies of host endpoints of one flavour, in one direction."""

    flavour: Literal["normal", "forward", "pre_dnat", "untracked"]
    direction: Direction
    map: str
    class_prefix: str

    @property
    def dispatch(self) -> str:
        """The chain that leads to the class of the packet's interface."""
        return f"{self.map}-dispatch"

    @property
    def failsafe(self) -> str:
        """The chain of the ports that are always open, empty for none."""
        if self.flavour == "forward":
            return ""
        chains = names.FAILSAFE_RAW if self.flavour == "untracked" else names.FAILSAFE
        return chains[self.direction]


FROM_RAW: Final = Place("untracked", "ingress", "cali-from-hep-raw", "cali-fhraw-")
TO_RAW: Final = Place("untracked", "egress", "cali-to-hep-raw", "cali-thraw-")
FROM_MANGLE: Final = Place("pre_dnat", "ingress", "cali-from-hep-mangle", "cali-fhmangle-")
FROM_FORWARD: Final = Place("forward", "ingress", "cali-from-hep-forward", "cali-fhfw-")
TO_FORWARD: Final = Place("forward", "egress", "cali-to-hep-forward", "cali-thfw-")
FROM: Final = Place("normal", "ingress", "cali-from-hep", "cali-fh-")
TO: Final = Place("normal", "egress", "cali-to-hep", "cali-th-")
PLACES: Final = (FROM_RAW, TO_RAW, FROM_MANGLE, FROM_FORWARD, TO_FORWARD, FROM, TO)


def policies_at(
    place: Place, host: HostPolicies, settings: RuleSettings
) -> EndpointPolicies | None:
    """Return what is asked at a place, None for nothing.

    Normal policy is always asked. So is that of forwarded traffic, of which nothing is allowed that belongs
    to no connection and begins none, unless that is turned off.
    """
    if place.flavour == "normal":
        return host.normal
    by_flavour = {
        "forward": host.forward,
        "pre_dnat": host.pre_dnat,
        "untracked": host.untracked,
    }
    tiers = tuple(t for t in by_flavour[place.flavour] if _asked(t, place.direction))
    is_checked = place.flavour == "forward" and settings.drop_invalid
    return EndpointPolicies(tiers, ()) if tiers or is_checked else None


def _asked(tier: TierPolicies, direction: Direction) -> bool:
    return bool(tier.ingress if direction == "ingress" else tier.egress)


def class_name(place: Place, policies: EndpointPolicies) -> str:
    """Return the chain of all host endpoints with these policies at a place."""
    return f"{place.class_prefix}{classes.class_id(policies)}"


def render(place: Place, policies: EndpointPolicies, settings: RuleSettings) -> Chain:
    """Return the chain that a class's packets go through at a place."""
    rules = []
    if place.flavour in ("normal", "forward") and settings.drop_invalid:
        rules.append(Rule((Bits(Field.CT_STATE, CtState.INVALID), DROP)))
    if place.failsafe:
        rules.append(Rule((jump(place.failsafe),)))
    if policies.tiers or place.flavour == "normal":
        rules.append(Rule((SetMark(settings.marks.both, 0),)))
        rules += _policies(place, policies, settings)
    name = class_name(place, policies)
    return Chain(name, tuple(rules), owner=name)


def _policies(place: Place, policies: EndpointPolicies, settings: RuleSettings) -> list[Rule]:
    # Early hooks are to be silent, and postrouting cannot reject; what sends finds out at once anyway.
    can_reject = place in (FROM, FROM_FORWARD, TO_FORWARD)
    denied = deny(settings) if can_reject else DROP
    if place.flavour == "normal":
        return classes.body(policies, place.direction, settings, denied)
    allowed = (NoTrack(), RETURN) if place.flavour == "untracked" else (RETURN,)
    is_early = place.flavour != "forward"
    return [
        rule
        for tier in policies.tiers
        for rule in classes.tier_rules(
            tier, place.direction, settings, denied, allowed=allowed, is_early=is_early
        )
    ]


def dispatch(place: Place, of_all: EndpointPolicies | None) -> Chain:
    """Return the chain that leads to classes; ``of_all``: policies of interfaces that have no endpoint."""
    field = Field.IIFNAME if place.direction == "ingress" else Field.OIFNAME
    rules = [Rule((VerdictLookup(field, place.map),))]
    if of_all is not None:
        rules.append(Rule((Match(field, _LOOPBACK), RETURN)))
        rules.append(Rule((goto(class_name(place, of_all)),), comment="all other interfaces"))
    return _chain(place.dispatch, rules)


def failsafes(settings: RuleSettings) -> list[Chain]:
    """Return the chains of the ports that policy never closes.

    Before connection tracking answers are to be let through, too.
    """
    inbound, outbound = settings.failsafe_inbound, settings.failsafe_outbound
    into = [*_neighbours(), *_open(inbound, Field.DPORT, "ingress")]
    out_of = [*_neighbours(), *_open(outbound, Field.DPORT, "egress")]
    return [
        _chain(names.FAILSAFE["ingress"], into),
        _chain(names.FAILSAFE["egress"], out_of),
        _chain(names.FAILSAFE_RAW["ingress"], [*into, *_open(outbound, Field.SPORT, "ingress")]),
        _chain(names.FAILSAFE_RAW["egress"], [*out_of, *_open(inbound, Field.SPORT, "egress")]),
    ]


def _neighbours() -> Iterator[Rule]:
    discovery = Match(Field.ICMPV6_TYPE, OneOf(NEIGHBOUR_TYPES))
    yield Rule((discovery, ACCEPT), comment="neighbour discovery")


def _open(ports: Iterable[FailsafePort], field: Field, direction: Direction) -> Iterator[Rule]:
    def where(port: FailsafePort) -> tuple[int, bool, Cidr]:
        return port.protocol, port.net is not None, port.net or Cidr(4, 0, 0)

    for (protocol, is_limited, net), alike in groupby(sorted(ports, key=where), key=where):
        far: list[Statement] = []
        if is_limited:
            far.append(Match(_ADDRESS[direction, net.version], prefix_of(net)))
        numbers = one_of(sorted({port.port for port in alike}))
        yield Rule((*far, Match(Field.L4PROTO, protocol), Match(field, numbers), ACCEPT))


def base_chains(
    places: Collection[Place], settings: RuleSettings, in_use: Tunnels
) -> Iterator[Chain]:
    """Yield the chains that the kernel calls.

    Args:
        places: where there is something to ask.
    """
    clear = Rule((SetMark(settings.marks.both, 0),))
    yield _base("raw-PREROUTING", "prerouting", -301, [clear, *_ask(FROM_RAW, places)])
    yield _base("raw-OUTPUT", "output", -300, [clear, *_ask(TO_RAW, places)])
    if FROM_MANGLE in places:
        rules = [_SAVED_BY_TRACKING, _approved(settings), *_ask(FROM_MANGLE, places)]
        yield _base("mangle-PREROUTING", "prerouting", -150, rules)
    yield _base("filter-INPUT", "input", -2, _input(places, settings, in_use))
    yield _base("filter-FORWARD", "forward", -2, _forward(places, settings))
    yield _base("filter-OUTPUT", "output", -2, _output(places, settings, in_use))
    yield _base("mangle-POSTROUTING", "postrouting", -150, _postrouting(places, settings))


def _input(places: Collection[Place], settings: RuleSettings, in_use: Tunnels) -> list[Rule]:
    return [
        *_workloads(Field.IIFNAME, settings),
        _approved(settings),
        _SAVED_BY_TRACKING,
        *_of_hosts(in_use, "ingress", settings),
        *_ask(FROM, places),
    ]


def _forward(places: Collection[Place], settings: RuleSettings) -> list[Rule]:
    """What was sent elsewhere by NAT leaves with the accept bit, for postrouting to tell it by."""
    accept = settings.marks.accept
    return [
        _SAVED_BY_TRACKING,
        *(
            Rule((Masked(Field.MARK, accept, 0), *rule.statements))
            for rule in _ask(FROM_FORWARD, places)
        ),
        *_ask(TO_FORWARD, places),
        Rule((Bits(Field.CT_STATUS, CtStatus.DNAT), SetMark(accept, accept))),
    ]


def _output(places: Collection[Place], settings: RuleSettings, in_use: Tunnels) -> list[Rule]:
    elsewhere = Bits(Field.CT_STATUS, CtStatus.DNAT)
    return [
        _approved(settings),
        *_workloads(Field.OIFNAME, settings),
        _SAVED_BY_TRACKING,
        Rule((elsewhere, ACCEPT), comment="its interface is known after routing only"),
        *_of_hosts(in_use, "egress", settings),
        *_ask(TO, places),
    ]


def _postrouting(places: Collection[Place], settings: RuleSettings) -> list[Rule]:
    elsewhere = Bits(Field.CT_STATUS, CtStatus.DNAT)
    return [
        _SAVED_BY_TRACKING,
        _approved(settings),
        *_workloads(Field.OIFNAME, settings),
        *(Rule((elsewhere, *rule.statements)) for rule in _ask(TO, places)),
    ]


def _ask(place: Place, places: Collection[Place]) -> Iterator[Rule]:
    if place in places:
        yield Rule((jump(place.dispatch),))


def _approved(settings: RuleSettings) -> Rule:
    accept = settings.marks.accept
    return Rule((Masked(Field.MARK, accept, accept), ACCEPT), comment="allowed before")


def _workloads(field: Field, settings: RuleSettings) -> Iterator[Rule]:
    """Traffic between the host and its workloads is not for host endpoints."""
    for prefix in settings.interface_prefixes:
        yield Rule((Match(field, NamePrefix(prefix)), ACCEPT))


def _of_hosts(in_use: Tunnels, direction: Direction, settings: RuleSettings) -> Iterator[Rule]:
    """The cluster's own tunnels are open between its hosts."""
    far = {version: _ADDRESS[direction, version] for version in (4, 6)}
    near = Field.FIB_DADDR_TYPE if direction == "ingress" else Field.FIB_SADDR_TYPE
    return tunnels.of_hosts(in_use, far, near, settings, ACCEPT)


def _base(name: str, hook: Hook, priority: int, rules: Iterable[Rule]) -> Chain:
    return _chain(f"host-{name}", rules, BaseHook("filter", hook, priority))


def _chain(name: str, rules: Iterable[Rule], hook: BaseHook | None = None) -> Chain:
    return Chain(name, tuple(rules), hook, owner=_OWNER)
