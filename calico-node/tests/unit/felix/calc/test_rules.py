"""Rules, compiled: identities of sets as Go Calico names them, and what each field becomes."""

import pytest

from calico_node.felix.calc.rules import DENY_ALL, compile_rules
from calico_node.felix.messages import CompiledRule, RuleSide
from libcalico.net.addresses import parse_cidr
from libcalico.net.ports import PortRange
from libcalico.resources.policy import (
    EntityRule,
    HTTPMatch,
    ICMPFields,
    RuleMetadata,
    ServiceAccountMatch,
    ServiceMatch,
)
from libcalico.selector import parse, selector_id, unique_id
from libcalico.testing.builders import a_rule

HOME = "projectcalico.org/namespace == 'blue'"


def compiled(rule, namespace=""):
    (only,) = compile_rules([rule], namespace, "spec.ingress").rules
    return only


def source(namespace="", **fields):
    return compiled(a_rule(protocol="TCP", source=EntityRule(**fields)), namespace).source


def set_of(selector):
    return selector_id(parse(selector))


def port_set(selector, protocol, name):
    return unique_id("n", f"{set_of(selector)},{protocol},{name}")


def test_rule_without_criteria():
    assert compiled(a_rule("Pass")) == CompiledRule("Pass")


def test_protocols_are_numbers():
    rule = compiled(a_rule(protocol="tcp", not_protocol=17, ip_version=6))
    assert (rule.protocol, rule.not_protocol, rule.ip_version) == (6, 17, 6)


def test_icmp():
    rule = compiled(
        a_rule(protocol="ICMP", icmp=ICMPFields(type=8), not_icmp=ICMPFields(type=3, code=1))
    )
    assert (rule.icmp, rule.not_icmp) == ((8, None), (3, 1))


def test_annotations_become_the_comment():
    rule = compiled(a_rule(metadata=RuleMetadata(annotations={"b": "2", "a": "1"})))
    assert rule.comment == "a=1; b=2"


def test_nets_and_ports():
    side = source(nets=["10.0.0.0/8"], not_nets=["10.0.0.9/32"], ports=[80, "1:9"], not_ports=[7])
    assert side == RuleSide(
        nets=(parse_cidr("10.0.0.0/8"),),
        not_nets=(parse_cidr("10.0.0.9/32"),),
        ports=(PortRange(80, 80), PortRange(1, 9)),
        not_ports=(PortRange(7, 7),),
    )


@pytest.mark.parametrize(
    ("fields", "namespace", "sets", "not_sets"),
    [
        ({"selector": "has(a)"}, "", ["has(a)"], []),
        ({"not_selector": "has(a)"}, "", [], ["has(a)"]),
        ({"selector": "has(a)", "not_selector": "has(b)"}, "", ["(has(a)) && (!(has(b)))"], []),
        ({"selector": "has(a)"}, "blue", [f"({HOME}) && (has(a))"], []),
        ({"not_selector": "has(a)"}, "blue", [f"({HOME}) && (!(has(a)))"], []),
        ({"nets": ["10.0.0.0/8"]}, "blue", [], []),
        ({"namespace_selector": "has(x)"}, "blue", ["has(pcns.x)"], []),
        ({"namespace_selector": "global()"}, "", ["!has(projectcalico.org/namespace)"], []),
        (
            {"service_accounts": ServiceAccountMatch(names=["s"])},
            "",
            ['projectcalico.org/serviceaccount in {"s"}'],
            [],
        ),
    ],
)
def test_selectors_become_sets(fields, namespace, sets, not_sets):
    side = source(namespace, **fields)
    assert list(side.sets) == list(map(set_of, sets))
    assert list(side.not_sets) == list(map(set_of, not_sets))


def test_named_ports_are_restricted_to_the_positive_selector():
    side = source(selector="has(a)", ports=["http", 80], not_ports=["dns"])
    assert side.port_sets == (port_set("has(a)", "tcp", "http"),)
    assert side.not_port_sets == (port_set("", "tcp", "dns"),)
    without = compiled(a_rule(destination=EntityRule(ports=["http"])))
    assert without.destination.port_sets == (port_set("", "any", "http"),)


def test_equal_criteria_share_a_set():
    rules = [a_rule(source=EntityRule(selector=text)) for text in ("a=='b'", 'a == "b"')]
    assert len(compile_rules(rules, "", "").sets) == 1


@pytest.mark.parametrize("action", ["Allow", "Deny"])
def test_services_match_nothing_without_kubernetes(action):
    rule = a_rule(action, source=EntityRule(services=ServiceMatch(name="s")))
    assert compile_rules([rule], "", "").rules == []


@pytest.mark.parametrize(("action", "rules"), [("Allow", []), ("Deny", [CompiledRule("Deny")])])
def test_http_criteria_only_ever_narrow_what_is_allowed(action, rules):
    compiled_rules = compile_rules([a_rule(action, http=HTTPMatch(methods=["GET"]))], "", "in")
    assert compiled_rules.rules == rules
    assert "in[0].http" in compiled_rules.problems[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "XTP"},
        {"source": EntityRule(selector="a = 'b'")},
        {"source": EntityRule(namespace_selector="!")},
        {"destination": EntityRule(nets=["10.0.0.0/40"])},
        {"destination": EntityRule(ports=["9:1"])},
        {"source": EntityRule(selector="has(a)"), "destination": EntityRule(nets=["x"])},
        {"protocol": "ICMP", "icmp": ICMPFields(type=256)},
        {"protocol": "ICMP", "icmp": ICMPFields(code=3)},
    ],
)
def test_rule_that_cannot_be_understood_denies_in_its_place(fields):
    compiled_rules = compile_rules([a_rule(), a_rule(**fields), a_rule()], "", "spec.egress")
    assert compiled_rules.rules == [CompiledRule("Allow"), DENY_ALL, CompiledRule("Allow")]
    assert compiled_rules.problems[0].startswith("spec.egress[1]: ")
    assert not compiled_rules.sets
