"""The store in memory obeys the contract, and does what tests order of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from libcalico.datastore.backend import Backend
from libcalico.datastore.memory import AsyncMemoryBackend, MemoryBackend, MemoryStore
from libcalico.datastore.model import Delete, Event, EventBatch, Put, Revision
from libcalico.errors import CompactedError, ConflictError, NotFoundError, UnavailableError
from libcalico.testing.backend_contract import BackendContract, Harness, collect, in_thread
from libcalico.testing.portal import Portal


class MemoryHarness:
    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self) -> Backend:
        return MemoryBackend(self.store)

    def compact(self, revision: Revision) -> None:
        self.store.compact(revision)


class AsyncMemoryHarness(MemoryHarness):
    def __init__(self) -> None:
        super().__init__()
        self._portals: list[Portal] = []

    def open(self) -> Backend:
        portal = Portal(lambda: AsyncMemoryBackend(self.store))
        self._portals.append(portal)
        return portal

    def stop(self) -> None:
        for portal in self._portals:
            portal.close()
            portal.stop()


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return MemoryHarness()


class TestAsyncMemoryBackend(BackendContract):
    @pytest.fixture
    def harness(self) -> Iterator[Harness]:
        harness = AsyncMemoryHarness()
        yield harness
        harness.stop()


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_leases_run_on_the_clock_given():
    clock = Clock()
    store = MemoryStore(clock)
    backend = MemoryBackend(store)
    backend.put("/a", b"1", ttl_s=30)
    clock.now_s += 29.9
    assert backend.get("/a") is not None
    clock.now_s += 0.2
    assert backend.get("/a") is None


def test_a_moved_clock_is_seen_by_watches():
    clock = Clock()
    store = MemoryStore(clock)
    backend = MemoryBackend(store)
    revision = backend.put("/a", b"1", ttl_s=30)
    with backend.watch(["/"], Revision(revision + 1)) as batches:
        following = in_thread(lambda: next(batches))
        clock.now_s += 31
        store.expire_leases()
        assert following.result(5) == EventBatch(
            Revision(revision + 1), (Event("/a", None, Revision(revision + 1)),)
        )


def test_the_next_operations_fail_as_ordered():
    store = MemoryStore()
    backend = MemoryBackend(store)
    store.fail_next(times=2)
    store.fail_next(ConflictError("told to"))
    for error in (UnavailableError, UnavailableError, ConflictError):
        with pytest.raises(error):
            backend.put("/a", b"1")
    assert backend.get("/a") is None


def test_an_answer_can_be_lost_after_the_write():
    store = MemoryStore()
    backend = MemoryBackend(store)
    store.fail_next(applied=True)
    with pytest.raises(UnavailableError):
        backend.put("/a", b"1")
    assert backend.get("/a") is not None


def test_while_unavailable_nothing_answers_and_watches_break():
    store = MemoryStore()
    backend = MemoryBackend(store)
    revision = backend.put("/a", b"1")
    with backend.watch(["/"], revision) as batches:
        assert len(collect(batches, 1)) == 1
        with store.unavailable():
            with pytest.raises(UnavailableError):
                backend.get("/a")
            with pytest.raises(UnavailableError):
                next(batches)
            with backend.watch(["/"], revision) as refused, pytest.raises(UnavailableError):
                next(refused)
    assert backend.get("/a") is not None


def test_changes_made_before_a_compaction_still_reach_an_open_watch():
    store = MemoryStore()
    backend = MemoryBackend(store)
    with backend.watch(["/"], Revision(2)) as batches:
        backend.put("/a", b"1")
        store.compact()
        assert next(batches).events[0].key == "/a"


def test_compaction_has_the_bounds_of_the_history():
    store = MemoryStore()
    MemoryBackend(store).put("/a", b"1")
    with pytest.raises(ValueError, match="future"):
        store.compact(Revision(3))
    store.compact(Revision(2))
    with pytest.raises(CompactedError):
        store.compact(Revision(2))


def test_a_restored_store_goes_on_from_the_backup():
    store = MemoryStore()
    backend = MemoryBackend(store)
    backend.put("/a", b"1")
    backup = store.backup()
    backend.put("/a", b"2")
    backend.put("/b", b"2")
    with backend.watch(["/"], Revision(5)) as batches:
        store.restore(backup)
        with pytest.raises(UnavailableError):
            next(batches)
    assert [item.value for item in backend.read("/").items] == [b"1"]
    assert backend.put("/c", b"3") == backup.revision + 1


def test_deleting_nothing_makes_no_revision():
    store = MemoryStore()
    backend = MemoryBackend(store)
    assert backend.transact([Delete("/a")]) == 1
    assert backend.transact([]) == 1
    with pytest.raises(NotFoundError):
        backend.delete("/a")
    assert store.revision == 1


def test_a_time_to_live_below_a_second_is_a_mistake():
    with pytest.raises(ValueError, match="at least 1 second"):
        MemoryBackend().transact([Put("/a", b"1", ttl_s=0)])


def test_blocking_and_asyncio_doors_share_a_store():
    async def follow() -> bytes | None:
        blocking = MemoryBackend()
        asynchronous = AsyncMemoryBackend(blocking.store)
        async with asynchronous.watch(["/"], Revision(2)) as batches:
            writing = asyncio.to_thread(blocking.put, "/a", b"1")
            batch, _ = await asyncio.gather(anext(batches), writing)
        return batch.events[0].value

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == b"1"
