"""Limits of packets and connections, and marks, of single endpoints.

::

    before policy ── endpoint with a packet rate? drop what is beyond it, also of old connections
                  ── to outside all pools and hosts, from an endpoint with a code point? write it
    after policy  ── endpoint with a limit of connections? refuse those beyond it

The chains of a limit hold nothing that changes with policy: rewriting one would forget what it counted.
Nothing of this is in the path of packets while no endpoint asks for it.

Source: calico-dataplane reference, sections 2.4 and 2.5.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from calico_node.felix.messages import Direction, Limits, LocalEndpoint, Quality
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    BaseHook,
    Chain,
    ConnLimit,
    Field,
    Limit,
    Match,
    Named,
    NfProto,
    OneOf,
    Reject,
    RejectWith,
    Rule,
    SetDscp,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
)
from calico_node.felix.program import names
from calico_node.felix.program.hosts import NEIGHBOUR_TYPES
from calico_node.felix.program.pending import Pending

_OWNER: Final = "static"
_TCP: Final = 6
_DIRECTIONS: Final[tuple[Direction, Direction]] = ("ingress", "egress")
_NOTHING: Final = Quality()
_RATE_MAPS: Final = {"egress": names.RATE_FROM_MAP, "ingress": names.RATE_TO_MAP}
_RATES: Final = {
    names.RATE_FROM_MAP: Rule((VerdictLookup(Field.IIFNAME, names.RATE_FROM_MAP),)),
    names.RATE_TO_MAP: Rule((VerdictLookup(Field.OIFNAME, names.RATE_TO_MAP),)),
}
#: Without neighbours a workload could not even use what the rate leaves it.
_DISCOVERY: Final = Rule(
    (Match(Field.ICMPV6_TYPE, OneOf(NEIGHBOUR_TYPES)), ACCEPT), comment="neighbour discovery"
)
#: Before policy accepts what belongs to known connections.
_FORWARD: Final = BaseHook("filter", "forward", -2)
_INPUT: Final = BaseHook("filter", "input", -2)


def maps() -> list[VerdictMap]:
    """Return the maps from interfaces to rate limits and to code points, empty."""
    kept = names.RATE_FROM_MAP, names.RATE_TO_MAP, names.DSCP_MAP
    return [VerdictMap(name, (KeyType.IFNAME,), owner=_OWNER) for name in kept]


class QualityOfService:
    """Keeps the chains and elements that local endpoints' limits and marks need."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._by_interface: dict[str, Quality] = {}
        self._uses: Counter[str] = Counter()

    def put(self, interface: str, endpoint: LocalEndpoint | None) -> None:
        """The endpoint behind an interface is now this one; None: there is none."""
        new = _NOTHING if endpoint is None else endpoint.quality
        old = self._by_interface.pop(interface, _NOTHING)
        if new != _NOTHING:
            self._by_interface[interface] = new
        for direction in _DIRECTIONS:
            before, after = old.limits(direction), new.limits(direction)
            self._limit_rate(interface, direction, before, after)
            self._limit_connections(interface, direction, before, after)
        self._mark(interface, old.dscp, new.dscp)
        self._uses = +self._uses
        self._write_shared()

    def entry(self, interface: str, direction: Direction, class_chain: str) -> str:
        """Return the chain that packets of an endpoint enter, given that of its policy.

        With a limit of connections it is a chain of its own, in which both follow each other.
        """
        name = names.limited_chain(interface, direction)
        limits = self._by_interface.get(interface, _NOTHING).limits(direction)
        if not limits.connections:
            self._pending.drop_chain(name)
            return class_chain
        count = names.connections_chain(interface, direction)
        rules = Rule((jump(class_chain),)), Rule((jump(count),))
        self._pending.put_chain(Chain(name, rules, owner=name))
        return name

    def leave(self, interface: str) -> None:
        """No packet enters an endpoint's own chains any more."""
        for direction in _DIRECTIONS:
            self._pending.drop_chain(names.limited_chain(interface, direction))

    def _limit_rate(self, interface: str, direction: Direction, old: Limits, new: Limits) -> None:
        self._uses[_RATE_MAPS[direction]] += bool(new.packet_rate) - bool(old.packet_rate)
        name = names.rate_chain(interface, direction)
        key = KeyType.IFNAME.pack(interface)
        verdict = jump(name) if new.packet_rate else None
        if verdict is not None:
            self._pending.put_chain(Chain(name, (_rate(new),), owner=name))
        self._pending.put_verdict(_RATE_MAPS[direction], key, verdict)
        if verdict is None:
            self._pending.drop_chain(name)

    def _limit_connections(
        self, interface: str, direction: Direction, old: Limits, new: Limits
    ) -> None:
        self._uses[names.TOO_MANY] += bool(new.connections) - bool(old.connections)
        name = names.connections_chain(interface, direction)
        if not new.connections:
            self._pending.drop_chain(name)
            return
        refuse = Rule((ConnLimit(new.connections, over=True), goto(names.TOO_MANY)))
        self._pending.put_chain(Chain(name, (refuse,), owner=name))

    def _mark(self, interface: str, old: int | None, new: int | None) -> None:
        for dscp, change in ((old, -1), (new, 1)):
            if dscp is not None:
                chain = _marking(dscp)
                self._uses[names.DSCP_MAP] += change
                self._uses[chain.name] += change
                self._put_or_drop(chain, self._uses[chain.name] > 0)
        verdict = None if new is None else jump(names.dscp_chain(new))
        self._pending.put_verdict(names.DSCP_MAP, KeyType.IFNAME.pack(interface), verdict)

    def _write_shared(self) -> None:
        rates = [rule for name, rule in _RATES.items() if self._uses[name]]
        incoming = (_DISCOVERY, _RATES[names.RATE_FROM_MAP])
        has_incoming = self._uses[names.RATE_FROM_MAP] > 0
        marks = _marks() if self._uses[names.DSCP_MAP] else ()
        self._put_or_drop(_base("qos-FORWARD", _FORWARD, (*rates, *marks)), bool(rates or marks))
        self._put_or_drop(_base("qos-INPUT", _INPUT, incoming), has_incoming)
        self._put_or_drop(_too_many(), self._uses[names.TOO_MANY] > 0)

    def _put_or_drop(self, chain: Chain, is_wanted: bool) -> None:
        if is_wanted:
            self._pending.put_chain(chain)
        else:
            self._pending.drop_chain(chain.name)


def _rate(limits: Limits) -> Rule:
    default = Limit(limits.packet_rate)
    burst = limits.packet_burst or default.burst
    return Rule((Limit(limits.packet_rate, "second", burst, over=True), DROP))


def _base(name: str, hook: BaseHook, rules: tuple[Rule, ...]) -> Chain:
    return Chain(name, rules, hook, owner=_OWNER)


def _too_many() -> Chain:
    reset = Rule((Match(Field.L4PROTO, _TCP), Reject(RejectWith.TCP_RESET)))
    return Chain(names.TOO_MANY, (reset, Rule((DROP,))), owner=_OWNER)


def _marks() -> tuple[Rule, ...]:
    """Return the rules that mark what leaves the cluster, of each family."""
    return tuple(
        Rule(
            (
                Match(destination, Named(names.ALL_POOLS[version]), negate=True),
                Match(destination, Named(names.ALL_HOSTS[version]), negate=True),
                VerdictLookup(Field.IIFNAME, names.DSCP_MAP),
            )
        )
        for version, destination in ((4, Field.IP_DADDR), (6, Field.IP6_DADDR))
    )


def _marking(dscp: int) -> Chain:
    rules = (Rule((SetDscp(NfProto.IPV4, dscp),)), Rule((SetDscp(NfProto.IPV6, dscp),)))
    return Chain(names.dscp_chain(dscp), rules, owner=_OWNER)
