"""The oracle itself, held by examples that quote the reference (calico-control-plane, section 4)."""

from __future__ import annotations

import pytest

from libcalico.net.addresses import parse_cidr
from libcalico.policy import Packet, World, evaluate
from libcalico.resources import codec

WEB, DB, OUTSIDE = "10.0.0.1", "10.0.0.2", "192.0.2.1"


def resource(kind: str, name: str, spec: dict, namespace: str = "", labels: dict | None = None):
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return codec.decode(
        {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata, "spec": spec}
    )


def endpoint(
    name: str, *addresses: str, profiles=("open",), ports=(), namespace="default", **labels
):
    spec = {
        "node": "n",
        "orchestrator": "cni",
        "containerID": name,
        "endpoint": "eth0",
        "interfaceName": f"cali{name}",
        "ipNetworks": [f"{a}/{128 if ':' in a else 32}" for a in addresses],
        "profiles": list(profiles),
        "ports": list(ports),
    }
    own = {"projectcalico.org/namespace": namespace, **labels}
    return resource("WorkloadEndpoint", f"n-cni-{name}-eth0", spec, namespace, own)


OPEN = resource(
    "Profile", "open", {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
)
DEFAULT = resource("Tier", "default", {"order": 1_000_000, "defaultAction": "Deny"})
PASSING = resource("Tier", "passing", {"order": 10, "defaultAction": "Pass"})
ENDPOINTS = (
    endpoint("web", WEB, "fd00::1", role="web"),
    endpoint(
        "db", DB, "fd00::2", role="db", ports=[{"name": "sql", "protocol": "TCP", "port": 5432}]
    ),
)


def policy(name: str, tier: str = "default", **spec):
    return resource("GlobalNetworkPolicy", name, {"tier": tier, "selector": "role == 'db'", **spec})


def tcp(port: int = 5432, source: str = WEB, destination: str = DB) -> Packet:
    return Packet(
        source=parse_cidr(source),
        destination=parse_cidr(destination),
        protocol=6,
        source_port=40000,
        destination_port=port,
    )


def allowed(packet: Packet, *resources) -> bool:
    return evaluate(World.of([OPEN, DEFAULT, PASSING, *ENDPOINTS, *resources]), packet).allowed


def test_without_policies_the_profiles_decide():
    assert allowed(tcp())


def test_an_endpoint_without_policies_and_profiles_is_closed():
    alone = endpoint("alone", "10.0.0.9", profiles=())
    assert not allowed(tcp(destination="10.0.0.9"), alone)
    assert not allowed(tcp(source="10.0.0.9"), alone)


def test_a_profile_that_does_not_exist_denies_all():
    ghost = endpoint("ghost", "10.0.0.9", profiles=("ghost", "open"))
    assert not allowed(tcp(destination="10.0.0.9"), ghost)


def test_an_endpoint_selected_for_ingress_only_is_still_open_for_egress():
    closed = policy("closed", types=["Ingress"])
    assert not allowed(tcp(), closed)
    assert allowed(tcp(source=DB, destination=OUTSIDE), closed)


def test_the_first_matching_rule_decides():
    rules = [{"action": "Deny", "protocol": "TCP"}, {"action": "Allow"}]
    assert not allowed(tcp(), policy("p", ingress=rules, types=["Ingress"]))
    assert allowed(tcp(), policy("p", ingress=rules[::-1], types=["Ingress"]))


def test_policies_of_a_tier_go_by_order_none_last_then_by_name():
    deny = policy("a-deny", order=20, ingress=[{"action": "Deny"}], types=["Ingress"])
    allow = policy("b-allow", order=10, ingress=[{"action": "Allow"}], types=["Ingress"])
    last = policy("c-last", ingress=[{"action": "Allow"}], types=["Ingress"])
    assert allowed(tcp(), deny, allow)
    assert not allowed(tcp(), deny, last)
    same = policy("b-allow", order=20, ingress=[{"action": "Allow"}], types=["Ingress"])
    assert not allowed(tcp(), deny, same)


def test_pass_skips_the_rest_of_the_tier():
    rules = [{"action": "Pass"}]
    passing = policy("a", "passing", order=1, ingress=rules, types=["Ingress"])
    deny = policy("b", "passing", order=2, ingress=[{"action": "Deny"}], types=["Ingress"])
    assert allowed(tcp(), passing, deny)


def test_the_end_of_a_tier_denies_or_passes_as_the_tier_says():
    nothing = {"ingress": [{"action": "Log"}], "types": ["Ingress"]}
    assert not allowed(tcp(), policy("a", **nothing))
    assert allowed(tcp(), policy("a", "passing", **nothing))


def test_a_tier_in_which_nothing_applies_is_skipped():
    other = policy("a", selector="role == 'web'", types=["Ingress"])
    assert allowed(tcp(), other)


def test_a_missing_tier_comes_last_and_denies_at_its_end():
    lost = policy("a", "lost", ingress=[{"action": "Pass"}], types=["Ingress"])
    assert allowed(tcp(), lost)
    assert not allowed(tcp(), policy("a", "lost", types=["Ingress"]))


def test_the_steps_tell_the_way_and_the_last_one_decided():
    log = policy("log", "passing", ingress=[{"action": "Log"}], types=["Ingress"])
    deny = policy("deny", ingress=[{"action": "Deny", "protocol": "TCP"}], types=["Ingress"])
    verdict = evaluate(World.of([OPEN, DEFAULT, PASSING, *ENDPOINTS, log, deny]), tcp())
    assert [(s.direction, s.where, s.rule, s.action) for s in verdict.steps] == [
        ("egress", "Profile(open)", 0, "Allow"),
        ("ingress", "GlobalNetworkPolicy(log)", 0, "Log"),
        ("ingress", "end of tier passing", None, "Pass"),
        ("ingress", "GlobalNetworkPolicy(deny)", 0, "Deny"),
    ]


MATCHES = [
    ({}, True),
    ({"protocol": "TCP"}, True),
    ({"protocol": 17}, False),
    ({"notProtocol": "TCP"}, False),
    ({"notProtocol": "UDP"}, True),
    ({"ipVersion": 4}, True),
    ({"ipVersion": 6}, False),
    ({"protocol": "ICMP", "icmp": {"type": 8}}, False),
    ({"protocol": "TCP", "notICMP": {}}, True),
    ({"protocol": "TCP", "notICMP": {"type": 8}}, False),
    ({"source": {"nets": ["10.0.0.0/24"]}}, True),
    ({"source": {"nets": ["10.0.1.0/24"]}}, False),
    ({"source": {"nets": ["10.0.0.9/24"]}}, True),
    ({"source": {"notNets": ["10.0.0.0/24"]}}, False),
    ({"source": {"selector": "role == 'web'"}}, True),
    ({"source": {"selector": "role == 'db'"}}, False),
    ({"source": {"notSelector": "role == 'web'"}}, False),
    ({"source": {"notSelector": "role == 'db'"}}, True),
    ({"source": {"selector": "has(role)", "notSelector": "role == 'web'"}}, False),
    ({"protocol": "TCP", "destination": {"ports": [80, "5000:6000"]}}, True),
    ({"protocol": "TCP", "destination": {"ports": [80]}}, False),
    ({"protocol": "TCP", "destination": {"ports": ["sql"]}}, True),
    ({"protocol": "UDP", "destination": {"ports": ["sql"]}}, False),
    ({"destination": {"ports": ["sql"]}}, True),
    ({"destination": {"ports": ["sql"], "selector": "role == 'web'"}}, False),
    ({"protocol": "TCP", "destination": {"notPorts": ["sql"]}}, False),
    ({"protocol": "TCP", "destination": {"notPorts": [80]}}, True),
    ({"protocol": "TCP", "source": {"ports": [40000]}}, True),
    ({"source": {"namespaceSelector": "global()"}}, False),
    ({"source": {"namespaceSelector": "all()"}}, True),
    ({"destination": {"services": {"name": "sql", "namespace": "default"}}}, False),
]


@pytest.mark.parametrize(("fields", "matches"), MATCHES, ids=[str(f) for f, _ in MATCHES])
def test_a_rule_matches_as_the_reference_says(fields, matches):
    rule = {"action": "Allow", **fields}
    assert allowed(tcp(), policy("p", ingress=[rule], types=["Ingress"])) == matches


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"icmp": {"type": 128}}, True),
        ({"icmp": {"type": 128, "code": 1}}, False),
        ({"notICMP": {"type": 128}}, False),
        ({"notICMP": {"type": 128, "code": 1}}, True),
        ({"notICMP": {"type": 1, "code": 0}}, True),
    ],
)
def test_icmp_type_and_code_are_negated_together(fields, matches):
    ping = Packet(
        source=parse_cidr("fd00::1"),
        destination=parse_cidr("fd00::2"),
        protocol=58,
        icmp_type=128,
        icmp_code=0,
    )
    rule = {"action": "Allow", "protocol": "ICMPv6", **fields}
    assert allowed(ping, policy("p", ingress=[rule], types=["Ingress"])) == matches


def test_a_network_policy_sees_its_own_namespace_only():
    foreign = endpoint("foreign", "10.0.0.9", namespace="other", role="web")
    rule = {"action": "Allow", "source": {"selector": "role == 'web'"}}
    mine = resource(
        "NetworkPolicy",
        "p",
        {"tier": "default", "selector": "role == 'db'", "ingress": [rule], "types": ["Ingress"]},
        "default",
    )
    assert allowed(tcp(), mine)
    assert not allowed(tcp(source="10.0.0.9"), mine, foreign)


def test_a_network_set_is_selected_by_its_labels():
    known = resource(
        "GlobalNetworkSet", "office", {"nets": ["192.0.2.0/24"]}, labels={"role": "office"}
    )
    rule = {"action": "Allow", "source": {"selector": "role == 'office'"}}
    office = policy("p", ingress=[rule], types=["Ingress"])
    assert allowed(tcp(source=OUTSIDE), office, known)
    assert not allowed(tcp(source=OUTSIDE), office)


def test_labels_are_inherited_from_profiles_own_ones_win():
    lending = resource(
        "Profile",
        "open",
        {"ingress": [{"action": "Allow"}], "labelsToApply": {"role": "x", "zone": "z"}},
    )
    closed = policy("p", selector="role == 'db' && zone == 'z'", types=["Ingress"])
    world = World.of([lending, DEFAULT, *ENDPOINTS, closed])
    assert world.endpoints[0].labels["role"] == "web"
    assert not evaluate(world, tcp(source=OUTSIDE)).allowed
