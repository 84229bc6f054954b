"""Every form of a compiled rule, as the nft rules that it becomes.

Set ``CALICO_REWRITE_GOLDEN=1`` to write the file anew; commit the difference only if you can say why.
"""

import os
from dataclasses import replace
from pathlib import Path

from calico_node.felix.messages import CompiledRule, RuleSide, SetId
from calico_node.felix.nft.model import Limit
from calico_node.felix.nft.text import render_rule
from calico_node.felix.program import logs, rules
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import parse_cidr
from libcalico.net.ports import PortRange

GOLDEN = Path(__file__).parent / "golden" / "rules.nft"
PLAIN, WIDE, NAMED, OTHER = SetId("s:plain"), SetId("s:wide"), SetId("n:http"), SetId("n:dns")
TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
HTTP, MANY = PortRange(80, 80), tuple(PortRange(n, n) for n in range(1000, 1016))
HIGH = PortRange(30000, 65535)
NETS4 = (parse_cidr("10.0.0.0/8"), parse_cidr("192.0.2.1"))
NETS6 = (parse_cidr("fd00::/16"), parse_cidr("2001:db8::1"))
ALLOW, DENY = CompiledRule("Allow"), CompiledRule("Deny")


def from_(**side):
    return replace(ALLOW, source=RuleSide(**side))


def to(protocol=None, **side):
    return replace(ALLOW, protocol=protocol, destination=RuleSide(**side))


FORMS = {
    "allow": ALLOW,
    "deny": DENY,
    "pass": CompiledRule("Pass"),
    "log": CompiledRule("Log"),
    "a comment": replace(ALLOW, comment='a "comment",\nin two lines'),
    "one family": replace(ALLOW, ip_version=4),
    "the other family": replace(ALLOW, ip_version=6),
    "a protocol": replace(ALLOW, protocol=TCP),
    "a protocol by number": replace(ALLOW, protocol=99),
    "not a protocol": replace(ALLOW, not_protocol=UDP),
    "a protocol, and not another": replace(ALLOW, protocol=TCP, not_protocol=UDP),
    "nets": from_(nets=NETS4),
    "one net": from_(nets=NETS4[:1]),
    "nets of IPv6": from_(nets=NETS6),
    "not nets": from_(not_nets=NETS4),
    "nets, and not others": from_(nets=NETS4[:1], not_nets=NETS4[1:]),
    "nets of both families": from_(nets=NETS4 + NETS6),
    "nets of different families: never": replace(from_(nets=NETS4), destination=RuleSide(NETS6)),
    "not every address of a family": from_(not_nets=(parse_cidr("0.0.0.0/0"),)),
    "a selector": from_(sets=(PLAIN,)),
    "a selector of wide nets": from_(sets=(WIDE,)),
    "not a selector": from_(not_sets=(WIDE,)),
    "a selector, of one family": replace(from_(sets=(PLAIN,)), ip_version=6),
    "selectors on both sides": replace(from_(sets=(WIDE,)), destination=RuleSide(sets=(WIDE,))),
    "a port": to(TCP, ports=(HTTP,)),
    "a range": to(UDP, ports=(HIGH,)),
    "ports and ranges": to(SCTP, ports=(HTTP, HIGH)),
    "many ports": to(TCP, ports=MANY),
    "not ports": to(TCP, not_ports=(HTTP, HIGH)),
    "source ports": replace(from_(ports=(HIGH,), not_ports=MANY[:1]), protocol=UDP),
    "a named port of any protocol": to(port_sets=(NAMED,)),
    "named ports": to(TCP, port_sets=(NAMED, OTHER)),
    "not a named port": to(TCP, not_port_sets=(NAMED,)),
    "numeric and named ports": to(SCTP, ports=(HTTP,), port_sets=(NAMED,)),
    "not numeric and not named ports": to(TCP, not_ports=(HTTP,), not_port_sets=(NAMED,)),
    "named ports of selected endpoints": to(TCP, sets=(PLAIN,), port_sets=(NAMED,)),
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
    "IPv4 only": (RuleSettings(ipv6=False), from_(not_sets=(PLAIN,))),
}


def rendered(rule, settings):
    def has_nets(set_id, version):
        return set_id == WIDE and version == 4

    context = rules.RuleContext(settings, has_nets, logs.statements("open", "", settings))
    return "".join(f"{render_rule(one)}\n" for one in rules.render(rule, context))


def test_every_form_reads_as_agreed():
    cases = {title: (RuleSettings(), rule) for title, rule in FORMS.items()} | SETTINGS
    actual = "\n".join(
        f"# {title}\n{rendered(rule, settings)}" for title, (settings, rule) in cases.items()
    )
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        GOLDEN.write_text(actual)
    assert actual == GOLDEN.read_text()
