"""Tables with borders."""

from hypothesis import given
from hypothesis import strategies as st

from calicoctl.grid import grid


def test_headings_are_centred_numbers_right_and_the_rest_left():
    assert grid(("GROUPING", "N"), [("IP Pool", "65536"), ("x", "4 (0%)")]) == (
        "+----------+--------+\n"
        "| GROUPING |   N    |\n"
        "+----------+--------+\n"
        "| IP Pool  |  65536 |\n"
        "| x        | 4 (0%) |\n"
        "+----------+--------+"
    )


def test_cells_of_several_lines():
    assert grid(("A",), [("x\ny",), ("z",)], between=True).splitlines() == [
        "+---+", "| A |", "+---+", "| x |", "| y |", "+---+", "| z |", "+---+",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.text("ab1.\n"), st.text("ab1.\n"))), st.booleans())
def test_all_lines_are_of_one_length(rows, between):
    lines = grid(("ONE", "TWO"), rows, between=between).split("\n")
    assert len({len(line) for line in lines}) == 1
