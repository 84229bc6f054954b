"""The blocking etcd driver. It carries messages; ``operations`` and ``attempts`` decide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

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


class EtcdBackend:
    """Blocking access to etcd. Thread-safe; connects when first used. See :class:`~.backend.Backend`."""

    def __init__(self, config: DatastoreConfig) -> None:
        self._session = Session(config)
        self._lock = threading.Lock()
        self._links: dict[int, tuple[grpc.Channel, Mapping[type[Any], Method]]] = {}
        self._closing = threading.Event()

    def get(self, key: str, *, revision: Revision | None = None) -> KeyValue | None:
        """See :meth:`Backend.get`."""
        return self.run(operations.get(key, revision))

    def read(self, *prefixes: str, revision: Revision | None = None) -> Snapshot:
        """See :meth:`Backend.read`."""
        return self.run(operations.read(prefixes, revision))

    def put(self, key: str, value: bytes, *, ttl_s: int | None = None) -> Revision:
        """See :meth:`Backend.put`."""
        return self.run(operations.put(key, value, ttl_s))

    def create(self, key: str, value: bytes) -> Revision:
        """See :meth:`Backend.create`."""
        return self.run(operations.create(key, value))

    def update(self, key: str, value: bytes, revision: Revision) -> Revision:
        """See :meth:`Backend.update`."""
        return self.run(operations.update(key, value, revision))

    def delete(self, key: str, revision: Revision | None = None) -> None:
        """See :meth:`Backend.delete`."""
        self.run(operations.delete(key, revision))

    def transact(self, writes: Sequence[Write]) -> Revision:
        """See :meth:`Backend.transact`."""
        return self.run(operations.transact(writes))

    def watch(self, prefixes: Sequence[str], start: Revision) -> EtcdWatch:
        """See :meth:`Backend.watch`."""
        return EtcdWatch(self, WatchStream(prefixes, start))

    def close(self) -> None:
        """See :meth:`Backend.close`."""
        with self._lock:
            self._session.closed = True
            links, self._links = self._links, {}
        self._closing.set()
        for channel, _ in links.values():
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # For operations and for the watch

    def run(self, operation: Operation[T]) -> T:
        """Carry an operation's requests out until it returns."""
        try:
            request = next(operation)
            while True:
                try:
                    answer = self._call(request)
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

    def _pause(self, attempts: Attempts, failure: Failure) -> None:
        self._session.check_open()
        self._closing.wait(attempts.on_failure(failure, time.monotonic()))

    def start_failed(self, attempts: Attempts, failure: Failure) -> None:
        """See :meth:`Session.start_failed`."""
        self._session.start_failed(attempts, failure)

    def prepare(self, attempts: Attempts, request: Message) -> tuple[Method, list[tuple[str, str]]]:
        """Return the method that carries the request, and its metadata; log in if that is due."""
        methods = self._methods(attempts.endpoint)
        login = self._session.login(attempts)
        if login is not None:
            try:
                reply = methods[type(login)](login, timeout=time_left_s(attempts))
                self._session.token = reply.token
            except grpc.RpcError as error:
                if not channels.wants_no_login(channels.failure(error)):
                    raise
                self._session.token = ""
        return methods[type(request)], self._session.metadata()

    def _call(self, request: Message) -> Answer:
        attempts = self.attempts()
        while True:
            try:
                method, metadata = self.prepare(attempts, request)
                reply = method(request, timeout=time_left_s(attempts), metadata=metadata)
            except grpc.RpcError as error:
                self._pause(attempts, channels.failure(error))
            else:
                self._session.answered(attempts)
                return Answer(reply, attempts.maybe_done)

    def _methods(self, index: int) -> Mapping[type[Any], Method]:
        """Return the stub methods of an endpoint's channel, which is made when first needed."""
        with self._lock:
            self._session.check_open()
            if index not in self._links:
                channel = self._connect(self._session.config.endpoints[index])
                self._links[index] = (channel, channels.methods(channel))
            return self._links[index][1]

    def _connect(self, endpoint: Endpoint) -> grpc.Channel:
        secure = channels.credentials(self._session.config, endpoint)
        if secure is None:
            return grpc.insecure_channel(endpoint.target, options=channels.options())
        return grpc.secure_channel(endpoint.target, secure, options=channels.options())


def time_left_s(attempts: Attempts) -> float:
    """Return how long this attempt may take."""
    return attempts.time_left_s(time.monotonic())


class _Call:
    """One stream to etcd, until it is cancelled. Any thread may cancel it."""

    def __init__(self, method: Method, request: Message, metadata: list[tuple[str, str]]) -> None:
        self._request = request
        self._canceled = threading.Event()
        self._replies = method(self._requests(), metadata=metadata)

    def _requests(self) -> Iterator[Message]:
        """Send the request, then keep our side of the stream open."""
        yield self._request
        self._canceled.wait()

    def read(self) -> Message:
        """Wait for the next reply. Raises grpc.RpcError or StopIteration when the stream ends."""
        return next(self._replies)

    def read_within(self, timeout_s: float) -> Message:
        """Wait for the next reply; the stream is cancelled when it takes longer."""
        timer = threading.Timer(timeout_s, self.cancel)
        timer.daemon = True
        timer.start()
        try:
            return self.read()
        finally:
            timer.cancel()

    def cancel(self) -> None:
        """End the stream at once; who waits in :meth:`read` is woken."""
        self._canceled.set()
        self._replies.cancel()


class EtcdWatch:
    """Context manager and iterator of one blocking watch. Another thread may exit it."""

    def __init__(self, backend: EtcdBackend, stream: WatchStream) -> None:
        self._backend = backend
        self._stream = stream
        self._closed = False
        self._call: _Call | None = None
        self._error: CalicoError | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except CalicoError as error:
            self._error = error
        if self._closed and self._call is not None:
            self._call.cancel()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._call is not None:
            self._call.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventBatch:
        while not self._closed:
            if self._error is not None or self._call is None:
                raise self._error or UnavailableError("datastore: the watch is not open")
            try:
                batch = self._stream.on_reply(self._call.read())
            except grpc.RpcError as error:
                self._error = channels.broken(channels.failure(error))
            except StopIteration:
                self._error = channels.broken(None)
            else:
                if batch is not None:
                    return batch
        raise StopIteration

    def _open(self) -> None:
        """Start the stream: one attempt, and one more with a fresh log-in if the store asks for it."""
        attempts = self._backend.attempts()
        while not self._closed:
            try:
                behind = self._start(attempts)
            except grpc.RpcError as error:
                self._backend.start_failed(attempts, channels.unconfirmed(channels.failure(error)))
            except UnauthorizedError as error:
                self._backend.start_failed(attempts, channels.denied_watch(error))
            else:
                if behind:
                    self._check_revision()
                return

    def _start(self, attempts: Attempts) -> bool:
        if self._call is not None:
            self._call.cancel()
        request = self._stream.request()
        method, metadata = self._backend.prepare(attempts, request)
        self._call = _Call(method, request, [*metadata, channels.REQUIRE_LEADER])
        return self._stream.on_created(self._call.read_within(time_left_s(attempts)))

    def _check_revision(self) -> None:
        current = operations.current_revision(self._stream.first_key)
        self._stream.on_revision(self._backend.run(current))
