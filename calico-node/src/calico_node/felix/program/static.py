"""The chains that do not depend on any endpoint or policy, and the sets that they look at.

::

    prerouting  ── workload interface? ── anti-spoofing
    forward     ── established? accept ── from workload? policy ── to workload? policy ── to a service? end
    input       ── from workload? ICMPv6 for neighbours, policy, then the endpoint-to-host action
    postrouting ── from a pool that asks for it, to outside all pools? masquerade

Our forward chain runs before the priority of iptables' filter table, so that what the rules of
others see there has passed policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from calico_node.felix.nft.keys import KeyType, Prefix
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    RETURN,
    BaseHook,
    Bits,
    Chain,
    CtState,
    Field,
    Match,
    Named,
    NamePrefix,
    OneOf,
    Rule,
    Set,
    Statement,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
    one_of,
)
from calico_node.felix.program import hostservices, names, nat, tunnels
from calico_node.felix.program.sets import prefix_of
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.program.tunnels import Tunnels
from libcalico.net.addresses import Cidr

_ICMPV6: Final = 58
#: Listener queries and reports, router solicitation, neighbour solicitation and advertisement: without
#: these a workload cannot resolve its gateway. Source: calico-control-plane reference, section 4.4, which
#: lacks the reports of MLDv2 (143, RFC 3810) that today's kernels send; RFC 4890, section 4.4.1, lists them.
_NEIGHBOUR_TYPES: Final = (130, 131, 132, 133, 135, 136, 143)
_LINK_LOCAL: Final = Prefix(b"\xfe\x80" + bytes(14), 10)
_UNSPECIFIED: Final = bytes(16)
_SAVED_BY_TRACKING: Final = CtState.ESTABLISHED | CtState.RELATED
_OWNER: Final = "static"

_RAW: Final = BaseHook("filter", "prerouting", -300)
_FORWARD: Final = BaseHook("filter", "forward", -1)
_INPUT: Final = BaseHook("filter", "input", -1)
_POSTROUTING: Final = BaseHook("nat", "postrouting", 100)


def chains(settings: RuleSettings, in_use: Tunnels) -> list[Chain]:
    """Return the chains that depend on the configuration and the tunnels in use only."""
    return [
        _chain("raw-PREROUTING", _prerouting(settings), _RAW),
        entering(settings, in_use),
        leaving(in_use),
        _chain(names.FROM_WORKLOADS, _dispatch(Field.IIFNAME, names.FROM_WORKLOADS_MAP)),
        _chain(names.TO_WORKLOADS, _dispatch(Field.OIFNAME, names.TO_WORKLOADS_MAP)),
        _chain(names.WORKLOAD_TO_HOST, _workload_to_host(settings)),
        _chain(names.NAT_OUTGOING, nat.outgoing(settings)),
    ]


def sets() -> list[Set]:
    """Return the static sets, empty."""
    source = {4: (KeyType.IFNAME, KeyType.IPV4_ADDR), 6: (KeyType.IFNAME, KeyType.IPV6_ADDR)}
    address = {4: (KeyType.IPV4_ADDR,), 6: (KeyType.IPV6_ADDR,)}
    return [
        kept
        for version in (4, 6)
        for kept in (
            Set(names.SOURCES[version], source[version], owner=_OWNER),
            Set(names.MASQUERADE_POOLS[version], address[version], interval=True, owner=_OWNER),
            Set(names.ALL_POOLS[version], address[version], interval=True, owner=_OWNER),
            Set(names.ALL_HOSTS[version], address[version], owner=_OWNER),
        )
    ]


def maps() -> list[VerdictMap]:
    """Return the two dispatch maps, empty."""
    key = (KeyType.IFNAME,)
    return [
        VerdictMap(names.FROM_WORKLOADS_MAP, key, owner=_OWNER),
        VerdictMap(names.TO_WORKLOADS_MAP, key, owner=_OWNER),
    ]


def _chain(name: str, rules: list[Rule], hook: BaseHook | None = None) -> Chain:
    return Chain(name, tuple(rules), hook, owner=_OWNER)


def _interfaces(field: Field, settings: RuleSettings) -> Iterator[Match]:
    for prefix in settings.interface_prefixes:
        yield Match(field, NamePrefix(prefix))


def _prerouting(settings: RuleSettings) -> list[Rule]:
    return [
        Rule((match, jump(names.ANTI_SPOOFING))) for match in _interfaces(Field.IIFNAME, settings)
    ]


def anti_spoofing(
    allowed: Mapping[str, tuple[Cidr, ...]], *, serves_addresses: bool = False
) -> Chain:
    """Return the chain that drops what a workload sends from addresses that are not its own.

    Neighbour discovery also comes from link-local ones.

    Args:
        allowed: interface → further prefixes that its workload may send from.
        serves_addresses: whether workloads without an address may ask for one.
    """
    icmpv6 = Match(Field.L4PROTO, _ICMPV6)
    rules = [
        Rule((Match((Field.IIFNAME, Field.IP_SADDR), Named(names.SOURCES[4])), RETURN)),
        Rule((Match((Field.IIFNAME, Field.IP6_SADDR), Named(names.SOURCES[6])), RETURN)),
        Rule((icmpv6, Match(Field.IP6_SADDR, OneOf((_LINK_LOCAL, _UNSPECIFIED))), RETURN)),
        *(hostservices.asking_for_an_address() if serves_addresses else ()),
        *(rule for interface in sorted(allowed) for rule in _also(interface, allowed[interface])),
        Rule((DROP,), comment="source address is not the workload's"),
    ]
    return _chain(names.ANTI_SPOOFING, rules)


def _also(interface: str, prefixes: tuple[Cidr, ...]) -> Iterator[Rule]:
    for version, address in ((4, Field.IP_SADDR), (6, Field.IP6_SADDR)):
        if nets := [prefix_of(net) for net in prefixes if net.version == version]:
            matches = Match(Field.IIFNAME, interface), Match(address, one_of(nets))
            yield Rule((*matches, RETURN), comment="allowed to send from there, too")


def forwarding(settings: RuleSettings, *, ends_service_loops: bool) -> Chain:
    """Return the chain of what is forwarded, which may end with what is for services."""
    services = [Rule((jump(names.SERVICE_LOOPS),))] if ends_service_loops else []
    return _chain("filter-FORWARD", [*_forward(settings), *services], _FORWARD)


def _forward(settings: RuleSettings) -> list[Rule]:
    rules = [Rule((Bits(Field.CT_STATE, _SAVED_BY_TRACKING), ACCEPT))]
    for field in (Field.IIFNAME, Field.OIFNAME):
        if settings.drop_invalid:
            rules += [Rule((match, *_invalid())) for match in _interfaces(field, settings)]
    for field, chain in (
        (Field.IIFNAME, names.FROM_WORKLOADS),
        (Field.OIFNAME, names.TO_WORKLOADS),
    ):
        rules += [Rule((match, jump(chain))) for match in _interfaces(field, settings)]
    return rules


def _invalid() -> tuple[Statement, ...]:
    return Bits(Field.CT_STATE, CtState.INVALID), DROP


def _dispatch(field: Field, map_name: str) -> list[Rule]:
    return [
        Rule((VerdictLookup(field, map_name),)),
        Rule((DROP,), comment="unknown workload interface"),
    ]


def entering(settings: RuleSettings, in_use: Tunnels) -> Chain:
    """Return the chain of what is for the host itself."""
    workloads = [
        Rule((match, goto(names.WORKLOAD_TO_HOST)))
        for match in _interfaces(Field.IIFNAME, settings)
    ]
    return _chain("filter-INPUT", [*tunnels.strangers(in_use, settings), *workloads], _INPUT)


def leaving(in_use: Tunnels) -> Chain:
    """Return the chain of what gets another source when it leaves."""
    outgoing = Rule((jump(names.NAT_OUTGOING),))
    return _chain("nat-POSTROUTING", [outgoing, *tunnels.leaving(in_use)], _POSTROUTING)


def _workload_to_host(settings: RuleSettings) -> list[Rule]:
    neighbours = Match(Field.ICMPV6_TYPE, OneOf(_NEIGHBOUR_TYPES))
    rules = [
        Rule((Bits(Field.CT_STATE, _SAVED_BY_TRACKING), ACCEPT)),
        Rule((neighbours, ACCEPT), comment="neighbour discovery"),
    ]
    if settings.drop_invalid:
        rules.append(Rule(_invalid()))
    if settings.serves_addresses:
        rules += hostservices.allowed()
    rules.append(Rule((jump(names.FROM_WORKLOADS),)))
    verdict = {"Drop": DROP, "Return": RETURN, "Accept": ACCEPT}[settings.endpoint_to_host]
    rules.append(Rule((verdict,), comment="endpoint to host action"))
    return rules
