"""Who may send through the tunnels between hosts."""

from __future__ import annotations

import pytest

from calico_node.felix.messages import Changes, Pool
from calico_node.felix.nft import text
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import parse_cidr

EXTERNAL = (parse_cidr("192.0.2.0/28"), parse_cidr("2001:db8::/64"))


def entering(program: Program) -> list[str]:
    """Return the rules of what is for the host itself, as text."""
    lines = text.render(program.table()).splitlines()
    return [line.strip() for line in lines if "no node" in line]


def pools(**modes: str) -> Changes:
    return Changes(pools={"p": Pool(parse_cidr("10.65.0.0/16"), nat_outgoing=False, **modes)})


VXLAN = [
    f'meta l4proto udp th dport 4789 {source} != @{hosts} drop comment "VXLAN from who is no node"'
    for source, hosts in (
        ("ip saddr", "cali40-all-hosts-net"),
        ("ip6 saddr", "cali60-all-hosts-net"),
    )
]
IPIP = ['meta l4proto 4 ip saddr != @cali40-all-hosts-net drop comment "IPIP from who is no node"']


@pytest.mark.parametrize(
    ("modes", "rules"), [({}, []), ({"vxlan": "CrossSubnet"}, VXLAN), ({"ipip": "Always"}, IPIP)]
)
def test_strangers_are_dropped_while_a_pool_has_a_tunnel(modes, rules):
    program = Program(RuleSettings())
    program.apply(pools(**modes))
    assert entering(program) == rules
    program.reconfigure(RuleSettings())
    assert entering(program) == rules
    program.apply(Changes(pools={"p": None}))
    assert entering(program) == []


def test_external_nodes_are_no_strangers():
    program = Program(RuleSettings(external_nodes=EXTERNAL))
    program.apply(pools(vxlan="Always"))
    four, six = entering(program)
    assert "ip saddr != 192.0.2.0/28" in four
    assert "ip6 saddr != 2001:db8::/64" in six


def leaving(program: Program) -> list[str]:
    """Return the rules that change the source of what the host sends into tunnels."""
    lines = text.render(program.table()).splitlines()
    return [line.strip() for line in lines if "host into tunnel" in line]


def test_what_the_host_sends_into_a_tunnel_has_the_tunnels_address():
    program = Program(RuleSettings())
    program.apply(pools(ipip="CrossSubnet"))
    (rule,) = leaving(program)
    assert rule == (
        'oifname "tunl0" fib saddr . oif type != local fib saddr type local masquerade fully-random'
        ' comment "host into tunnel"'
    )
    program.apply(pools(vxlan="Always"))
    assert [rule.split()[1] for rule in leaving(program)] == ['"vxlan.calico"', '"vxlan-v6.calico"']
    program.apply(pools())
    assert leaving(program) == []


@pytest.mark.parametrize("name", ["vxlan", "ipip"])
def test_a_switch_overrules_the_pools(name):
    program = Program(RuleSettings(**{name: False}))
    program.apply(pools(**{name: "Always"}))
    assert entering(program) == leaving(program) == []
    program.reconfigure(RuleSettings(**{name: True}))
    program.apply(pools())
    assert entering(program) == {"vxlan": VXLAN, "ipip": IPIP}[name]
