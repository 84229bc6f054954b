"""Whole tables for small, complete cases."""

from __future__ import annotations

from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    FloatingAddress,
    Limits,
    LocalEndpoint,
    PolicyId,
    Pool,
    PortMember,
    Quality,
    RuleSide,
    SetChange,
    SetId,
    TierPolicies,
)
from calico_node.felix.nft.keys import Range
from calico_node.felix.nft.model import Table
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import PortRange

CLIENTS, HTTP, BLOCKED = SetId("s:clients"), SetId("n:http"), SetId("s:blocked")
WEB = PolicyId("NetworkPolicy", "shop", "web")
AUDIT = PolicyId("GlobalNetworkPolicy", "", "audit")


def _net(text: str) -> Cidr:
    return parse_cidr(text)


def _web() -> ActivePolicy:
    """Every form of a rule that rendering knows."""
    clients = RuleSide(sets=(CLIENTS,))
    return ActivePolicy(
        "application",
        (
            CompiledRule(
                "Allow",
                protocol=6,
                source=clients,
                destination=RuleSide(
                    ports=(PortRange(80, 80), PortRange(8080, 8090)), port_sets=(HTTP,)
                ),
                comment="the shop's front door",
            ),
            CompiledRule(
                "Allow", protocol=1, icmp=(8, None), source=RuleSide(nets=(_net("10.0.0.0/8"),))
            ),
            CompiledRule("Deny", protocol=58, not_icmp=(128, 0)),
            CompiledRule(
                "Pass", ip_version=6, not_protocol=17, source=RuleSide(not_sets=(BLOCKED,))
            ),
            CompiledRule(
                "Deny",
                protocol=17,
                source=RuleSide(
                    not_nets=(_net("10.1.0.0/16"), _net("10.2.0.1")), not_ports=(PortRange(53, 53),)
                ),
            ),
            CompiledRule("Deny", source=RuleSide(not_nets=(_net("0.0.0.0/0"),))),
        ),
        (CompiledRule("Allow"),),
    )


def policy_table() -> Table:
    """Return the table of an endpoint with tiers, sets, policies and profiles."""
    program = Program(RuleSettings())
    policies = EndpointPolicies(
        (
            TierPolicies("security", "Pass", (AUDIT,), (AUDIT,)),
            TierPolicies("application", "Deny", (WEB,), ()),
        ),
        ("kns.shop", "ghost"),
    )
    program.apply(
        Changes(
            sets={
                CLIENTS: SetChange(
                    frozenset(
                        {
                            _net("10.65.0.1"),
                            _net("fd65::1"),
                            _net("192.0.2.0/24"),
                            _net("192.0.2.128/25"),
                        }
                    ),
                    created=True,
                ),
                BLOCKED: SetChange(created=True),
                HTTP: SetChange(frozenset({PortMember(_net("10.65.0.2"), 6, 8000)}), created=True),
            },
            policies={
                WEB: _web(),
                AUDIT: ActivePolicy("security", (CompiledRule("Log"),), (CompiledRule("Pass"),)),
            },
            profiles={
                "kns.shop": ActivePolicy("", (CompiledRule("Allow"),), (CompiledRule("Allow"),)),
                "ghost": ActivePolicy("", (), (), missing=True),
            },
            endpoints={
                EndpointId("shop", "web-1"): LocalEndpoint(
                    "cali123", (_net("10.65.0.2"), _net("fd65::2")), "ee:ee:ee:ee:ee:ee", policies
                ),
            },
            pools={
                "v4": Pool(_net("10.65.0.0/16"), nat_outgoing=True),
                "v6": Pool(_net("fd65::/48"), nat_outgoing=False),
            },
            hosts={"host-1": (_net("10.233.0.11"),)},
        )
    )
    return program.table()


def traffic_table() -> Table:
    """Return the table with everything beside policy that endpoints and the configuration may ask for."""
    own, own6 = _net("10.65.0.2"), _net("fd65::2")
    settings = RuleSettings(
        exclude_hosts_from_nat=True,
        nat_ports=Range(20000, 29999),
        nat_outgoing_address=_net("192.0.2.9"),
        floating_ips=True,
        allow_spoofing=True,
        serves_addresses=True,
    )
    endpoint = LocalEndpoint(
        "cali123",
        (own, own6),
        "",
        EndpointPolicies((), ()),
        allowed_sources=(_net("198.51.100.0/24"), _net("2001:db8::/64")),
        floating=(
            FloatingAddress(_net("203.0.113.7"), own),
            FloatingAddress(_net("2001:db8::7"), own6),
        ),
        quality=Quality(
            Limits(packet_rate=1000, connections=100),
            Limits(packet_rate=500, packet_burst=50, connections=20),
            dscp=46,
        ),
    )
    program = Program(settings)
    services = dict.fromkeys(map(_net, ("10.96.0.0/12", "192.0.2.7", "fd96::/112")), True)
    program.apply(Changes(endpoints={EndpointId("shop", "web-1"): endpoint}, services=services))
    return program.table()
