"""A plain etcd client, the baseline of what we do in a datastore: etcd's own stubs and nothing else.

:class:`Recorder` is our driver, noting what it sends; :class:`PlainClient` sends the same again, to the
same or another store, one request after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from libcalico.datastore.etcd.attempts import Attempts
from libcalico.datastore.etcd.channels import Method
from libcalico.datastore.etcd.sync import EtcdBackend
from libcalico.datastore.etcd.wire import Message

_ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Recorder(EtcdBackend):
    """Our driver; ``requests`` holds what it has sent, in order."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.requests: list[Message] = []

    def prepare(self, attempts: Attempts, request: Message) -> tuple[Method, list[tuple[str, str]]]:
        """Note the request."""
        self.requests.append(request)
        return super().prepare(attempts, request)


class PlainClient:
    """The stubs of etcd's key-value service."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint.removeprefix("http://"), options=_ANY_SIZE)
        stub = rpc_pb2_grpc.KVStub(self._channel)
        self._methods = {rpc_pb2.RangeRequest: stub.Range, rpc_pb2.TxnRequest: stub.Txn}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def send(self, requests: Iterable[Message]) -> None:
        """Send them one after the other, waiting for each reply."""
        for request in requests:
            self._methods[type(request)](request)

    def read(self, prefix: str) -> list[tuple[bytes, bytes]]:
        """Return all keys with a prefix, and their values."""
        start = prefix.encode()
        request = rpc_pb2.RangeRequest(key=start, range_end=start[:-1] + bytes([start[-1] + 1]))
        reply = self._methods[rpc_pb2.RangeRequest](request)
        return [(item.key, item.value) for item in reply.kvs]


def repeatable(requests: Iterable[Message]) -> list[Message]:
    """Return the requests with conditions that always hold in place of those on revisions."""
    made = []
    for request in requests:
        copy = type(request)()
        copy.CopyFrom(request)
        if isinstance(copy, rpc_pb2.TxnRequest):
            for condition in copy.compare:
                condition.result, condition.mod_revision = rpc_pb2.Compare.GREATER, -1
        made.append(copy)
    return made
