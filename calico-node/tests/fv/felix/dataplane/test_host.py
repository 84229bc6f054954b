"""The states that a host tells of its endpoints, when the kernel does not take everything."""

from collections import Counter
from contextlib import closing
from functools import partial

import pytest

from calico_node.felix import metrics
from calico_node.felix.dataplane.host import Host
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    LocalEndpoint,
    PolicyId,
    RuleSide,
    SetId,
    TierPolicies,
)
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.routes.settings import RouteSettings
from libcalico.net.addresses import parse_cidr
from libcalico.testing.reachable import reachable

GOOD, BAD = (PolicyId("GlobalNetworkPolicy", "", name) for name in ("good", "bad"))
WEB, DB = EndpointId("ns", "web"), EndpointId("ns", "db")
ALLOW = ActivePolicy("default", (CompiledRule("Allow"),), ())
#: It refers to a set that nobody made.
BROKEN = ActivePolicy(
    "default", (CompiledRule("Allow", source=RuleSide(sets=(SetId("s:ghost"),))),), ()
)


def endpoint(number, policy):
    policies = EndpointPolicies((TierPolicies("default", "Deny", (policy,), ()),), ())
    return LocalEndpoint(f"cali{number}", (parse_cidr(f"10.65.0.{number}"),), "", policies)


@pytest.fixture
def host(netns, tmp_path):
    for name in ("cali1", "cali2"):
        netns.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-in"])
        netns.run(["ip", "link", "set", f"{name}-in", "up"])
        netns.run(["ip", "link", "set", name, "up"])
    settings = RuleSettings(), RouteSettings(), FirewallSettings()
    with closing(netns.call(lambda: Host(*settings, tmp_path, tmp_path / "mtu"))) as made:
        yield made


def test_an_endpoint_of_a_refused_policy_is_in_error_until_it_is_taken(netns, host, tmp_path):
    start = Changes(
        policies={GOOD: ALLOW, BAD: BROKEN},
        endpoints={WEB: endpoint(1, GOOD), DB: endpoint(2, BAD)},
    )
    netns.call(lambda: host.start(start))
    assert dict(host.states.all) == {WEB: "up", DB: "error"}
    assert metrics.REFUSED._value.get() == 1
    shown = {section.title: section.lines for section in host.sections()}
    (line,) = shown["Policies that the kernel refused, and that deny"]
    assert "bad" in line
    revision = host.states.revision
    netns.call(lambda: host.apply(Changes(policies={BAD: ALLOW})))
    assert dict(host.states.all) == {WEB: "up", DB: "up"}
    assert metrics.REFUSED._value.get() == 0
    assert host.states.revision > revision


def test_an_endpoint_without_its_interface_is_down(netns, host):
    netns.run(["ip", "link", "set", "cali1", "down"])
    start = Changes(policies={GOOD: ALLOW}, endpoints={WEB: endpoint(1, GOOD)})
    netns.call(lambda: host.start(start))
    assert dict(host.states.all) == {WEB: "down"}
    netns.call(lambda: host.apply(Changes(endpoints={WEB: None})))
    assert dict(host.states.all) == {}


def test_generations_of_interfaces_and_endpoints_leave_nothing_behind(netns, host):
    netns.call(lambda: host.start(Changes(policies={GOOD: ALLOW})))

    def live(numbers):
        for number in numbers:
            name, mine = f"cali{number}", endpoint(number, GOOD)
            netns.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-in"])
            netns.run(["ip", "link", "set", name, "up"])
            netns.call(partial(host.apply, Changes(endpoints={EndpointId("ns", name): mine})))
            netns.call(host.take_link_events)
            assert netns.run(["ip", "route", "show", f"10.65.0.{number}"]).stdout
            netns.run(["ip", "link", "delete", name])
            netns.call(host.take_link_events)
            netns.call(partial(host.apply, Changes(endpoints={EndpointId("ns", name): None})))
        return reachable(host)

    before = live(range(10, 13))
    assert live(range(13, 23)) - before == Counter()
