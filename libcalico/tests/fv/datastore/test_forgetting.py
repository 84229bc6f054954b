"""A real etcd that forgets: compacted under a watch and under a read, restored from a backup."""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from libcalico.datastore.config import connect, connect_async
from libcalico.datastore.etcd import operations
from libcalico.datastore.follow import Follower, follow
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.datastore.syncer import Update
from libcalico.errors import CompactedError, ConflictError, UnavailableError
from libcalico.testing.backend_contract import in_thread
from libcalico.testing.portal import Portal

DEADLINE_S = 60.0
#: What etcd and gRPC hold between them for a reader that does not read.
IN_FLIGHT_BYTES = 32 * 2**20
VALUE = b"x" * 64 * 1024


def apply(content: dict[str, bytes], changes: list) -> None:
    for change in changes:
        if isinstance(change, Update) and change.value is None:
            del content[change.key]
        elif isinstance(change, Update):
            content[change.key] = change.value


def content_of(backend) -> dict[str, bytes]:
    return {item.key: item.value for item in backend.read("/").items}


class Following:
    """A follower of everything, read only as far as a test asks for, and what it makes of it."""

    def __init__(self, backend) -> None:
        self.content: dict[str, bytes] = {}
        self._follower = Follower(backend, ["/"])
        self._changes = iter(self._follower)

    def step(self) -> None:
        apply(self.content, next(self._changes))

    def until(self, key: str, value: bytes | None) -> None:
        def run() -> None:
            while self.content.get(key) != value:
                self.step()

        in_thread(run).result(DEADLINE_S)

    def close(self) -> None:
        self._follower.close()


@pytest.fixture
def etcd(start_member):
    """A member of one's own: what it forgets, others may need."""
    return start_member()


@pytest.fixture
def writer(etcd) -> Iterator:
    with connect(etcd.config()) as backend:
        yield backend


@pytest.fixture(params=["blocking", "asyncio"])
def reader(etcd, request) -> Iterator:
    """Either driver."""
    if request.param == "blocking":
        with connect(etcd.config()) as backend:
            yield backend
        return
    portal = Portal(lambda: connect_async(etcd.config()))
    yield portal
    portal.close()
    portal.stop()


@pytest.fixture
def following(etcd) -> Iterator[Following]:
    with connect(etcd.config()) as backend:
        following = Following(backend)
        yield following
        following.close()


def resident_bytes() -> int:
    """Memory of this process, which holds whatever the driver has taken from the stream."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def flood(writer) -> Revision:
    """Write more than can be in flight, at last something that tells the end; return its revision."""
    for number in range(2 * IN_FLIGHT_BYTES // len(VALUE)):
        writer.put(f"/flood/{number % 10}", VALUE + b"%d" % number)
    return writer.put("/end", b"")


def test_a_watch_that_is_compacted_away_while_nobody_reads_it_says_so(etcd, writer, reader):
    start = writer.put("/flood/start", b"")
    with reader.watch(["/"], start) as batches:
        next(batches)
        etcd.compact(flood(writer))

        def read_on() -> int:
            seen = 0
            while True:
                for event in next(batches).events:
                    seen += 1
                    assert event.revision == start + seen, "a change is missing"

        with pytest.raises(CompactedError):
            in_thread(read_on).result(DEADLINE_S)


def test_a_follower_that_is_too_slow_for_compactions_ends_at_the_stores_content(
    etcd, writer, following
):
    writer.put("/gone", b"1")
    following.until("/gone", b"1")
    writer.delete("/gone")
    etcd.compact(flood(writer))
    following.until("/end", b"")
    assert following.content == content_of(writer)


def test_a_slow_watch_of_a_store_that_is_not_compacted_loses_no_change(writer, reader):
    start = writer.put("/flood/start", b"")
    with reader.watch(["/"], start) as batches:
        next(batches)
        before = resident_bytes()
        end = flood(writer)
        assert resident_bytes() - before < IN_FLIGHT_BYTES

        def read_on() -> list[int]:
            revisions: list[int] = []
            while not revisions or revisions[-1] < end:
                revisions += [event.revision for event in next(batches).events]
            return revisions

        assert in_thread(read_on).result(DEADLINE_S) == list(range(start + 1, end + 1))


def compacted_between_pages(etcd, writer, operation):
    """Pass an operation's requests on; before the second one the store changes and is compacted."""
    request = next(operation)
    count = 0
    while True:
        count += 1
        if count == 2:
            etcd.compact(writer.transact([Put("/page/new", b""), Delete("/page/00")]))
        try:
            answer = yield request
        except CompactedError as error:
            request = operation.throw(error)
            continue
        try:
            request = operation.send(answer)
        except StopIteration as stop:
            return stop.value


def test_a_read_that_is_compacted_away_between_two_pages_begins_again(etcd, writer):
    for number in range(30):
        writer.put(f"/page/{number:02d}", b"")
    operation = operations.read(["/page/"], page_keys=10)
    snapshot = writer.run(compacted_between_pages(etcd, writer, operation))
    keys = [item.key for item in snapshot.items]
    assert keys == [f"/page/{number:02d}" for number in range(1, 30)] + ["/page/new"]


def test_a_read_of_the_past_that_is_compacted_away_is_an_error(etcd, writer):
    for number in range(30):
        revision = writer.put(f"/page/{number:02d}", b"")
    operation = operations.read(["/page/"], revision, page_keys=10)
    with pytest.raises(CompactedError, match="compacted"):
        writer.run(compacted_between_pages(etcd, writer, operation))


def restore(etcd, backup) -> None:
    """Stop the member and start it on the backup, as the operator's guide of etcd says."""
    etcd.kill()
    shutil.rmtree(etcd.folder / etcd.name)
    subprocess.run(
        [
            *("etcdctl", "snapshot", "restore", str(backup)),
            *("--data-dir", str(etcd.folder / etcd.name), "--name", etcd.name),
            *("--initial-cluster", f"{etcd.name}={etcd.peer_url}"),
            *("--initial-advertise-peer-urls", etcd.peer_url),
        ],
        check=True,
        capture_output=True,
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin:/usr/local/bin"},
        timeout=DEADLINE_S,
    )
    etcd.start()
    etcd.wait_port()


@pytest.fixture
def backed_up(etcd, writer, tmp_path):
    """Keys that a backup holds; then one of them is changed, one deleted, one written anew."""
    for key in ("/kept", "/changed", "/deleted"):
        writer.put(key, b"in the backup")
    etcd.etcdctl("snapshot", "save", str(tmp_path / "backup"))
    writer.put("/changed", b"after it")
    writer.delete("/deleted")
    writer.put("/new", b"after it")
    return tmp_path / "backup"


@pytest.mark.parametrize("later", [0, 100], ids=["older", "grown past it since"])
def test_a_follower_of_a_restored_store_goes_back_with_it(
    etcd, writer, following, backed_up, later
):
    following.until("/new", b"after it")
    before = writer.read("/").revision
    restore(etcd, backed_up)
    for number in range(later):
        writer.put("/later", b"%d" % number)
    writer.put("/end", b"")
    assert (writer.read("/").revision > before) == bool(later)
    following.until("/end", b"")
    assert following.content == content_of(writer)
    assert following.content["/deleted"] == following.content["/changed"] == b"in the backup"
    assert "/new" not in following.content


def test_an_asyncio_follower_of_a_restored_store_goes_back_with_it(etcd, writer, backed_up):
    async def scenario() -> dict[str, bytes]:
        backend, content = connect_async(etcd.config()), {}
        async with aclosing(follow(backend, ["/"])) as changes:
            apply(content, await anext(changes))
            await asyncio.to_thread(restore, etcd, backed_up)
            await backend.put("/end", b"")
            while "/end" not in content:
                apply(content, await anext(changes))
        await backend.close()
        return content

    content = asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))
    assert content == content_of(writer)
    assert "/new" not in content


def test_what_was_read_before_a_restore_is_not_written_after_it(etcd, writer, backed_up):
    seen = writer.get("/changed")
    restore(etcd, backed_up)
    with (
        pytest.raises(CompactedError, match="restored from a backup"),
        writer.watch(["/"], Revision(seen.revision + 10)) as batches,
    ):
        next(batches)
    with pytest.raises(ConflictError):
        writer.update("/changed", b"on top of what is gone", seen.revision)


def test_endless_compaction_ends_in_an_error_and_not_in_a_loop(etcd, writer):
    for number in range(30):
        writer.put(f"/page/{number:02d}", b"")

    def always(operation):
        request = next(operation)
        while True:
            if request.success[0].request_range.revision:
                etcd.compact(writer.put("/page/00", b""))
            try:
                answer = yield request
            except CompactedError as error:
                request = operation.throw(error)
            else:
                request = operation.send(answer)

    with pytest.raises(UnavailableError, match="compacted faster"):
        writer.run(always(operations.read(["/page/"], page_keys=10)))
