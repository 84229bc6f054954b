"""Follow prefixes of a store for ever: the drivers of :class:`~.syncer.Syncer`.

They yield lists of changes, in order, and say when the store is lost and found again. They end only
when they are closed, or by an error that waiting does not heal (a DatastoreError).

The watch is opened before what was read is passed on: whoever takes long over a snapshot must not find
another store, restored from a backup meanwhile, in its place.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from libcalico.datastore.backend import AsyncBackend, Backend
from libcalico.datastore.model import EventBatch, Revision
from libcalico.datastore.syncer import InSync, ReadSnapshot, Syncer, Update, Watch
from libcalico.errors import CompactedError, UnavailableError


@dataclass(frozen=True, slots=True)
class Connected:
    """The store answers; what follows is fresh."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The store does not answer; what was yielded so far may be out of date. Told once per outage."""

    reason: str


Change = Update | InSync | Connected | Disconnected


@dataclass(slots=True)
class Backoff:
    """Growing pauses, with jitter so that many followers do not come back at once.

    Attributes:
        first_s, longest_s: bounds of the pauses.
        pick: (low, high) → a number between; random unless a test says otherwise.
    """

    first_s: float = 0.1
    longest_s: float = 5.0
    pick: Callable[[float, float], float] = random.uniform
    _next_s: float = field(default=0.0, init=False)

    def next_s(self) -> float:
        """Return the next pause: between half and all of a step that doubles each time."""
        step_s = max(self.first_s, self._next_s)
        self._next_s = min(2 * step_s, self.longest_s)
        return self.pick(step_s / 2, step_s)

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._next_s = 0.0


class _Progress:
    """What both followers keep beside the Syncer: whether the store answers, and how long to wait."""

    def __init__(self, backoff: Backoff | None) -> None:
        self.syncer = Syncer()
        self.backoff = backoff or Backoff()
        self._connected: bool | None = None
        self._watching_since = 0.0

    def found(self) -> list[Change]:
        news: list[Change] = [] if self._connected else [Connected()]
        self._connected = True
        return news

    def lost(self, error: UnavailableError) -> list[Change]:
        news: list[Change] = [] if self._connected is False else [Disconnected(str(error))]
        self._connected = False
        return news

    def watch_began(self) -> None:
        self._watching_since = time.monotonic()

    def batch(self, batch: EventBatch) -> list[Change]:
        self.backoff.reset()
        return list(self.syncer.on_events(batch))

    def watch_ended(self, error: CompactedError | UnavailableError) -> list[Change]:
        if time.monotonic() - self._watching_since >= self.backoff.longest_s:
            self.backoff.reset()
        if isinstance(error, CompactedError):
            self.syncer.on_compacted()
            return []
        self.syncer.on_broken()
        return self.lost(error)

    def read_failed(self, error: CompactedError | UnavailableError) -> list[Change]:
        self.syncer.on_read_failed()
        return self.lost(error) if isinstance(error, UnavailableError) else []


_ENDED = UnavailableError("datastore: the watch ended")


async def follow(
    backend: AsyncBackend,
    prefixes: Sequence[str],
    *,
    backoff: Backoff | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[list[Change], None]:
    """Yield every change of the prefixes, first of all what they hold.

    Lists are never empty. Wrap it in ``contextlib.aclosing`` if the loop over it may be left early.

    Args:
        backend: stays open.
        prefixes: at least one.
        backoff: pauses between attempts.
        sleep: waits for so many seconds.

    Raises:
        DatastoreError: the store refused to be read.
    """
    progress = _Progress(backoff)
    read: list[Change] = []
    while True:
        news: list[Change] = []
        match progress.syncer.next_step:
            case ReadSnapshot():
                try:
                    snapshot = await backend.read(*prefixes)
                except (UnavailableError, CompactedError) as error:
                    news = progress.read_failed(error)
                else:
                    read = [*progress.found(), *progress.syncer.on_snapshot(snapshot)]
                    continue
            case Watch(start):
                progress.watch_began()
                ended: CompactedError | UnavailableError = _ENDED
                async with backend.watch(prefixes, start) as batches:
                    if read:
                        yield read
                    try:
                        async for batch in batches:
                            if changes := progress.batch(batch):
                                yield changes
                    except (UnavailableError, CompactedError) as error:
                        ended = error
                news = progress.watch_ended(ended)
        if news:
            yield news
        await sleep(progress.backoff.next_s())


class Follower:
    """The same for a thread: iterate over it; :meth:`close`, from any thread, ends the iteration.

    Args:
        backend: stays open.
        prefixes: at least one.
        backoff: pauses between attempts.
    """

    def __init__(
        self, backend: Backend, prefixes: Sequence[str], *, backoff: Backoff | None = None
    ) -> None:
        self._backend = backend
        self._prefixes = prefixes
        self._progress = _Progress(backoff)
        self._closed = threading.Event()
        self._watch: AbstractContextManager[Iterator[EventBatch]] | None = None

    def close(self) -> None:
        """End the iteration, also while it waits."""
        self._closed.set()
        watch = self._watch
        if watch is not None:
            watch.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[Change]]:
        """See :func:`follow`."""
        changes: list[Change] = []
        while not self._closed.is_set():
            match self._progress.syncer.next_step:
                case ReadSnapshot():
                    changes = self._read()
                    if isinstance(self._progress.syncer.next_step, Watch):
                        continue
                    if changes:
                        yield changes
                case Watch(start):
                    yield from self._watch_until_it_ends(start, changes)
            self._closed.wait(self._progress.backoff.next_s())

    def _read(self) -> list[Change]:
        try:
            snapshot = self._backend.read(*self._prefixes)
        except (UnavailableError, CompactedError) as error:
            return self._progress.read_failed(error)
        return [*self._progress.found(), *self._progress.syncer.on_snapshot(snapshot)]

    def _watch_until_it_ends(self, start: Revision, read: list[Change]) -> Iterator[list[Change]]:
        self._progress.watch_began()
        ended: CompactedError | UnavailableError = _ENDED
        watch = self._backend.watch(self._prefixes, start)
        with watch as batches:
            self._watch = watch
            if read:
                yield read
            try:
                while not self._closed.is_set():
                    batch = next(batches, None)
                    if batch is None:
                        break
                    if changes := self._progress.batch(batch):
                        yield changes
            except (UnavailableError, CompactedError) as error:
                ended = error
        if not self._closed.is_set() and (news := self._progress.watch_ended(ended)):
            yield news
