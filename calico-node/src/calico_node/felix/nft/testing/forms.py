"""Every form a rule can take, with its text; and a table that holds them all.

Unit tests hold the text to it; functional tests load both text and bytes into the kernel and
compare. A new kind of statement or field gets its line here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from calico_node.felix.nft.keys import KeyType, Prefix, Range, interval_of, pack
from calico_node.felix.nft.model import (
    ACCEPT,
    CONTINUE,
    DROP,
    RETURN,
    AddressType,
    BaseHook,
    Bits,
    Chain,
    ConnLimit,
    Counter,
    CtDirection,
    CtState,
    CtStatus,
    Field,
    Limit,
    Log,
    Masked,
    Masquerade,
    Match,
    Named,
    NamePrefix,
    Nat,
    NfProto,
    NoTrack,
    OneOf,
    Reject,
    RejectWith,
    Route,
    Rule,
    Set,
    SetDscp,
    SetMark,
    Statement,
    Table,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
    table,
)


def address(text: str) -> bytes:
    """Return the packed bytes of an IPv4 or IPv6 address."""
    return ipaddress.ip_address(text).packed


def prefix(text: str) -> Prefix:
    """Return the prefix of CIDR text."""
    network = ipaddress.ip_network(text)
    return Prefix(network.network_address.packed, network.prefixlen)


FILTER: Final = BaseHook("filter", "forward", -10, "drop")
RAW: Final = BaseHook("filter", "prerouting", -300)
NAT_OUT: Final = BaseHook("nat", "postrouting", 110)
NAT_IN: Final = BaseHook("nat", "prerouting", -100)
OUTPUT: Final = BaseHook("filter", "output", 0)


@dataclass(frozen=True, slots=True)
class Form:
    """A rule, its text, and the hook of a chain in which it may stand."""

    text: str
    rule: Rule
    hook: BaseHook


def _form(text: str, *statements: Statement, hook: BaseHook = FILTER, comment: str = "") -> Form:
    return Form(text, Rule(statements, comment), hook)


_TCP: Final = Match(Field.L4PROTO, 6)
_UDP: Final = Match(Field.L4PROTO, 17)
_ICMPV6_PAIR: Final = (Field.ICMPV6_TYPE, Field.ICMPV6_CODE)
_ADDRESS_AND_PORT: Final = (Field.IP_DADDR, Field.L4PROTO, Field.DPORT)
_ADDRESS_AND_PORT6: Final = (Field.IP6_DADDR, Field.L4PROTO, Field.DPORT)

INTERFACES: Final = (
    _form('iifname "eth0" accept', Match(Field.IIFNAME, "eth0"), ACCEPT),
    _form('oifname != "eth0" drop', Match(Field.OIFNAME, "eth0", negate=True), DROP),
    _form('iifname "cali*" return', Match(Field.IIFNAME, NamePrefix("cali")), RETURN),
    _form(
        'oifname != "cali*" continue',
        Match(Field.OIFNAME, NamePrefix("cali"), negate=True),
        CONTINUE,
    ),
    _form('iifname { "cali1", "tap2" }', Match(Field.IIFNAME, OneOf(("tap2", "cali1")))),
    _form(
        "iifname @interfaces goto other", Match(Field.IIFNAME, Named("interfaces")), goto("other")
    ),
    _form("ip saddr vmap @addresses", VerdictLookup(Field.IP_SADDR, "addresses")),
    _form("iifname vmap @dispatch", VerdictLookup(Field.IIFNAME, "dispatch")),
    _form("oifname vmap @dispatch", VerdictLookup(Field.OIFNAME, "dispatch")),
    _form(
        "iifname . ip saddr @sources accept",
        Match((Field.IIFNAME, Field.IP_SADDR), Named("sources")),
        ACCEPT,
    ),
    _form(
        "iifname . ip6 saddr != @sources6 drop",
        Match((Field.IIFNAME, Field.IP6_SADDR), Named("sources6"), negate=True),
        DROP,
    ),
)

ADDRESSES: Final = (
    _form("ip saddr 10.1.2.3 accept", Match(Field.IP_SADDR, address("10.1.2.3")), ACCEPT),
    _form(
        "ip daddr != 10.1.2.3 drop", Match(Field.IP_DADDR, address("10.1.2.3"), negate=True), DROP
    ),
    _form("ip saddr 10.0.0.0/8", Match(Field.IP_SADDR, prefix("10.0.0.0/8"))),
    _form("ip saddr != 10.8.0.0/13", Match(Field.IP_SADDR, prefix("10.8.0.0/13"), negate=True)),
    _form("ip daddr 10.1.2.3/32", Match(Field.IP_DADDR, prefix("10.1.2.3/32"))),
    _form("ip daddr 0.0.0.0/0", Match(Field.IP_DADDR, prefix("0.0.0.0/0"))),
    _form(
        "ip daddr 10.0.0.5-10.0.0.9",
        Match(Field.IP_DADDR, Range(address("10.0.0.5"), address("10.0.0.9"))),
    ),
    _form(
        "ip daddr != 10.0.0.5-10.0.0.9",
        Match(Field.IP_DADDR, Range(address("10.0.0.5"), address("10.0.0.9")), negate=True),
    ),
    _form(
        "ip saddr { 1.1.1.1, 2.2.2.2 }",
        Match(Field.IP_SADDR, OneOf((address("2.2.2.2"), address("1.1.1.1")))),
    ),
    _form(
        "ip saddr != { 10.0.0.0/8, 11.1.1.1, 12.0.0.1-12.0.0.5, 255.0.0.0/8 }",
        Match(
            Field.IP_SADDR,
            OneOf(
                (
                    prefix("10.0.0.0/8"),
                    address("11.1.1.1"),
                    Range(address("12.0.0.1"), address("12.0.0.5")),
                    prefix("255.0.0.0/8"),
                )
            ),
            negate=True,
        ),
    ),
    _form("ip saddr @hosts", Match(Field.IP_SADDR, Named("hosts"))),
    _form("ip daddr != @nets", Match(Field.IP_DADDR, Named("nets"), negate=True)),
    _form("ip6 saddr fd00::1", Match(Field.IP6_SADDR, address("fd00::1"))),
    _form("ip6 daddr fd00::/64", Match(Field.IP6_DADDR, prefix("fd00::/64"))),
    _form("ip6 daddr != fd00::/61", Match(Field.IP6_DADDR, prefix("fd00::/61"), negate=True)),
    _form(
        "ip6 saddr { fd00::/64, fd01::1 }",
        Match(Field.IP6_SADDR, OneOf((prefix("fd00::/64"), address("fd01::1")))),
    ),
    _form("ip6 saddr @hosts6 accept", Match(Field.IP6_SADDR, Named("hosts6")), ACCEPT),
    _form("ip6 daddr @nets6 accept", Match(Field.IP6_DADDR, Named("nets6")), ACCEPT),
)

PROTOCOLS: Final = (
    _form("meta nfproto ipv4 accept", Match(Field.NFPROTO, NfProto.IPV4), ACCEPT),
    _form("meta nfproto ipv6 accept", Match(Field.NFPROTO, NfProto.IPV6), ACCEPT),
    _form("meta l4proto tcp accept", _TCP, ACCEPT),
    _form("meta l4proto != tcp accept", Match(Field.L4PROTO, 6, negate=True), ACCEPT),
    _form("meta l4proto 99 accept", Match(Field.L4PROTO, 99), ACCEPT),
    _form("meta l4proto { tcp, udp }", Match(Field.L4PROTO, OneOf((17, 6)))),
    _form("meta l4proto tcp th dport 80 accept", _TCP, Match(Field.DPORT, 80), ACCEPT),
    _form(
        "meta l4proto udp th sport != 1000-2000 accept",
        _UDP,
        Match(Field.SPORT, Range(1000, 2000), negate=True),
        ACCEPT,
    ),
    _form(
        "meta l4proto tcp th dport { 1000-2000, 443, 80 } accept",
        _TCP,
        Match(Field.DPORT, OneOf((80, 443, Range(1000, 2000)))),
        ACCEPT,
    ),
    _form(
        "meta l4proto sctp th dport != { 443, 80 } accept",
        Match(Field.L4PROTO, 132),
        Match(Field.DPORT, OneOf((80, 443)), negate=True),
        ACCEPT,
    ),
    _form("meta l4proto tcp th dport @ports", _TCP, Match(Field.DPORT, Named("ports"))),
    _form(
        "ip saddr @hosts meta l4proto tcp th dport 80 accept",
        Match(Field.IP_SADDR, Named("hosts")),
        _TCP,
        Match(Field.DPORT, 80),
        ACCEPT,
    ),
    _form(
        "ip daddr . meta l4proto . th dport @services accept",
        Match(_ADDRESS_AND_PORT, Named("services")),
        ACCEPT,
    ),
    _form(
        "ip6 daddr . meta l4proto . th dport @services6 accept",
        Match(_ADDRESS_AND_PORT6, Named("services6")),
        ACCEPT,
    ),
    _form("icmp type 8 accept", Match(Field.ICMP_TYPE, 8), ACCEPT),
    _form("icmp type 3 icmp code 4", Match(Field.ICMP_TYPE, 3), Match(Field.ICMP_CODE, 4)),
    _form("icmp type != 8", Match(Field.ICMP_TYPE, 8, negate=True)),
    _form(
        "icmp type . icmp code != { 3 . 4 }",
        Match((Field.ICMP_TYPE, Field.ICMP_CODE), OneOf(((3, 4),)), negate=True),
    ),
    _form("icmpv6 type { 133, 135, 136 }", Match(Field.ICMPV6_TYPE, OneOf((133, 135, 136)))),
    _form(
        "icmpv6 type . icmpv6 code != { 1 . 4 }", Match(_ICMPV6_PAIR, OneOf(((1, 4),)), negate=True)
    ),
)

STATES: Final = (
    _form(
        "meta mark & 0x00010000 == 0x00010000 accept", Masked(Field.MARK, 0x10000, 0x10000), ACCEPT
    ),
    _form(
        "meta mark & 0x00030000 != 0x00010000 accept",
        Masked(Field.MARK, 0x30000, 0x10000, negate=True),
        ACCEPT,
    ),
    _form("meta mark 0x0000002a accept", Match(Field.MARK, 42), ACCEPT),
    _form("meta mark set meta mark & 0xfffcffff | 0x00010000", SetMark(0x30000, 0x10000)),
    _form(
        "ct state established,related accept",
        Bits(Field.CT_STATE, CtState.ESTABLISHED | CtState.RELATED),
        ACCEPT,
    ),
    _form("ct state invalid drop", Bits(Field.CT_STATE, CtState.INVALID), DROP),
    _form("ct state ! new accept", Bits(Field.CT_STATE, CtState.NEW, negate=True), ACCEPT),
    _form("ct status dnat accept", Bits(Field.CT_STATUS, CtStatus.DNAT), ACCEPT),
    _form("ct status ! dnat accept", Bits(Field.CT_STATUS, CtStatus.DNAT, negate=True), ACCEPT),
    _form("ct direction original", Match(Field.CT_DIRECTION, CtDirection.ORIGINAL)),
    _form(
        "fib saddr . iif oif missing drop",
        Match(Field.FIB_SADDR_IIF, Route.MISSING),
        DROP,
        hook=RAW,
    ),
    _form(
        "fib saddr . mark . iif oif missing drop",
        Match(Field.FIB_SADDR_MARK_IIF, Route.MISSING),
        DROP,
        hook=RAW,
    ),
    _form("fib daddr type local accept", Match(Field.FIB_DADDR_TYPE, AddressType.LOCAL), ACCEPT),
    _form("fib saddr type != local", Match(Field.FIB_SADDR_TYPE, AddressType.LOCAL, negate=True)),
    _form(
        "fib saddr . oif type local",
        Match(Field.FIB_SADDR_OIF_TYPE, AddressType.LOCAL),
        hook=OUTPUT,
    ),
)

ACTIONS: Final = (
    _form("jump other", jump("other")),
    _form("goto other", goto("other")),
    _form('accept comment "for people"', ACCEPT, comment="for people"),
    _form("counter", Counter()),
    _form("limit rate 10/second burst 7 packets", Limit(10, burst=7)),
    _form("limit rate over 10/minute burst 5 packets drop", Limit(10, "minute", over=True), DROP),
    _form("ct count over 5 reject with tcp reset", ConnLimit(5), Reject(RejectWith.TCP_RESET)),
    _form("ct count over 5 goto other", ConnLimit(5), goto("other")),
    _form("ct count 5 accept", ConnLimit(5, over=False), ACCEPT),
    _form('log prefix "calico-drop: "', Log("calico-drop: ")),
    _form('log prefix "DPI0|default.deny" group 1', Log("DPI0|default.deny", 1)),
    _form('log prefix "DPI0|default.deny" group 2 snaplen 80', Log("DPI0|default.deny", 2, 80)),
    _form("reject with icmpx port-unreachable", Reject()),
    _form("reject with icmpx admin-prohibited", Reject(RejectWith.ADMIN_PROHIBITED)),
    _form("reject with icmpx no-route", Reject(RejectWith.NO_ROUTE)),
    _form("reject with icmpx host-unreachable", Reject(RejectWith.HOST_UNREACHABLE)),
    _form("meta l4proto tcp reject with tcp reset", _TCP, Reject(RejectWith.TCP_RESET)),
    _form("ip dscp set 10", SetDscp(NfProto.IPV4, 10)),
    _form("ip6 dscp set 46", SetDscp(NfProto.IPV6, 46)),
    _form("notrack", NoTrack(), hook=RAW),
    _form("masquerade", Masquerade(), hook=NAT_OUT),
    _form("masquerade fully-random", Masquerade(fully_random=True), hook=NAT_OUT),
    _form(
        "meta l4proto tcp masquerade to :1000-2000 fully-random",
        _TCP,
        Masquerade(Range(1000, 2000), fully_random=True),
        hook=NAT_OUT,
    ),
    _form("snat ip to 10.1.2.3", Nat("snat", address("10.1.2.3")), hook=NAT_OUT),
    _form(
        "meta l4proto tcp snat ip to 10.1.2.3:1000-2000",
        _TCP,
        Nat("snat", address("10.1.2.3"), Range(1000, 2000)),
        hook=NAT_OUT,
    ),
    _form(
        "snat ip to 10.1.2.3 fully-random",
        Nat("snat", address("10.1.2.3"), fully_random=True),
        hook=NAT_OUT,
    ),
    _form(
        "meta l4proto udp snat ip6 to [fd00::1]:1000-2000 fully-random",
        _UDP,
        Nat("snat", address("fd00::1"), Range(1000, 2000), fully_random=True),
        hook=NAT_OUT,
    ),
    _form("snat ip6 to fd00::1", Nat("snat", address("fd00::1")), hook=NAT_OUT),
    _form("dnat ip to 10.1.2.3", Nat("dnat", address("10.1.2.3")), hook=NAT_IN),
    _form(
        "meta l4proto tcp dnat ip to 10.1.2.3:80",
        _TCP,
        Nat("dnat", address("10.1.2.3"), 80),
        hook=NAT_IN,
    ),
    _form(
        "meta l4proto udp dnat ip6 to [fd00::1]:53",
        _UDP,
        Nat("dnat", address("fd00::1"), 53),
        hook=NAT_IN,
    ),
)

RULE_FORMS: Final = (*INTERFACES, *ADDRESSES, *PROTOCOLS, *STATES, *ACTIONS)

SETS: Final = (
    Set("interfaces", (KeyType.IFNAME,), frozenset({KeyType.IFNAME.pack("cali1")}), size=100),
    Set(
        "hosts", (KeyType.IPV4_ADDR,), frozenset({address("10.1.2.3"), address("10.1.2.4")}), size=8
    ),
    Set("hosts6", (KeyType.IPV6_ADDR,), frozenset({address("fd00::1")})),
    Set(
        "nets",
        (KeyType.IPV4_ADDR,),
        frozenset(map(interval_of, map(prefix, ("10.0.0.0/24", "10.0.1.0/24", "240.0.0.0/4")))),
        interval=True,
    ),
    Set(
        "nets6",
        (KeyType.IPV6_ADDR,),
        frozenset({interval_of(prefix("fd00::/64")), interval_of(prefix("ff00::/8"))}),
        interval=True,
    ),
    Set("ports", (KeyType.INET_SERVICE,), frozenset({KeyType.INET_SERVICE.pack(80)})),
    Set("marks", (KeyType.MARK,), frozenset({KeyType.MARK.pack(0x10000)})),
    Set(
        "sources",
        (KeyType.IFNAME, KeyType.IPV4_ADDR),
        frozenset({pack((KeyType.IFNAME, KeyType.IPV4_ADDR), ("cali1", address("10.1.2.3")))}),
        size=100,
    ),
    Set(
        "sources6",
        (KeyType.IFNAME, KeyType.IPV6_ADDR),
        frozenset({pack((KeyType.IFNAME, KeyType.IPV6_ADDR), ("cali1", address("fd00::1")))}),
    ),
    Set(
        "services",
        (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
        frozenset(
            {
                pack(
                    (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
                    (address("10.1.2.3"), 6, 80),
                )
            }
        ),
    ),
    Set("services6", (KeyType.IPV6_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)),
)

MAPS: Final = (
    VerdictMap(
        "dispatch",
        (KeyType.IFNAME,),
        {KeyType.IFNAME.pack("cali1"): jump("other"), KeyType.IFNAME.pack("cali2"): goto("other")},
        size=100,
    ),
    VerdictMap("addresses", (KeyType.IPV4_ADDR,), {address("10.1.2.3"): jump("other")}),
    VerdictMap(
        "pairs",
        (KeyType.IFNAME, KeyType.IPV4_ADDR),
        {pack((KeyType.IFNAME, KeyType.IPV4_ADDR), ("cali1", address("10.1.2.3"))): DROP},
    ),
)


def everything(name: str) -> Table:
    """Return a table with every rule form, in chains by hook, and every kind of set and map."""
    hooks = sorted({form.hook for form in RULE_FORMS}, key=str)
    chains = [
        Chain(f"forms{i}", tuple(form.rule for form in RULE_FORMS if form.hook == hook), hook)
        for i, hook in enumerate(hooks)
    ]
    other = Chain("other", (Rule((Counter(), RETURN)),))
    return table(name, [*chains, other], SETS, MAPS)
