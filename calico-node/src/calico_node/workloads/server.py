"""Answers calls: one connection, one call, one thread; a bounded number at a time.

Stopping is graceful: the path disappears, calls that have connected are answered, then the threads end.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from calico_node.workloads.listener import Listener
from calico_node.workloads.stopping import Stop
from libcalico.errors import ValidationError
from libcalico.workload.cni import answer, wire
from libcalico.workload.cni.errors import TRY_AGAIN_LATER, CniError
from libcalico.workload.cni.model import Call, Reply

_log = logging.getLogger(__name__)
#: Calls at work; further ones wait.
MAX_CALLS = 64
#: Calls that wait; further ones are told to come again.
MAX_WAITING = 1024
#: How long a peer may take to send its call, or to take its reply.
IO_TIMEOUT_S = 60.0
_ANCILLARY_BYTES = socket.CMSG_SPACE(4 * 8)
_DESCRIPTOR_BYTES = 4

Answer = Callable[[Call], Reply]


class WorkloadServer:
    """Serves until stopped.

    Args:
        listener: stays the caller's to close.
        answer: does a call; raises nothing but mistakes of ours.
        stop: makes :meth:`serve` return once what was asked is answered; stays the caller's to close.
    """

    def __init__(
        self, listener: Listener, answer: Answer, stop: Stop, *, max_calls: int = MAX_CALLS
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._max_calls = max_calls
        self._pending = 0
        self._count = threading.Lock()
        self._stop = stop

    def serve(self) -> None:
        """Accept and answer until told to stop."""
        poll = select.poll()
        poll.register(self._listener.socket, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        with ThreadPoolExecutor(self._max_calls, "call") as threads:
            while self._stop.fileno() not in dict(poll.poll()):
                self._accept_all(threads)
            self._listener.hide()
            self._accept_all(threads)

    def _accept_all(self, threads: ThreadPoolExecutor) -> None:
        while connection := self._listener.accept():
            with self._count:
                self._pending += 1
                crowded = self._pending > self._max_calls + MAX_WAITING
            threads.submit(self._serve_one, connection, crowded=crowded)

    def _serve_one(self, connection: socket.socket, *, crowded: bool) -> None:
        began = time.monotonic()
        try:
            with connection:
                connection.settimeout(IO_TIMEOUT_S)
                with received(connection) as call:
                    reply = self._refused(call) if crowded else self._answered(call)
                    connection.sendall(wire.encode_reply(reply))
                    _log_call(call, reply, began)
        except (OSError, ValidationError) as error:
            _log.warning("call not answered error=%r", str(error))
        finally:
            with self._count:
                self._pending -= 1

    def _answered(self, call: Call) -> Reply:
        try:
            return self._answer(call)
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            _log.exception("call failed by a mistake of ours")
            return answer.crashed(call, error)

    def _refused(self, call: Call) -> Reply:
        return answer.failed(call, CniError(TRY_AGAIN_LATER, "too many calls at the same time"))


class received:  # noqa: N801 - used as a verb in a with statement
    """Receives a call; leaving it closes the descriptor that came with it.

    Raises:
        ValidationError: what came is no call.
        OSError: the peer is too slow, or gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._descriptors: list[int] = []

    def __enter__(self) -> Call:
        try:
            return self._receive()
        except BaseException:
            self._close()
            raise

    def __exit__(self, *_: object) -> None:
        self._close()

    def _receive(self) -> Call:
        size = wire.CALL_HEADER.size
        start, ancillary, _, _ = self._connection.recvmsg(size, _ANCILLARY_BYTES)
        self._keep(ancillary)
        header = wire.decode_call_header(start + self._exactly(size - len(start)))
        environ = wire.decode_environ(self._exactly(header.environ_bytes))
        stdin = self._exactly(header.stdin_bytes)
        return Call(header.plugin, stdin, environ, next(iter(self._descriptors), None))

    def _keep(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(data) - len(data) % _DESCRIPTOR_BYTES
                self._descriptors += memoryview(data[:whole]).cast("i").tolist()

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._connection.recv(min(size, 1 << 16))
            if not part:
                raise ValidationError("the call is incomplete")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


def _log_call(call: Call, reply: Reply, began: float) -> None:
    shown = wire.environ_of_interest(call.environ)
    outcome = "ok" if reply.exit_code == 0 else reply.stdout.decode().strip()
    _log.info(
        "call answered plugin=%s command=%s container=%s ifname=%s netns=%s took_ms=%.1f outcome=%r",
        call.plugin,
        *shown.values(),
        (time.monotonic() - began) * 1000,
        outcome,
    )
