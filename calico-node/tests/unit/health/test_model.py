import pytest

from calico_node.health.model import Aggregator, Report, Reporter


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_an_agent_without_reporters_is_well(clock):
    summary = Aggregator(clock).summary()
    assert summary.live
    assert summary.ready


def test_a_reporter_that_is_starting_is_live_but_not_ready(clock):
    health = Aggregator(clock)
    health.register(Reporter(name="watch"))
    summary = health.summary()
    assert (summary.live, summary.ready) == (True, False)


def test_all_must_be_well(clock):
    health = Aggregator(clock)
    health.register(Reporter(name="a"))
    health.register(Reporter(name="b"))
    health.report("a", Report())
    health.report("b", Report(ready=False, detail="bad"))
    assert not health.summary().ready
    health.report("b", Report())
    assert health.summary().ready


def test_a_reporter_answers_only_for_what_it_speaks_for(clock):
    health = Aggregator(clock)
    health.register(Reporter(name="a", speaks_for_liveness=False))
    health.report("a", Report(live=False, ready=True))
    assert health.summary().live
    health.register(Reporter(name="b", speaks_for_readiness=False))
    health.report("b", Report(live=False, ready=False))
    assert (health.summary().live, health.summary().ready) == (False, True)


def test_silence_beyond_the_timeout_is_not_well(clock):
    health = Aggregator(clock)
    health.register(Reporter(name="loop", timeout_s=10))
    health.report("loop", Report(detail="runs"))
    clock.now = 10
    assert health.summary().live
    clock.now = 11
    summary = health.summary()
    assert (summary.live, summary.ready) == (False, False)
    assert summary.rows[0].detail == "silent for 11s; last: runs"
    health.report("loop", Report())
    assert health.summary().live


def test_an_unregistered_reporter_is_a_mistake(clock):
    with pytest.raises(KeyError):
        Aggregator(clock).report("x", Report())


def test_the_table_is_for_people(clock):
    health = Aggregator(clock)
    health.register(Reporter(name="watch", speaks_for_liveness=False))
    health.report("watch", Report(detail="in sync"))
    assert health.summary().table() == (
        "COMPONENT  LIVE  READY  DETAIL\nwatch      -     yes    in sync\n"
    )


def test_timeouts_can_be_set_later_and_turned_off():
    now = [0.0]
    health = Aggregator(lambda: now[0])
    health.register(Reporter(name="loop", timeout_s=10.0))
    health.report("loop", Report())
    now[0] = 5.0
    health.set_timeouts({"loop": 4.0, "unknown": 1.0})
    assert not health.summary().live
    health.set_timeouts({"loop": 0.0})
    now[0] = 1000.0
    assert health.summary().live
    health.set_timeouts({})
    assert not health.summary().live
