"""Expectations and tables."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_test import matrix
from calico_test.matrix import Cell, Mismatch, Report
from calico_test.probes import ICMP, SYMBOLS, Outcome, Probe

TCP80 = Probe("tcp", 80)
NAMES = ["web1", "api1", "db1", "web2", "api2", "db2"]
outcomes = st.sampled_from(Outcome)


def test_everyone_tries_everyone_else():
    cells = matrix.cells(NAMES, [TCP80, ICMP])
    assert len(cells) == 6 * 5 * 2 * 2
    assert len(set(cells)) == len(cells)
    assert all(cell.source != cell.destination for cell in cells)


def test_true_is_open_and_false_is_silence():
    cells = matrix.cells(["a", "b"], [TCP80], [4])
    assert set(matrix.expect(lambda *_: True, cells).values()) == {Outcome.OPEN}
    assert set(matrix.expect(lambda *_: False, cells).values()) == {Outcome.TIMEOUT}
    assert set(matrix.expect(lambda *_: Outcome.REFUSED, cells).values()) == {Outcome.REFUSED}


def test_what_a_mapping_does_not_name_is_denied():
    cells = matrix.cells(["a", "b"], [TCP80, ICMP], [6])
    expected = matrix.expect({("a", "b"): [TCP80]}, cells)
    assert [cell for cell, outcome in expected.items() if outcome is Outcome.OPEN] == [
        Cell("a", "b", TCP80, 6)
    ]


@given(st.data())
def test_a_report_differs_exactly_where_seen_is_not_expected(data):
    cells = matrix.cells(["a", "b", "c"], [TCP80, ICMP])
    observed = {cell: data.draw(outcomes) for cell in cells}
    expected = {cell: data.draw(outcomes) for cell in cells}
    report = Report(observed, expected)
    assert set(report.differences) == {c for c in cells if observed[c] != expected[c]}
    text = report.render()
    tables = text[: text.rindex("\n\n")]
    assert tables.count("!") == len(report.differences)


@given(st.lists(outcomes, min_size=120, max_size=120))
def test_six_workloads_fit_into_a_hundred_columns(seen):
    cells = matrix.cells(NAMES, [TCP80, ICMP])
    text = Report(dict(zip(cells, seen, strict=True)), {}).render()
    assert max(map(len, text.splitlines())) <= 100


def test_the_table_is_as_it_was(request):
    cells = matrix.cells(NAMES, [TCP80, ICMP])
    observed = {c: Outcome.OPEN if c.destination != "db1" else Outcome.TIMEOUT for c in cells}
    expected = dict(observed)
    expected[Cell("api1", "db1", TCP80, 6)] = Outcome.OPEN
    observed[Cell("web1", "api1", ICMP, 4)] = Outcome.STRANGER
    expected[Cell("web1", "api1", ICMP, 4)] = Outcome.REFUSED
    golden = Path(__file__).with_name("matrix.golden")
    assert Report(observed, expected).render() + "\n" == golden.read_text()


def test_a_mismatch_names_the_cells_and_shows_the_table():
    cell = Cell("a", "b", TCP80, 4)
    error = Mismatch(Report({cell: Outcome.OPEN}, {cell: Outcome.TIMEOUT}))
    assert "a -> b tcp80 over IPv4: open, expected timeout" in str(error)
    assert "✓!✗" in str(error)
    assert isinstance(error, AssertionError)


def test_every_outcome_has_a_symbol_of_its_own():
    assert set(SYMBOLS) == set(Outcome)
    assert len(set(SYMBOLS.values())) == len(Outcome)


@given(st.sampled_from(["tcp", "udp"]), st.integers(1, 65535))
def test_probes_are_read_as_they_are_written(kind, port):
    probe = Probe(kind, port)
    assert Probe.parse(str(probe)) == probe
    assert Probe.parse(str(ICMP)) == ICMP


@pytest.mark.parametrize("text", ["", "tcp", "tcp0", "icmp1", "udp65536", "sctp9", "80", "tcp 80"])
def test_other_probes_are_refused(text):
    with pytest.raises(ValueError):
        Probe.parse(text)
