"""What each form means, absent labels included."""

import pytest

from libcalico.selector import parse

LABELS = {"role": "db-1", "empty": ""}


@pytest.mark.parametrize(
    ("text", "is_selected"),
    [
        ("all()", True),
        ("global()", True),
        ("role == 'db-1'", True),
        ("role == 'db'", False),
        ("absent == ''", False),
        ("empty == ''", True),
        ("role != 'db-1'", False),
        ("role != 'x'", True),
        ("absent != 'x'", True),
        ("role in {'x', 'db-1'}", True),
        ("role in {}", False),
        ("absent in {''}", False),
        ("role not in {'db-1'}", False),
        ("role not in {}", True),
        ("absent not in {'x'}", True),
        ("has(empty)", True),
        ("has(absent)", False),
        ("!has(absent)", True),
        ("role contains 'b-'", True),
        ("role contains ''", True),
        ("absent contains ''", False),
        ("role starts with 'db'", True),
        ("role starts with '1'", False),
        ("absent starts with ''", False),
        ("role ends with '1'", True),
        ("role ends with 'd'", False),
        ("absent ends with ''", False),
        ("has(role) && has(absent)", False),
        ("has(role) || has(absent)", True),
        ("has(absent) && has(absent) || has(role)", True),
        ("!(has(role) && has(empty))", False),
    ],
)
def test_meaning(text, is_selected):
    assert parse(text).evaluate(LABELS) is is_selected
