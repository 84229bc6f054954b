"""The followers drive the Syncer on a store in memory: outages, compaction, closing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from libcalico.datastore.follow import Backoff, Connected, Disconnected, Follower, follow
from libcalico.datastore.memory import AsyncMemoryBackend, MemoryBackend, MemoryStore
from libcalico.datastore.syncer import IN_SYNC, Update
from libcalico.errors import DatastoreError, UnavailableError
from libcalico.testing.backend_contract import in_thread

DEADLINE_S = 10


def test_backoff_doubles_up_to_its_cap_and_starts_again():
    backoff = Backoff(first_s=0.1, longest_s=5.0, pick=lambda low, high: high)
    pauses = [round(backoff.next_s(), 3) for _ in range(8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_s() == 0.1


def test_backoff_jitters_between_half_and_all_of_the_step():
    bounds = []
    Backoff(pick=lambda low, high: bounds.append((low, high)) or low).next_s()
    assert bounds == [(0.05, 0.1)]


class Pauses:
    """Instead of sleeping: note it, and let a test act."""

    def __init__(self, *actions) -> None:
        self.taken: list[float] = []
        self._actions = list(actions)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if self._actions:
            self._actions.pop(0)()
        await asyncio.sleep(0)


async def take(changes, count: int):
    return [await asyncio.wait_for(anext(changes), DEADLINE_S) for _ in range(count)]


def test_it_yields_the_snapshot_then_what_happens():
    async def scenario() -> None:
        store = MemoryStore()
        writer = MemoryBackend(store)
        writer.put("/a/1", b"1")
        async with aclosing(follow(AsyncMemoryBackend(store), ["/a/"])) as changes:
            (first,) = await take(changes, 1)
            assert first == [Connected(), Update("/a/1", b"1"), IN_SYNC]
            following = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0)
            writer.put("/b/1", b"foreign")
            writer.delete("/a/1")
            assert await asyncio.wait_for(following, DEADLINE_S) == [Update("/a/1", None)]

    asyncio.run(scenario())


def test_an_outage_is_told_once_with_its_reason_and_its_end():
    async def scenario() -> None:
        store = MemoryStore()
        writer = MemoryBackend(store)
        pauses = Pauses()
        changes = follow(AsyncMemoryBackend(store), ["/"], sleep=pauses)
        assert await take(changes, 1) == [[Connected(), IN_SYNC]]
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        store.fail_next(times=3)
        store.break_watches()
        (lost,) = await asyncio.wait_for(following, DEADLINE_S)
        assert isinstance(lost, Disconnected)
        assert "broke" in lost.reason
        (found,) = await take(changes, 1)
        assert found == [Connected()]
        assert len(pauses.taken) == 4
        assert writer.put("/a", b"1")
        assert await take(changes, 1) == [[Update("/a", b"1")]]
        await changes.aclose()

    asyncio.run(scenario())


def test_a_store_that_is_down_at_start_is_waited_for():
    async def scenario() -> None:
        store = MemoryStore()
        store.fail_next(UnavailableError("down"), times=2)
        changes = follow(AsyncMemoryBackend(store), ["/"], sleep=Pauses())
        assert await take(changes, 2) == [[Disconnected("down")], [Connected(), IN_SYNC]]
        await changes.aclose()

    asyncio.run(scenario())


class OvertakenBackend(AsyncMemoryBackend):
    """The store changes and is compacted as soon as the first snapshot is read."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self._store_itself = store

    async def read(self, *prefixes, revision=None):
        snapshot = await super().read(*prefixes, revision=revision)
        writer = MemoryBackend(self._store_itself)
        if writer.get("/a") is not None:
            writer.delete("/a")
            writer.put("/b", b"2")
            self._store_itself.compact()
        return snapshot


def test_what_was_compacted_away_meanwhile_is_read_again():
    async def scenario() -> None:
        store = MemoryStore()
        MemoryBackend(store).put("/a", b"1")
        async with aclosing(follow(OvertakenBackend(store), ["/"], sleep=Pauses())) as changes:
            assert await take(changes, 2) == [
                [Connected(), Update("/a", b"1"), IN_SYNC],
                [Update("/b", b"2"), Update("/a", None)],
            ]

    asyncio.run(scenario())


def test_the_watch_is_open_while_the_snapshot_is_worked_on():
    async def scenario() -> None:
        store = MemoryStore()
        async with aclosing(follow(AsyncMemoryBackend(store), ["/"], sleep=Pauses())) as changes:
            await take(changes, 1)
            store.break_watches()
            assert [type(change) for (change,) in await take(changes, 1)] == [Disconnected]

    asyncio.run(scenario())


def test_a_refusal_is_raised():
    async def scenario() -> None:
        store = MemoryStore()
        store.fail_next(DatastoreError("no"))
        await take(follow(AsyncMemoryBackend(store), ["/"]), 1)

    with pytest.raises(DatastoreError, match="no"):
        asyncio.run(scenario())


def test_the_follower_of_a_thread_yields_the_same():
    store = MemoryStore()
    writer = MemoryBackend(store)
    writer.put("/a", b"1")
    with Follower(MemoryBackend(store), ["/"], backoff=Backoff(first_s=0.001)) as follower:
        changes = iter(follower)
        assert next(changes) == [Connected(), Update("/a", b"1"), IN_SYNC]
        following = in_thread(lambda: next(changes))
        writer.put("/a", b"2")
        assert following.result(DEADLINE_S) == [Update("/a", b"2")]
        store.fail_next(times=2)
        store.break_watches()
        (lost,) = in_thread(lambda: next(changes)).result(DEADLINE_S)
        assert isinstance(lost, Disconnected)
        assert in_thread(lambda: next(changes)).result(DEADLINE_S) == [Connected()]


def test_closing_the_follower_of_a_thread_ends_its_iteration():
    store = MemoryStore()
    follower = Follower(MemoryBackend(store), ["/"])
    changes = iter(follower)
    next(changes)
    following = in_thread(lambda: list(changes))
    follower.close()
    assert following.result(DEADLINE_S) == []
