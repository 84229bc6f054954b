"""Audits come in their intervals, and not at all when they are turned off."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.dataplane.audits import Schedule


def test_each_is_due_at_once_and_then_in_its_interval():
    schedule = Schedule()
    intervals = {"nftables": 3.0, "routes": 2.0, "interfaces": 0.0}
    due = [schedule.due(1000.0 + second, intervals) for second in range(5)]
    assert due == [["nftables", "routes"], [], ["routes"], ["nftables"], ["routes"]]


def test_a_changed_interval_counts_from_the_last_audit():
    schedule = Schedule()
    schedule.due(0.0, {"routes": 100.0})
    assert schedule.due(10.0, {"routes": 100.0}) == []
    assert schedule.due(10.0, {"routes": 10.0}) == ["routes"]


@given(st.lists(st.floats(0, 10)), st.floats(0.1, 5))
def test_two_audits_are_never_closer_than_the_interval(steps, interval_s):
    schedule, now_s, audits = Schedule(), 0.0, []
    for step in steps:
        now_s += step
        if schedule.due(now_s, {"routes": interval_s}):
            audits.append(now_s)
    assert all(b - a >= interval_s for a, b in pairwise(audits))
