"""The grammar: every form, canonical text, identity, errors, and that nothing else can happen."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import SelectorSyntaxError
from libcalico.selector import parse, selector_id, unique_id
from libcalico.testing.strategies import labels, selectors

LONGEST = "k" * 512


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", "all()"),
        (" \t ", "all()"),
        ("all( )", "all()"),
        ("global()", "global()"),
        ("a=='v'", 'a == "v"'),
        ("a == 'say \"x\"'", "a == 'say \"x\"'"),
        ('a != "it\'s"', 'a != "it\'s"'),
        ("a == ''", 'a == ""'),
        ("has( projectcalico.org/namespace )", "has(projectcalico.org/namespace)"),
        ("!has(a)", "!has(a)"),
        ("!!has(a)", "has(a)"),
        ("!!!has(a)", "!has(a)"),
        ("! ! has(a)", "has(a)"),
        ("a in {'b', 'a', 'b',}", 'a in {"a", "b"}'),
        ("a in{}", "a in {}"),
        ("a not in {'x'}", 'a not in {"x"}'),
        ("a notin {'x'}", 'a not in {"x"}'),
        ("a contains 'x'", 'a contains "x"'),
        ("a starts with 'x'", 'a starts with "x"'),
        ("a startswith 'x'", 'a starts with "x"'),
        ("a ends \t with 'x'", 'a ends with "x"'),
        ("in in {'x'}", 'in in {"x"}'),
        ("contains contains 'x'", 'contains contains "x"'),
        ("all == 'x'", 'all == "x"'),
        ("has == 'x'", 'has == "x"'),
        ("allx == 'x'", 'allx == "x"'),
        ("-./_ == 'x'", '-./_ == "x"'),
        ("a == 'x' && b == 'y' || c == 'z'", '((a == "x" && b == "y") || c == "z")'),
        ("has(a) && has(b) && has(c)", "(has(a) && has(b) && has(c))"),
        ("has(a) && (has(b) && has(c))", "(has(a) && (has(b) && has(c)))"),
        ("(((has(a))))", "has(a)"),
        ("!(has(a)||has(b))", "!(has(a) || has(b))"),
        ("has(a)||!has(b)&&all()", "(has(a) || (!has(b) && all()))"),
        (f"has({LONGEST})", f"has({LONGEST})"),
    ],
)
def test_canonical_text(text, canonical):
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ("a == 'x", 5, "unterminated string"),
        ("a = 'x'", 2, "expected =="),
        ("has(a) & has(b)", 7, "expected &&"),
        ("has(a) | has(b)", 7, "expected ||"),
        ("a", 1, "expected operator after label 'a'"),
        ("a 'x'", 2, "expected operator after label 'a'"),
        ("a innards {'x'}", 2, "expected operator after label 'a'"),
        ("has(", 0, "closing ')' after has("),
        ("has(a", 0, "closing ')' after has("),
        ("has('a')", 0, "closing ')' after has("),
        (f"has({LONGEST}k)", 0, "label of 513 characters"),
        (f"{LONGEST}k == 'x'", 0, "label of 513 characters"),
        ("has(a) has(b)", 7, "expected an operator or the end"),
        ("(has(a)", 7, "expected ')'"),
        ("has(a))", 6, "expected an operator or the end"),
        ("()", 1, "expected a label"),
        ("a == b", 5, "a quoted text after '=='"),
        ("a in 'x'", 5, "expected '{'"),
        ("a in {'x' 'y'}", 10, "','"),
        ("a in {,}", 6, "a quoted text"),
        ("has(a) &&", 9, "expected a label"),
        ("has(a)\n", 6, "unexpected character"),
        ("has(ä)", 0, "closing ')' after has("),
        ("ä == 'x'", 0, "unexpected character"),
        ("(" * 101 + "has(a)" + ")" * 101, 100, "nested"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text, offset, problem):
    with pytest.raises(SelectorSyntaxError) as caught:
        parse(text)
    assert f"at offset {offset}: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("", "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug"),
        ("all()", "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug"),
        ("! (has(b)|| ! has(a))", "s:Iss0uCleLYv1GSv_pNm7hAO58kE9jAx1NKyG3Q"),
    ],
)
def test_identities_are_those_of_go_calico(text, identity):
    assert selector_id(parse(text)) == identity


def test_identity_exists_for_any_text():
    assert unique_id("n", "\ud800") != unique_id("n", "\ud801")


PIECES = (
    *"(){},!ab'\" \t\n=&|",
    *("==", "!=", "&&", "||", "has(", "has(a)", "all()", "global()", "'v'", "a/b", "ä", "\ud800"),
    *("in", "not in", "contains", "starts with", "ends with"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(TEXTS | st.text(max_size=30))
def test_any_text_is_a_selector_or_a_selector_syntax_error(text):
    with contextlib.suppress(SelectorSyntaxError):
        selector_id(parse(text))


@given(selectors(), labels())
def test_canonical_text_means_the_same(text, given_labels):
    node = parse(text)
    assert parse(str(node)).evaluate(given_labels) == node.evaluate(given_labels)


@given(selectors(), labels())
def test_prefixed_selector_sees_prefixed_labels_only(text, given_labels):
    node = parse(text)
    prefixed = {f"pcns.{key}": value for key, value in given_labels.items()}
    assert node.with_label_prefix("pcns.").evaluate(prefixed) == node.evaluate(given_labels)
    assert node.with_label_prefix("pcns.").evaluate(given_labels) == node.evaluate({})
