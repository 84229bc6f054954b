"""Policy on the real kernel: start, change, tampering, refusal."""

import select

import pytest

from calico_node.felix import metrics
from calico_node.felix.dataplane.enforcer import Enforcer
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    LocalEndpoint,
    PolicyId,
    RuleSide,
    SetChange,
    SetId,
    TierPolicies,
)
from calico_node.felix.nft.operations import FlushChain
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import parse_cidr

WEB = PolicyId("GlobalNetworkPolicy", "", "web")
ALLOW = ActivePolicy("default", (CompiledRule("Allow"),), ())
ENDPOINT = LocalEndpoint(
    "cali1",
    (parse_cidr("10.65.0.1"),),
    "",
    EndpointPolicies((TierPolicies("default", "Deny", (WEB,), ()),), ()),
)
START = Changes(policies={WEB: ALLOW}, endpoints={EndpointId("ns", "a"): ENDPOINT})
DEADLINE_S = 5.0


@pytest.fixture
def enforcer(netns):
    made = netns.call(lambda: Enforcer(RuleSettings()))
    yield made
    made.close()


def ruleset(netns) -> str:
    return netns.run(["nft", "list", "ruleset"]).stdout


def blocks(netns) -> list[str]:
    """Return sets and chains: a table that is rebuilt around what is there lists them in another order."""
    return sorted(block.strip() for block in ruleset(netns).partition("{\n")[2].split("\t}\n"))


def test_start_replaces_what_a_previous_run_left_and_leaves_others_alone(netns, enforcer):
    netns.run(
        ["nft", "-f", "-"],
        stdin="table inet calico {\nchain old {\ndrop\n}\n}\ntable ip mine {\n}\n",
    )
    enforcer.apply(START)
    listed = ruleset(netns)
    assert "chain old" not in listed
    assert "table ip mine" in listed
    assert "cali-pi-gnp/web" in listed
    assert enforcer.is_in_sync


def test_a_change_touches_only_what_changed(netns, enforcer):
    enforcer.apply(START)
    before = netns.run(["nft", "-a", "list", "table", "inet", "calico"]).stdout
    rewritten = ActivePolicy("default", (CompiledRule("Deny"),), ())
    enforcer.apply(Changes(policies={WEB: rewritten}))
    after = netns.run(["nft", "-a", "list", "table", "inet", "calico"]).stdout
    differing = set(before.splitlines()) ^ set(after.splitlines())
    assert {line.strip().split(" # ")[0] for line in differing} == {
        "meta mark set meta mark | 0x00010000 return",
        "drop",
    }


def test_policy_stays_in_force_when_the_enforcer_ends(netns, enforcer):
    enforcer.apply(START)
    before = ruleset(netns)
    enforcer.close()
    assert ruleset(netns) == before


@pytest.mark.parametrize(
    "tampering",
    [
        "flush table inet calico",
        "delete table inet calico",
        "flush chain inet calico cali-pi-gnp/web",
        'delete element inet calico cali-to-wl { "cali1" }',
        "add rule inet calico filter-FORWARD accept",
    ],
)
def test_what_others_change_is_noticed_and_put_right(netns, enforcer, tampering):
    enforcer.apply(START)
    before = blocks(netns)
    netns.run(["nft", "-f", "-"], stdin=f"{tampering}\n")
    assert blocks(netns) != before
    assert select.select([enforcer.monitor], [], [], DEADLINE_S)[0]
    assert enforcer.repair()
    assert blocks(netns) == before


def test_our_own_commits_and_other_tables_need_no_repair(netns, enforcer):
    enforcer.apply(START)
    enforcer.apply(Changes(endpoints={EndpointId("ns", "a"): None}))
    netns.run(["nft", "-f", "-"], stdin="table ip mine {\nchain c {\ndrop\n}\n}\n")
    assert enforcer.repair() == []


def test_a_policy_that_the_kernel_refuses_denies_and_the_rest_is_programmed(netns, enforcer):
    enforcer.apply(START)
    bad, ghost = PolicyId("GlobalNetworkPolicy", "", "bad"), SetId("s:ghost")
    broken = ActivePolicy("default", (CompiledRule("Allow", source=RuleSide(sets=(ghost,))),), ())
    policies = EndpointPolicies((TierPolicies("default", "Deny", (bad, WEB), ()),), ())
    second = LocalEndpoint("cali2", (parse_cidr("10.65.0.2"),), "", policies)
    good = ActivePolicy("default", (CompiledRule("Pass"),), ())
    enforcer.apply(
        Changes(policies={bad: broken, WEB: good}, endpoints={EndpointId("ns", "b"): second})
    )
    assert enforcer.is_in_sync
    assert list(enforcer.refused) == [bad]
    chains = netns.run(["nft", "list", "chain", "inet", "calico", "cali-pi-gnp/bad"]).stdout
    assert "drop" in chains
    assert (
        "0x00020000"
        in netns.run(["nft", "list", "chain", "inet", "calico", "cali-pi-gnp/web"]).stdout
    )
    enforcer.apply(Changes(sets={ghost: SetChange(created=True)}, policies={bad: broken}))
    assert not enforcer.refused
    assert "@cali40s-ghost" in ruleset(netns)


def test_another_configuration_is_applied_live(netns, enforcer):
    enforcer.apply(START)
    enforcer.reconfigure(RuleSettings(endpoint_to_host="Accept"))
    chain = netns.run(["nft", "list", "chain", "inet", "calico", "cali-wl-to-host"]).stdout
    assert 'accept comment "endpoint to host action"' in chain


def test_a_commit_that_nobody_told_of_is_found_by_the_audit(netns, enforcer):
    enforcer.apply(START)
    enforcer.audit()
    before, repairs = blocks(netns), repaired()
    enforcer.apply(Changes(policies={WEB: ActivePolicy("default", (CompiledRule("Pass"),), ())}))
    enforcer.apply(Changes(policies={WEB: ALLOW}))
    netns.run(["nft", "-f", "-"], stdin="table ip mine {\nchain c {\ndrop\n}\n}\n")
    enforcer.audit()
    assert repaired() == repairs, "all commits are ours, or were told of"
    # The monitor does not hear of what this socket does.
    enforcer._nftables.commit([FlushChain("calico", "cali-pi-gnp/web", "test")])
    enforcer._nftables.commits -= 1
    assert enforcer.repair() == []
    enforcer.audit()
    assert repaired() == repairs + 1
    netns.run(["nft", "delete", "table", "ip", "mine"])
    assert blocks(netns) == before
    enforcer.audit()
    enforcer.audit()
    assert repaired() == repairs + 1


def test_a_refused_policy_is_no_reason_to_repair(netns, enforcer):
    enforcer.apply(START)
    enforcer.audit()
    repairs = repaired()
    bad = PolicyId("GlobalNetworkPolicy", "", "bad")
    broken = ActivePolicy(
        "default", (CompiledRule("Allow", source=RuleSide(sets=(SetId("s:ghost"),))),), ()
    )
    policies = EndpointPolicies((TierPolicies("default", "Deny", (bad,), ()),), ())
    second = LocalEndpoint("cali2", (parse_cidr("10.65.0.2"),), "", policies)
    enforcer.apply(Changes(policies={bad: broken}, endpoints={EndpointId("ns", "b"): second}))
    assert enforcer.refused
    enforcer.audit()
    assert repaired() == repairs


def repaired():
    return metrics.REPAIRS.labels("nftables")._value.get()
