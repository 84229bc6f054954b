"""Every form of a compiled rule, by what it shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from calico_node.felix.messages import CompiledRule, RuleSide, SetId
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import Chain, Limit, Rule, Set, Table, table
from calico_node.felix.program import logs, names, rules
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import parse_cidr
from libcalico.net.ports import PortRange

PLAIN, WIDE, NAMED, OTHER = SetId("s:plain"), SetId("s:wide"), SetId("n:http"), SetId("n:dns")
TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
HTTP, MANY = PortRange(80, 80), tuple(PortRange(n, n) for n in range(1000, 1016))
HIGH = PortRange(30000, 65535)
NETS4 = (parse_cidr("10.0.0.0/8"), parse_cidr("192.0.2.1"))
NETS6 = (parse_cidr("fd00::/16"), parse_cidr("2001:db8::1"))
ALLOW, DENY = CompiledRule("Allow"), CompiledRule("Deny")


def _from(**side: Any) -> CompiledRule:
    return replace(ALLOW, source=RuleSide(**side))


def _to(protocol: int | None = None, **side: Any) -> CompiledRule:
    return replace(ALLOW, protocol=protocol, destination=RuleSide(**side))


FORMS = {
    "allow": ALLOW,
    "deny": DENY,
    "pass": CompiledRule("Pass"),
    "log": CompiledRule("Log"),
    "log, of alternatives": CompiledRule(
        "Log",
        4,
        TCP,
        source=RuleSide(sets=(WIDE,)),
        destination=RuleSide(ports=(HTTP,), port_sets=(NAMED,)),
    ),
    "a comment": replace(ALLOW, comment='a "comment",\nin two lines'),
    "one family": replace(ALLOW, ip_version=4),
    "the other family": replace(ALLOW, ip_version=6),
    "a protocol": replace(ALLOW, protocol=TCP),
    "a protocol by number": replace(ALLOW, protocol=99),
    "not a protocol": replace(ALLOW, not_protocol=UDP),
    "a protocol, and not another": replace(ALLOW, protocol=TCP, not_protocol=UDP),
    "nets": _from(nets=NETS4),
    "one net": _from(nets=NETS4[:1]),
    "nets of IPv6": _from(nets=NETS6),
    "not nets": _from(not_nets=NETS4),
    "nets, and not others": _from(nets=NETS4[:1], not_nets=NETS4[1:]),
    "nets of both families": _from(nets=NETS4 + NETS6),
    "nets of different families: never": replace(_from(nets=NETS4), destination=RuleSide(NETS6)),
    "not every address of a family": _from(not_nets=(parse_cidr("0.0.0.0/0"),)),
    "a selector": _from(sets=(PLAIN,)),
    "a selector of wide nets": _from(sets=(WIDE,)),
    "not a selector": _from(not_sets=(WIDE,)),
    "a selector, of one family": replace(_from(sets=(PLAIN,)), ip_version=6),
    "selectors on both sides": replace(_from(sets=(WIDE,)), destination=RuleSide(sets=(WIDE,))),
    "a port": _to(TCP, ports=(HTTP,)),
    "a range": _to(UDP, ports=(HIGH,)),
    "ports and ranges": _to(SCTP, ports=(HTTP, HIGH)),
    "many ports": _to(TCP, ports=MANY),
    "not ports": _to(TCP, not_ports=(HTTP, HIGH)),
    "source ports": replace(_from(ports=(HIGH,), not_ports=MANY[:1]), protocol=UDP),
    "a named port of any protocol": _to(port_sets=(NAMED,)),
    "named ports": _to(TCP, port_sets=(NAMED, OTHER)),
    "not a named port": _to(TCP, not_port_sets=(NAMED,)),
    "numeric and named ports": _to(SCTP, ports=(HTTP,), port_sets=(NAMED,)),
    "not numeric and not named ports": _to(TCP, not_ports=(HTTP,), not_port_sets=(NAMED,)),
    "named ports of selected endpoints": _to(TCP, sets=(PLAIN,), port_sets=(NAMED,)),
    "ICMP": replace(ALLOW, protocol=ICMP),
    "an ICMP type": replace(ALLOW, protocol=ICMP, icmp=(8, None)),
    "an ICMP type and code": replace(ALLOW, protocol=ICMP, icmp=(3, 1)),
    "not an ICMP type": replace(ALLOW, protocol=ICMP, not_icmp=(8, None)),
    "not an ICMP type and code": replace(ALLOW, protocol=ICMP, not_icmp=(3, 1)),
    "an ICMPv6 type": replace(ALLOW, protocol=ICMPV6, icmp=(128, None)),
    "not an ICMPv6 type and code": replace(ALLOW, protocol=ICMPV6, not_icmp=(1, 4)),
    "not an ICMP type, of any protocol": replace(ALLOW, not_icmp=(8, 0)),
    "everything at once": CompiledRule(
        "Deny",
        4,
        TCP,
        UDP,
        source=RuleSide(NETS4, NETS4[1:], (WIDE,), (PLAIN,), (HIGH,), (), MANY[:2], (OTHER,)),
        destination=RuleSide(sets=(PLAIN,), not_sets=(WIDE,), ports=(HTTP,), port_sets=(NAMED,)),
    ),
}
#: Settings that change how a rule is said → the forms that they change.
SETTINGS = {
    "deny by reject": (RuleSettings(deny="Reject"), DENY),
    "other mark bits": (RuleSettings(mark_mask=0xC), ALLOW),
    "limited log": (
        RuleSettings(log_prefix="%t %p", log_limit=Limit(10, "minute", 7)),
        CompiledRule("Log"),
    ),
    "IPv4 only": (RuleSettings(ipv6=False), _from(not_sets=(PLAIN,))),
}


def cases() -> dict[str, list[Rule]]:
    """Return what a form shows → the nft rules that it becomes."""
    plain = {title: rendered(rule, RuleSettings()) for title, rule in FORMS.items()}
    return plain | {title: rendered(rule, settings) for title, (settings, rule) in SETTINGS.items()}


def rendered(rule: CompiledRule, settings: RuleSettings) -> list[Rule]:
    """Return the nft rules of one rule of the profile ``open``, with the sets named above."""

    def has_nets(set_id: SetId, version: int) -> bool:
        return set_id == WIDE and version == 4

    context = rules.RuleContext(settings, has_nets, logs.statements("open", "", settings))
    return list(rules.render(rule, context))


def rules_table() -> Table:
    """Return a table with all of them, and the sets that they name."""
    every = tuple(rule for some in cases().values() for rule in some)
    address = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}
    sets = [Set(names.set_name(WIDE, 4, nets=True), (KeyType.IPV4_ADDR,), interval=True)]
    for version, key in address.items():
        sets += [Set(names.set_name(set_id, version), (key,)) for set_id in (PLAIN, WIDE)]
        service = (key, KeyType.INET_PROTO, KeyType.INET_SERVICE)
        sets += [Set(names.set_name(set_id, version), service) for set_id in (NAMED, OTHER)]
    return table(names.TABLE, [Chain("forms", every)], sets)
