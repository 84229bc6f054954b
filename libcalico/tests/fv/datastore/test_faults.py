"""A real etcd that dies, freezes, forgets, or loses its leader: callers see UnavailableError or nothing."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import aclosing

import pytest

from libcalico.datastore.config import connect, connect_async
from libcalico.datastore.follow import Connected, Disconnected, Follower, follow
from libcalico.datastore.model import Revision
from libcalico.datastore.syncer import InSync, Update
from libcalico.errors import CompactedError, UnavailableError
from libcalico.testing.backend_contract import collect, in_thread

DEADLINE_S = 30.0


def apply(content: dict[str, bytes], changes: list) -> list:
    """Apply updates to the content; return the changes that are none."""
    for change in changes:
        if isinstance(change, Update) and change.value is None:
            del content[change.key]
        elif isinstance(change, Update):
            content[change.key] = change.value
    return [change for change in changes if not isinstance(change, Update)]


def test_a_follower_survives_kill_and_restart_without_losing_a_change(start_member):
    etcd = start_member()
    told: list = []
    content: dict[str, bytes] = {}
    with connect(etcd.config()) as writer, connect(etcd.config()) as backend:
        writer.put("/a", b"1")
        follower = Follower(backend, ["/"])
        changes = iter(follower)

        def until(key: str, value: bytes | None) -> None:
            while content.get(key) != value:
                told.extend(apply(content, next(changes)))

        in_thread(lambda: until("/a", b"1")).result(DEADLINE_S)
        following = in_thread(lambda: until("/end", b""))
        for i in range(50):
            writer.put(f"/k{i}", b"before")
        etcd.kill()
        etcd.start()
        etcd.wait_port()
        for i in range(0, 50, 2):
            writer.delete(f"/k{i}")
        writer.put("/end", b"")
        following.result(DEADLINE_S)
        follower.close()
        assert content == {item.key: item.value for item in writer.read("/").items}
    assert [type(change) for change in told] == [Connected, InSync, Disconnected, Connected]


def test_an_asyncio_follower_survives_kill_and_restart(start_member):
    etcd = start_member()

    async def scenario() -> list:
        told: list = []
        content: dict[str, bytes] = {}
        backend = connect_async(etcd.config())
        await backend.put("/a", b"1")
        async with aclosing(follow(backend, ["/"])) as changes:
            told += apply(content, await anext(changes))
            etcd.kill()
            told += apply(content, await anext(changes))
            etcd.start()
            await asyncio.to_thread(etcd.wait_port)
            await backend.put("/b", b"2")
            while "/b" not in content:
                told += apply(content, await anext(changes))
        await backend.close()
        return told

    told = asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))
    assert [type(change) for change in told] == [Connected, InSync, Disconnected, Connected]


def test_a_frozen_store_is_unavailable_within_the_deadline(start_member):
    etcd = start_member()
    with connect(etcd.config()) as patient, connect(etcd.config(timeout_s=2.0)) as backend:
        revision = patient.put("/a", b"1")
        backend.get("/a")
        etcd.freeze()
        for call in (lambda: backend.get("/a"), lambda: backend.put("/a", b"2")):
            began = time.monotonic()
            with pytest.raises(
                UnavailableError, match=r"http://127.0.0.1:\d+: no answer within 2 s"
            ):
                call()
            assert time.monotonic() - began < 3
        began = time.monotonic()
        with (
            backend.watch(["/"], revision) as batches,
            pytest.raises(UnavailableError, match="was not confirmed"),
        ):
            next(batches)
        assert time.monotonic() - began < 4
        etcd.thaw()
        assert patient.get("/a") is not None


def test_a_frozen_store_is_unavailable_for_asyncio_too(start_member):
    etcd = start_member()

    async def scenario() -> None:
        patient, backend = connect_async(etcd.config()), connect_async(etcd.config(timeout_s=2.0))
        await patient.put("/a", b"1")
        await patient.close()
        await backend.get("/a")
        etcd.freeze()
        with pytest.raises(UnavailableError, match="no answer within 2 s"):
            await backend.get("/a")
        async with backend.watch(["/"], Revision(1)) as batches:
            with pytest.raises(UnavailableError, match="was not confirmed"):
                await anext(batches)
        await backend.close()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


def test_nobody_at_the_endpoint_is_one_clear_line(start_member):
    etcd = start_member()
    etcd.kill()
    with connect(etcd.config(timeout_s=0.5)) as backend:
        with pytest.raises(UnavailableError) as caught:
            backend.get("/a")
        with backend.watch(["/"], Revision(1)) as batches, pytest.raises(UnavailableError):
            next(batches)
    text = str(caught.value)
    assert text.startswith(f"datastore {etcd.url}: no answer within 0.5 s: failed to connect")
    assert "\n" not in text


def test_who_has_reached_the_store_waits_for_its_restart_longer_than_a_stranger(start_member):
    etcd = start_member()
    with connect(etcd.config(timeout_s=DEADLINE_S)) as known, connect(etcd.config()) as stranger:
        known.put("/a", b"1")
        etcd.kill()
        waiting = in_thread(lambda: known.get("/a"))
        with pytest.raises(UnavailableError, match=r"no answer within 2 s: .*refused"):
            stranger.get("/a")
        etcd.start()
        item = waiting.result(DEADLINE_S)
        assert item is not None
        assert item.value == b"1"


def test_a_cancelled_task_leaves_its_call(start_member):
    etcd = start_member()

    async def scenario() -> None:
        backend = connect_async(etcd.config())
        await backend.put("/a", b"1")
        etcd.freeze()
        for waiting in (backend.get("/a"), anext(follow(backend, ["/"]))):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting, 0.2)
        etcd.thaw()
        assert await backend.get("/a") is not None
        await backend.close()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


def test_a_store_that_came_back_older_is_noticed(start_member):
    etcd = start_member()
    with connect(etcd.config()) as backend:
        content: dict[str, bytes] = {}
        for i in range(5):
            backend.put(f"/old{i}", b"1")
        follower = Follower(backend, ["/"])
        changes = iter(follower)
        apply(content, next(changes))
        revision = backend.read("/").revision
        etcd.kill()
        shutil.rmtree(etcd.folder / etcd.name)
        etcd.start()
        etcd.wait_port()
        backend.put("/new", b"2")
        with (
            backend.watch(["/"], Revision(revision + 1)) as batches,
            pytest.raises(CompactedError, match="restored from a backup"),
        ):
            next(batches)

        def until_equal() -> None:
            while content != {"/new": b"2"}:
                apply(content, next(changes))

        in_thread(until_equal).result(DEADLINE_S)
        follower.close()


def test_the_loss_of_a_leader_is_invisible_to_callers(cluster):
    config = cluster[0].config(*cluster[1:])
    with connect(config) as backend:
        revision = backend.put("/n", b"0")
        leader = next(member for member in cluster if member.leads())
        for i in range(1, 40):
            if i == 5:
                leader.kill()
            revision = backend.update("/n", b"%d" % i, revision)
            backend.create(f"/c{i}", b"")
        item = backend.get("/n")
        assert item is not None
        assert item.value == b"39"
        assert len(backend.read("/c").items) == 39


def test_the_loss_of_a_leader_loses_no_change_of_a_follower(cluster):
    config = cluster[0].config(*cluster[1:])
    patient = cluster[0].config(*cluster[1:], timeout_s=20.0)

    async def scenario() -> None:
        # How long an election takes on a busy machine is not asked here.
        backend, writer = connect_async(config), connect_async(patient)
        content: dict[str, bytes] = {}
        async with aclosing(follow(backend, ["/"])) as changes:
            apply(content, await anext(changes))
            leader = next(member for member in cluster if member.leads())
            for i in range(60):
                if i == 20:
                    leader.kill()
                await writer.put(f"/k{i}", b"%d" % i)
            while len(content) < 60:
                apply(content, await anext(changes))
        await backend.close()
        await writer.close()
        assert content == {f"/k{i}": b"%d" % i for i in range(60)}

    asyncio.run(asyncio.wait_for(scenario(), 2 * DEADLINE_S))


def test_a_frozen_member_is_passed_over(cluster):
    config = cluster[0].config(*cluster[1:], timeout_s=8.0)
    with connect(config) as backend:
        backend.put("/a", b"1")
        follower = next(m for m in cluster if not m.leads())
        follower.freeze()
        for i in range(20):
            assert backend.put("/a", b"%d" % i)


def test_a_watch_ends_on_a_member_that_is_cut_off_from_its_leader(cluster):
    alone = cluster[0]
    with connect(alone.config()) as backend:
        revision = backend.put("/a", b"1")
        with backend.watch(["/"], revision) as batches:
            assert len(collect(batches, 1)) == 1
            for member in cluster[1:]:
                member.kill()
            following = in_thread(lambda: next(batches))
            with pytest.raises(UnavailableError, match="no leader"):
                following.result(DEADLINE_S)
