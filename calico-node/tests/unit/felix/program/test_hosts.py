"""Host endpoints in the table, as an operator would see them.

Set ``CALICO_REWRITE_GOLDEN=1`` to write the file anew; commit the difference only if you can say why.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointPolicies,
    HostEndpoint,
    HostPolicies,
    PolicyId,
    Pool,
    TierPolicies,
)
from calico_node.felix.nft import text
from calico_node.felix.nft.model import Reject, Verdict
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import FailsafePort, RuleSettings
from libcalico.net.addresses import parse_cidr

GOLDEN = Path(__file__).parent / "golden" / "hosts.nft"
SSH, EARLY, RAW, FORWARD = (
    PolicyId("GlobalNetworkPolicy", "", name) for name in ("ssh", "early", "raw", "forward")
)
OPEN = ActivePolicy("", (CompiledRule("Allow"),), (CompiledRule("Allow"),))
POLICIES = dict.fromkeys((SSH, EARLY, RAW, FORWARD), OPEN)


def tier(name, policy, *, egress=True, default_action="Deny"):
    return TierPolicies(name, default_action, (policy,), (policy,) if egress else ())


WHOLE = HostPolicies(
    EndpointPolicies((tier("security", SSH, egress=False),), ("open",)),
    forward=(tier("security", FORWARD),),
    pre_dnat=(tier("security", EARLY, egress=False),),
    untracked=(tier("security", RAW),),
)
PLAIN = HostPolicies(EndpointPolicies((), ("open",)))
FAILSAFES = RuleSettings(
    failsafe_inbound=(FailsafePort(6, 22), FailsafePort(6, 179), FailsafePort(17, 68)),
    failsafe_outbound=(
        FailsafePort(17, 53, parse_cidr("10.0.0.0/8")),
        FailsafePort(17, 53, parse_cidr("fd00::/8")),
    ),
)


def program(endpoints, settings=FAILSAFES, **fields):
    made = Program(settings)
    hosts = {where: HostEndpoint(f"hep-{where}", p) for where, p in endpoints.items()}
    made.apply(Changes(policies=POLICIES, profiles={"open": OPEN}, host_endpoints=hosts, **fields))
    return made


def chains(made):
    """Return the chains that are there for host endpoints only."""
    return made.table().chains.keys() - Program(RuleSettings()).table().chains.keys()


def test_the_table_reads_as_agreed():
    pools = {
        "v4": Pool(parse_cidr("10.65.0.0/16"), nat_outgoing=False, vxlan="Always", ipip="Always")
    }
    actual = text.render(program({"eth0": WHOLE, "eth1": PLAIN, "*": PLAIN}, pools=pools).table())
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        GOLDEN.write_text(actual)
    assert actual == GOLDEN.read_text()


def test_nothing_is_hooked_without_a_host_endpoint_and_nothing_is_left_of_one():
    made = program({})
    assert not chains(made)
    before = made.table()
    made.apply(Changes(host_endpoints={"*": HostEndpoint("h", WHOLE)}))
    assert made.table() != before
    made.apply(Changes(host_endpoints={"*": None}))
    assert made.table() == before


def test_a_place_where_nothing_is_asked_is_not_hooked():
    hooked = chains(program({"eth0": PLAIN}, replace(FAILSAFES, drop_invalid=False)))
    assert "host-filter-INPUT" in hooked
    assert "host-mangle-PREROUTING" not in hooked
    assert not [name for name in hooked if name.endswith(("-raw-dispatch", "-forward-dispatch"))]


def test_what_is_forwarded_is_checked_for_its_connection_also_without_a_policy():
    table = program({"eth0": PLAIN}).table()
    for place in ("from", "to"):
        reached = reachable(table, f"cali-{place}-hep-forward-dispatch")
        (rule,) = [r for name in reached if name.startswith("cali-") for r in rules_of(table, name)]
        assert text.render_rule(rule) == "ct state invalid drop"


def rules_of(table, name):
    """Return the rules of a class of forwarded traffic, none of another chain."""
    return table.chains[name].rules if "fw-" in name else ()


def test_endpoints_with_equal_policies_share_their_chains():
    one, two = chains(program({"eth0": WHOLE})), chains(program({"eth0": WHOLE, "eth1": WHOLE}))
    assert one == two


def test_the_interfaces_of_workloads_are_not_for_host_endpoints():
    assert not chains(program({"cali123": WHOLE}))
    made = program({"tap1": WHOLE})
    made.reconfigure(replace(FAILSAFES, interface_prefixes=("cali", "tap")))
    assert not chains(made)


@pytest.mark.parametrize("ports", ["failsafe_inbound", "failsafe_outbound"])
def test_without_failsafe_ports_neighbour_discovery_is_still_open(ports):
    made = program({"eth0": WHOLE}, replace(FAILSAFES, **{ports: ()}))
    name = {"failsafe_inbound": "in", "failsafe_outbound": "out"}[ports]
    (only,) = made.table().chains[f"cali-failsafe-{name}"].rules
    assert only.comment == "neighbour discovery"


def test_what_postrouting_reaches_does_not_reject():
    """The kernel would refuse the table."""
    deny = ActivePolicy("", (CompiledRule("Deny"),), (CompiledRule("Deny"),))
    made = program({"eth0": WHOLE}, replace(FAILSAFES, deny="Reject"))
    made.apply(Changes(policies=dict.fromkeys(POLICIES, deny), profiles={"open": deny}))
    table = made.table()
    reached = reachable(table, "host-mangle-POSTROUTING")
    assert any(name.startswith("cali-pro-") for name in reached)
    assert not [name for name in reached if rejects(table.chains[name])]
    assert [name for name in reachable(table, "host-filter-INPUT") if rejects(table.chains[name])]


def reachable(table, start):
    found, seen = [start], set()
    while found:
        name = found.pop()
        if name not in seen:
            seen.add(name)
            found += set(re.findall(r"chain='([^']+)'", repr(table.chains[name])))
            for map_name in re.findall(r"map='([^']+)'", repr(table.chains[name])):
                verdicts: list[Verdict] = [*table.maps[map_name].elements.values()]
                found += [verdict.chain for verdict in verdicts if verdict.chain]
    return seen


def rejects(chain):
    return any(isinstance(s, Reject) for rule in chain.rules for s in rule.statements)
