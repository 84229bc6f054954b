"""What the agent computes by itself; the rest is tested with real packets."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_test import agent


@given(st.binary(max_size=64).filter(lambda raw: len(raw) % 2 == 0))
def test_a_packet_with_its_checksum_sums_to_all_ones(raw):
    total = sum(struct.unpack(f"!{len(raw) // 2}H", raw)) + agent._checksum(raw)
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    assert total == 0xFFFF


class Script:
    """Plays a flow against given outcomes in virtual time; one attempt starts at each tick."""

    def __init__(self, monkeypatch, attempts):
        self.now = 0
        self.told = []
        self.attempts = list(attempts)
        self.events = []
        monkeypatch.setattr(agent.time, "monotonic_ns", lambda: self.now)
        self.flow = agent.Flow(self, self.start, 1, lambda **fields: self.told.append(fields))
        while self.events:
            self.events.sort(key=lambda event: event[0])
            self.now, call = self.events.pop(0)
            call()

    def at(self, when, call):
        if len(self.attempts) > 1:
            self.events.append((when, call))

    def start(self, decide):
        outcome, took = self.attempts.pop(0)
        self.events.append((self.now + took, lambda: decide(outcome, {})))


GOOD, BAD = ("open", 0), ("timeout", 5)


@pytest.mark.parametrize(
    ("attempts", "told", "lost"),
    [
        ([GOOD] * 3, [("open", 0)], 0),
        ([BAD] * 8, [("closed", 0)], 0),
        ([GOOD] * 3 + [BAD] * 8, [("open", 0), ("closed", 3)], 0),
        ([BAD] * 8 + [GOOD] * 8, [("closed", 0), ("open", 8)], 0),
        ([GOOD] * 3 + [BAD] + [GOOD] * 8, [("open", 0)], 1),
        ([GOOD, *[BAD] * 4, *[GOOD] * 8], [("open", 0)], 4),
    ],
)
def test_a_flow_dates_its_changes_and_counts_what_was_lost(monkeypatch, attempts, told, lost):
    script = Script(monkeypatch, attempts)
    assert [(change["state"], change["at_ns"]) for change in script.told] == told
    assert (script.flow.attempts, script.flow.lost) == (len(attempts), lost)


def test_a_flow_that_is_stopped_ends_when_its_last_attempt_is_decided(monkeypatch):
    script = Script(monkeypatch, [GOOD])
    script.attempts = [BAD]
    script.flow._running = True
    script.flow._next()
    ended = []
    script.flow.stop(lambda: ended.append(script.now))
    assert ended == []
    script.events.pop()[1]()
    assert ended == [script.now]
