"""The asyncio etcd driver. It carries messages; ``operations`` and ``attempts`` decide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from libcalico.datastore.config import DatastoreConfig, Endpoint
from libcalico.datastore.etcd import channels, operations
from libcalico.datastore.etcd.attempts import Attempts, Failure
from libcalico.datastore.etcd.channels import Method, Session
from libcalico.datastore.etcd.operations import Answer, Operation
from libcalico.datastore.etcd.watching import WatchStream
from libcalico.datastore.etcd.wire import Message
from libcalico.datastore.model import EventBatch, KeyValue, Revision, Snapshot, Write
from libcalico.errors import CalicoError, CompactedError, UnauthorizedError, UnavailableError

T = TypeVar("T")

#: What a stream that ended returns.
_END = grpc.aio.EOF  # type: ignore[attr-defined]


class AsyncEtcdBackend:
    """Asyncio access to etcd; connects when first used. See :class:`~.backend.AsyncBackend`.

    It belongs to the event loop in which it is first used.
    """

    def __init__(self, config: DatastoreConfig) -> None:
        self._session = Session(config)
        self._links: dict[int, tuple[grpc.aio.Channel, Mapping[type[Any], Method]]] = {}
        self._login = asyncio.Lock()

    async def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return await self.run(operations.get(key, revision))

    async def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return await self.run(operations.read(prefixes, revision))

    async def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return await self.run(operations.put(key, value, ttl_s))

    async def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        await self.run(operations.delete(key, revision))

    async def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        return await self.run(operations.transact(writes))

    def watch(self, prefixes: Sequence[str], start: Revision) -> AsyncEtcdWatch:
        """See :meth:`Backend.watch`."""
        return AsyncEtcdWatch(self, WatchStream(prefixes, start))

    async def close(self) -> None:
        """See :meth:`Backend.close`."""
        self._session.closed = True
        links, self._links = self._links, {}
        for channel, _ in links.values():
            await channel.close(None)

    # For operations and for the watch

    async def run(self, operation: Operation[T]) -> T:
        """Carry an operation's requests out until it returns."""
        try:
            request = next(operation)
            while True:
                try:
                    answer = await self._call(request)
                except CompactedError as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            operation.close()

    def attempts(self) -> Attempts:
        """Start the attempts at one call."""
        return self._session.attempts()

    async def _pause(self, attempts: Attempts, failure: Failure) -> None:
        self._session.check_open()
        await asyncio.sleep(attempts.on_failure(failure, time.monotonic()))

    def start_failed(self, attempts: Attempts, failure: Failure) -> None:
        """See :meth:`Session.start_failed`."""
        self._session.start_failed(attempts, failure)

    async def prepare(
        self, attempts: Attempts, request: Message
    ) -> tuple[Method, list[tuple[str, str]]]:
        """Return the method that carries the request, and its metadata; log in if that is due."""
        methods = self._methods(attempts.endpoint)
        async with self._login:
            login = self._session.login(attempts)
            if login is not None:
                await self._log_in(methods[type(login)](login, timeout=time_left_s(attempts)))
        return methods[type(request)], self._session.metadata()

    async def _log_in(self, call: Awaitable[Message]) -> None:
        try:
            self._session.token = (await self.unless_closed(call)).token
        except grpc.RpcError as error:
            if not channels.wants_no_login(channels.failure(error)):
                raise
            self._session.token = ""

    async def _call(self, request: Message) -> Answer:
        attempts = self.attempts()
        while True:
            try:
                method, metadata = await self.prepare(attempts, request)
                call = method(request, timeout=time_left_s(attempts), metadata=metadata)
                reply = await self.unless_closed(call)
            except grpc.RpcError as error:
                await self._pause(attempts, channels.failure(error))
            else:
                self._session.answered(attempts)
                return Answer(reply, attempts.maybe_done)

    async def unless_closed(self, call: Awaitable[T]) -> T:
        """Wait for a reply. gRPC cancels its calls when the channel is closed: that is no cancellation."""
        try:
            return await call
        except asyncio.CancelledError:
            if not _task_is_canceled():
                self._session.check_open()
            raise

    def _methods(self, index: int) -> Mapping[type[Any], Method]:
        """Return the stub methods of an endpoint's channel, which is made when first needed."""
        self._session.check_open()
        if index not in self._links:
            channel = self._connect(self._session.config.endpoints[index])
            self._links[index] = (channel, channels.methods(channel))
        return self._links[index][1]

    def _connect(self, endpoint: Endpoint) -> grpc.aio.Channel:
        secure = channels.credentials(self._session.config, endpoint)
        if secure is None:
            return grpc.aio.insecure_channel(endpoint.target, options=channels.options())
        return grpc.aio.secure_channel(endpoint.target, secure, options=channels.options())


def time_left_s(attempts: Attempts) -> float:
    """Return how long this attempt may take."""
    return attempts.time_left_s(time.monotonic())


async def _requests(request: Message, end: asyncio.Event) -> AsyncIterator[Message]:
    """Send the request, then keep our side of the stream open until the end.

    gRPC cancels this only with a call that still runs, and asyncio complains of what is left waiting.
    """
    yield request
    await end.wait()


def _task_is_canceled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class AsyncEtcdWatch:
    """Context manager and iterator of one asyncio watch. Another task may exit it."""

    def __init__(self, backend: AsyncEtcdBackend, stream: WatchStream) -> None:
        self._backend = backend
        self._stream = stream
        self._closed = False
        self._call: Any = None
        self._end = asyncio.Event()
        self._error: CalicoError | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except CalicoError as error:
            self._error = error
        except asyncio.CancelledError:
            self._cancel()
            raise
        if self._closed:
            self._cancel()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._cancel()

    def _cancel(self) -> None:
        self._end.set()
        if self._call is not None:
            self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventBatch:
        while not self._closed:
            if self._error is not None:
                raise self._error
            reply = await self._next_reply()
            batch = None if reply is None else self._stream.on_reply(reply)
            if batch is not None:
                return batch
        raise StopAsyncIteration

    async def _next_reply(self) -> Message | None:
        """Return the next reply; None if the watch was closed or broke meanwhile."""
        try:
            reply = await self._backend.unless_closed(self._call.read())
        except grpc.RpcError as error:
            self._error = channels.broken(channels.failure(error))
        except UnavailableError as error:
            self._error = error
        except asyncio.CancelledError:
            if _task_is_canceled() or not self._closed:
                raise
        else:
            if reply is not _END:
                return reply
            self._error = channels.broken(None)
        return None

    async def _open(self) -> None:
        """Start the stream: one attempt, and one more with a fresh log-in if the store asks for it."""
        attempts = self._backend.attempts()
        while not self._closed:
            try:
                async with asyncio.timeout(time_left_s(attempts)):
                    behind = await self._start(attempts)
            except TimeoutError:
                self._backend.start_failed(attempts, channels.UNCONFIRMED)
            except grpc.RpcError as error:
                self._backend.start_failed(attempts, channels.failure(error))
            except UnauthorizedError as error:
                self._backend.start_failed(attempts, channels.denied_watch(error))
            else:
                if behind:
                    await self._check_revision()
                return

    async def _start(self, attempts: Attempts) -> bool:
        self._cancel()
        request = self._stream.request()
        method, metadata = await self._backend.prepare(attempts, request)
        self._end = asyncio.Event()
        requests = _requests(request, self._end)
        self._call = method(requests, metadata=[*metadata, channels.REQUIRE_LEADER])
        first = await self._backend.unless_closed(self._call.read())
        if first is _END:
            raise channels.broken(None)
        return self._stream.on_created(first)

    async def _check_revision(self) -> None:
        current = operations.current_revision(self._stream.first_key)
        self._stream.on_revision(await self._backend.run(current))
