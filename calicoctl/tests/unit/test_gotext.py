"""Values and tables as Go prints them."""

import pytest

from calicoctl import gotext


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (None, "<nil>"),
        (True, "true"),
        (1e6, "1e+06"),
        (1e7, "1e+07"),
        (1234567.0, "1.234567e+06"),
        (100.0, "100"),
        (0.5, "0.5"),
        (0.00001, "1e-05"),
        (0.0, "0"),
        (-2.5, "-2.5"),
        (64512, "64512"),
        (["a", "b"], "[a b]"),
        ("x", "x"),
    ],
)
def test_a_value_prints_as_in_go(item, text):
    assert gotext.value(item) == text


def test_long_lists_are_cut():
    text = gotext.joined(["10.0.0.0/16"] * 20)
    assert len(text) == 80
    assert text.endswith("...")


def test_a_table_pads_every_cell_by_three_and_to_at_least_five():
    assert gotext.table(["A", "NAME"], [["1", "x"]]) == "A    NAME   \n1    x      \n"
