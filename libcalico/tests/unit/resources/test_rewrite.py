import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import SelectorSyntaxError
from libcalico.resources import rewrite
from libcalico.resources.policy import EntityRule, ServiceAccountMatch
from libcalico.selector import parse
from libcalico.testing import builders
from libcalico.testing.strategies import labels, selectors

HERE = "projectcalico.org/namespace == 'blue'"
ACCOUNT = "projectcalico.org/serviceaccount"


def side(**fields):
    return rewrite.entity_selectors(EntityRule(**fields), "blue")


@pytest.mark.parametrize(
    ("fields", "positive"),
    [
        ({}, ""),
        ({"nets": ["10.0.0.0/8"], "ports": [80]}, ""),
        ({"selector": "a == 'b'"}, f"({HERE}) && (a == 'b')"),
        ({"not_selector": "a == 'b'"}, HERE),
        ({"namespace_selector": "env == 'x'"}, 'pcns.env == "x"'),
        ({"namespace_selector": "all()"}, "has(projectcalico.org/namespace)"),
        ({"namespace_selector": "global()"}, "!has(projectcalico.org/namespace)"),
        (
            {"namespace_selector": "env=='x' || !has(y)", "selector": "a == 'b'"},
            "((pcns.env == \"x\" || !has(pcns.y))) && (a == 'b')",
        ),
        (
            {"service_accounts": ServiceAccountMatch(names=["b", "a", "b"])},
            f'({HERE}) && ({ACCOUNT} in {{"a", "b"}})',
        ),
        (
            {"service_accounts": ServiceAccountMatch(names=["a"], selector="r == 's'")},
            f'({HERE}) && ((pcsa.r == "s") && ({ACCOUNT} in {{"a"}}))',
        ),
        (
            {"service_accounts": ServiceAccountMatch(selector="r == 's'"), "selector": "a == 'b'"},
            f"({HERE}) && ((pcsa.r == \"s\") && (a == 'b'))",
        ),
        ({"service_accounts": ServiceAccountMatch()}, ""),
    ],
)
def test_sides_of_namespaced_rules(fields, positive):
    assert side(**fields) == (positive, fields.get("not_selector", ""))


def test_sides_of_global_rules_keep_their_selector():
    rule = EntityRule(selector="a == 'b'", not_selector="c == 'd'")
    assert rewrite.entity_selectors(rule, "") == ("a == 'b'", "c == 'd'")


def test_namespaced_policies_select_in_their_namespace():
    policy = builders.a_policy(namespace="blue", selector="a == 'b' || has(c)")
    assert rewrite.policy_selector(policy) == f"(a == 'b' || has(c)) && {HERE}"
    assert rewrite.policy_selector(builders.a_policy(namespace="blue")) == HERE
    policy = builders.a_policy(namespace="blue", service_account_selector="r == 's'")
    assert rewrite.policy_selector(policy) == f'({HERE}) && pcsa.r == "s"'


@pytest.mark.parametrize(
    ("fields", "selector"),
    [
        ({"selector": ""}, ""),
        ({"selector": "all()"}, "all()"),
        ({"selector": "", "namespace_selector": "x == 'y'"}, 'pcns.x == "y"'),
        (
            {"selector": "all()", "namespace_selector": "x == 'y'"},
            '(has(projectcalico.org/namespace)) && pcns.x == "y"',
        ),
        (
            {"selector": "a == 'b'", "namespace_selector": "all()"},
            "(a == 'b') && has(projectcalico.org/namespace)",
        ),
        (
            {"selector": "all()", "service_account_selector": "all()"},
            f"(has({ACCOUNT})) && has({ACCOUNT})",
        ),
        (
            {
                "selector": "",
                "namespace_selector": "x == 'y'",
                "service_account_selector": "r == 's'",
            },
            '(pcns.x == "y") && pcsa.r == "s"',
        ),
    ],
)
def test_global_policies_select_by_namespace_and_account(fields, selector):
    assert rewrite.policy_selector(builders.a_global_policy(**fields)) == selector


@given(selectors(), labels())
def test_prefixing_a_selector_is_prefixing_the_labels(selector, some_labels):
    prefixed = parse(rewrite.prefixed(selector, "pcns."))
    moved = {f"pcns.{key}": value for key, value in some_labels.items()}
    assert prefixed.evaluate(moved) == parse(selector).evaluate(some_labels)


@given(selectors(), selectors(), st.sampled_from(["", "blue"]), labels())
def test_a_rule_matches_what_all_its_parts_match(selector, namespace_selector, namespace, own):
    rule = EntityRule(selector=selector, namespace_selector=namespace_selector)
    positive, _ = rewrite.entity_selectors(rule, namespace)
    has_namespace = {**own, "projectcalico.org/namespace": "green", "pcns.app": "web"}
    of_namespace = {"app": "web"}
    assert parse(positive).evaluate(has_namespace) == (
        parse(selector).evaluate(has_namespace) and parse(namespace_selector).evaluate(of_namespace)
    )


def test_stored_policies_without_types_govern_both_directions():
    policy = builders.a_policy()
    assert rewrite.effective_types(policy) == {"Ingress"}
    stored = policy.with_(spec=policy.spec.with_(types=[]))
    assert rewrite.effective_types(stored) == {"Ingress", "Egress"}


def test_a_selector_that_does_not_parse_is_an_error():
    with pytest.raises(SelectorSyntaxError):
        side(namespace_selector="(((")


def test_a_selector_cannot_reach_out_of_its_namespace():
    for selector in ("a == 'b') || (all()", "a == 'b') || (has(c)"):
        with pytest.raises(SelectorSyntaxError):
            rewrite.policy_selector(builders.a_policy(selector=selector))
        with pytest.raises(SelectorSyntaxError):
            side(selector=selector)
