"""The process inside a workload: it answers others, and it probes them.

Run as a script (``python -IS agent.py NAME FD``) inside the workload's network namespace, with nothing but
the standard library. FD is a listening unix socket; on each connection the harness sends requests as JSON
lines and gets answers as JSON lines, in the order in which they are decided. One event loop serves
everything, so hundreds of probes run at once.

Requests (``id`` is echoed in the answers):

    {"id", "op": "listen", "kind": "tcp"|"udp", "port"}
        → {"id"}
    {"id", "op": "probe", "kind": "tcp"|"udp"|"icmp", "to", "port", "timeout_ms", "identify", "source"}
        → {"id", "outcome", "took_us", "name", "peer", "detail"}
    {"id", "op": "flow", "kind", "to", "port", "timeout_ms", "period_ms"}
        → {"id", "state", "at_ns"} whenever the state changes
    {"id", "op": "stop"}, which ends the flow of that id, once its attempts under way are decided
        → {"id", "attempts", "lost"}

A server tells who it is and whom it sees: ``{"name", "peer"}``, sent on a TCP connection when it is
accepted, and as the reply to a UDP datagram. Times are CLOCK_MONOTONIC nanoseconds, which all processes of
a machine share.
"""

import contextlib
import errno
import heapq
import itertools
import json
import os
import random
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]
Decide = Callable[[str, Answer], None]
_REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET}
_LINGER_RESET = struct.pack("ii", 1, 0)  # closing sends RST: no TIME_WAIT, ports are free at once
_ECHO = {4: (8, 0), 6: (128, 129)}  # ICMP type of request and reply: RFC 792, RFC 4443
_QUOTE = {
    4: 28,
    6: 48,
}  # bytes from an ICMP error's start to the quoted ICMP header, without IPv4 options


class Loop:
    """Sockets and timers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def watch(self, sock: socket.socket, events: int, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever the socket has one of the events; replaces an earlier watch."""
        if sock in self._selector.get_map():
            self._selector.modify(sock, events, ready)
        else:
            self._selector.register(sock, events, ready)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching a socket, and close it."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()

    def at(self, when_ns: int, call: Callable[[], None]) -> None:
        """Call once, when the monotonic clock has reached ``when_ns``."""
        heapq.heappush(self._timers, (when_ns, next(self._order), call))

    def run(self) -> None:
        """Serve until the process is killed."""
        while True:
            timeout = None
            if self._timers:
                timeout = max(0, self._timers[0][0] - time.monotonic_ns()) / 1e9
            # What is due is fixed before the sockets are asked: an answer that is there wins over its own
            # timeout, however late this process was scheduled.
            due_ns = time.monotonic_ns() if timeout == 0 else 0
            for key, _ in self._selector.select(timeout):
                key.data()
            while self._timers and self._timers[0][0] <= due_ns:
                heapq.heappop(self._timers)[2]()


class Servers:
    """Listens on all addresses of both families."""

    def __init__(self, loop: Loop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._ports: set[tuple[str, int]] = set()

    def listen(self, kind: str, port: int) -> None:
        """Serve one port; nothing happens when it is served already."""
        if (kind, port) in self._ports:
            return
        for family in (socket.AF_INET, socket.AF_INET6):
            server = socket.socket(family, _socket_type(kind))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.setblocking(False)
            server.bind(("", port))
            self._serve(kind, server)
        self._ports.add((kind, port))

    def _serve(self, kind: str, server: socket.socket) -> None:
        if kind == "tcp":
            server.listen(1024)
            self._loop.watch(server, selectors.EVENT_READ, lambda: self._accept(server))
        else:
            self._loop.watch(server, selectors.EVENT_READ, lambda: self._reply(server))

    def _greeting(self, peer: str) -> bytes:
        return json.dumps({"name": self._name, "peer": peer}).encode() + b"\n"

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, peer = server.accept()
                with client, contextlib.suppress(OSError):
                    client.send(self._greeting(peer[0]))

    def _reply(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                _, peer = server.recvfrom(2048)
                server.sendto(self._greeting(peer[0]), peer)


class Attempt:
    """One probe by TCP or UDP, decided once: by an answer, an error or its timeout."""

    def __init__(self, loop: Loop, request: Answer, decide: Decide) -> None:
        self._loop = loop
        self._identify = bool(request.get("identify"))
        self._decide: Decide | None = decide
        family = socket.AF_INET6 if ":" in request["to"] else socket.AF_INET
        self._sock = socket.socket(family, _socket_type(request["kind"]))
        self._sock.setblocking(False)
        loop.at(
            time.monotonic_ns() + int(request["timeout_ms"] * 1e6), lambda: self._end("timeout")
        )
        try:
            self._begin(request)
        except OSError as error:
            self._fail(error.errno)

    def _begin(self, request: Answer) -> None:
        is_tcp = request["kind"] == "tcp"
        if request.get("source"):
            self._sock.bind((request["source"], 0))
        if is_tcp:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        code = self._sock.connect_ex((request["to"], request["port"]))
        if code not in {0, errno.EINPROGRESS}:
            self._fail(code)
        elif is_tcp:
            self._loop.watch(self._sock, selectors.EVENT_WRITE, self._connected)
        else:
            self._sock.send(b"who\n")
            self._loop.watch(self._sock, selectors.EVENT_READ, self._read)

    def _connected(self) -> None:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(code)
        elif self._identify:
            self._loop.watch(self._sock, selectors.EVENT_READ, self._read)
        else:
            self._end("open")

    def _read(self) -> None:
        try:
            greeting = json.loads(self._sock.recv(2048) or b"{}")
        except OSError as error:
            self._fail(error.errno)
        except ValueError:
            self._end("open")
        else:
            self._end("open", greeting)

    def _fail(self, code: int | None) -> None:
        outcome = "refused" if code in _REFUSED else "unreachable"
        self._end(outcome, {"detail": errno.errorcode.get(code or 0, str(code))})

    def _end(self, outcome: str, more: Answer | None = None) -> None:
        decide, self._decide = self._decide, None
        if decide is not None:
            self._loop.forget(self._sock)
            decide(outcome, more or {})


class Pinger:
    """ICMP echo over one raw socket of a family.

    Every request has an identifier of its own: connection tracking takes requests of one identifier for
    one connection, and what is established stays open when policy changes. The sequence number
    tells our requests from those of others.
    """

    def __init__(self, loop: Loop, version: int) -> None:
        self._loop = loop
        self._version = version
        family, protocol = (
            (socket.AF_INET, socket.IPPROTO_ICMP)
            if version == 4
            else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        )
        self._sock = socket.socket(family, socket.SOCK_RAW, protocol)
        self._sock.setblocking(False)
        self._mark = os.getpid() & 0xFFFF
        self._identifiers = itertools.count(random.randrange(1 << 16))
        self._pending: dict[int, tuple[str, Decide]] = {}
        loop.watch(self._sock, selectors.EVENT_READ, self._read)

    def ping(self, request: Answer, decide: Decide) -> None:
        """Send one echo request."""
        identifier = next(self._identifiers) & 0xFFFF
        self._pending[identifier] = (request["to"], decide)
        until_ns = time.monotonic_ns() + int(request["timeout_ms"] * 1e6)
        self._loop.at(until_ns, lambda: self._end(identifier, "timeout", {}))
        try:
            self._sock.sendto(self._packet(identifier), (request["to"], 0))
        except OSError as error:
            detail = errno.errorcode.get(error.errno or 0, str(error.errno))
            self._end(identifier, "unreachable", {"detail": detail})

    def _packet(self, identifier: int) -> bytes:
        head = struct.pack("!BBHHH", _ECHO[self._version][0], 0, 0, identifier, self._mark)
        if self._version == 6:  # the kernel fills in the checksum: RFC 3542 section 3.1
            return head
        return head[:2] + struct.pack("!H", _checksum(head)) + head[4:]

    def _read(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            while True:
                packet, sender = self._sock.recvfrom(2048)
                self._on_packet(packet, sender[0])

    def _on_packet(self, packet: bytes, sender: str) -> None:
        if self._version == 4:
            packet = packet[(packet[0] & 0xF) * 4 :]
        if packet[0] == _ECHO[self._version][1]:
            identifier, sequence = struct.unpack_from("!HH", packet, 4)
            if sequence == self._mark and self._pending.get(identifier, "?")[0] == sender:
                self._end(identifier, "open", {})
        elif packet[0] == (3 if self._version == 4 else 1):  # destination unreachable
            identifier, sequence = struct.unpack_from("!HH", packet, _QUOTE[self._version] + 4)
            if sequence == self._mark:
                self._end(identifier, "refused", {"detail": f"icmp code {packet[1]} from {sender}"})

    def _end(self, identifier: int, outcome: str, more: Answer) -> None:
        _, decide = self._pending.pop(identifier, (None, None))
        if decide is not None:
            decide(outcome, more)


class Flow:
    """The same probe again and again; tells when the destination opens and closes.

    It is open as soon as an attempt succeeds, and closed since the start of an attempt that failed while
    none that began after it succeeded. A failure that is overtaken by a later success is a lost packet.
    """

    def __init__(
        self, loop: Loop, start: Callable[[Decide], None], period_ns: int, tell: Callable[..., None]
    ) -> None:
        self._loop = loop
        self._start = start
        self._period_ns = period_ns
        self._tell = tell
        self._state = ""
        self._opened_ns = self._last_good_ns = -1
        self._running = True
        self._ended: Callable[[], None] | None = None
        self.attempts = self.decided = self.lost = 0
        self._next()

    def stop(self, ended: Callable[[], None] | None = None) -> None:
        """Start no more attempts; call once those under way are decided."""
        self._running = False
        self._ended = ended
        self._end_if_decided()

    def _end_if_decided(self) -> None:
        if self._ended is not None and self.decided == self.attempts:
            ended, self._ended = self._ended, None
            ended()

    def _next(self) -> None:
        if self._running:
            began_ns = time.monotonic_ns()
            self.attempts += 1
            self._loop.at(began_ns + self._period_ns, self._next)
            self._start(lambda outcome, _: self._decided(began_ns, outcome == "open"))

    def _decided(self, began_ns: int, is_good: bool) -> None:
        now_ns = time.monotonic_ns()
        if is_good:
            self._last_good_ns = max(self._last_good_ns, began_ns)
            if self._state != "open":
                self._opened_ns = now_ns
                self._change("open", now_ns)
        elif began_ns > self._last_good_ns and self._state != "closed":
            self._change("closed", began_ns)
        elif self._opened_ns < began_ns < self._last_good_ns:
            self.lost += 1
        self.decided += 1
        self._end_if_decided()

    def _change(self, state: str, at_ns: int) -> None:
        self._state = state
        if self._running:
            self._tell(state=state, at_ns=at_ns)


class Connection:
    """One harness that is connected: reads its requests, writes the answers."""

    def __init__(self, loop: Loop, sock: socket.socket, agent: "Agent") -> None:
        self._loop = loop
        self._sock = sock
        self._agent = agent
        self._flows: dict[int, Flow] = {}
        self._received = b""
        self._unsent = b""
        sock.setblocking(False)
        loop.watch(sock, selectors.EVENT_READ, self._ready)

    def _ready(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._flush()
            try:
                chunk = self._sock.recv(1 << 16)
            except ConnectionError:
                chunk = b""
            if not chunk:
                self._close()
                return
            *lines, self._received = (self._received + chunk).split(b"\n")
            for line in lines:
                self._serve(json.loads(line))

    def _close(self) -> None:
        for flow in self._flows.values():
            flow.stop()
        self._loop.forget(self._sock)

    def _serve(self, request: Answer) -> None:
        try:
            getattr(self, f"_{request['op']}")(request)
        except OSError as error:
            self._answer(request, error=str(error))

    def _listen(self, request: Answer) -> None:
        self._agent.servers.listen(request["kind"], request["port"])
        self._answer(request)

    def _probe(self, request: Answer) -> None:
        began_ns = time.monotonic_ns()

        def decide(outcome: str, more: Answer) -> None:
            took_us = (time.monotonic_ns() - began_ns) // 1000
            self._answer(request, outcome=outcome, took_us=took_us, **more)

        self._agent.start(request, decide)

    def _flow(self, request: Answer) -> None:
        def start(decide: Decide) -> None:
            self._agent.start(request, decide)

        def tell(**fields: Any) -> None:
            self._answer(request, **fields)

        period_ns = int(request["period_ms"] * 1e6)
        self._flows[request["id"]] = Flow(self._loop, start, period_ns, tell)

    def _stop(self, request: Answer) -> None:
        flow = self._flows.pop(request["id"])
        flow.stop(lambda: self._answer(request, attempts=flow.attempts, lost=flow.lost))

    def _answer(self, request: Answer, **fields: Any) -> None:
        self._unsent += json.dumps({"id": request["id"], **fields}).encode() + b"\n"
        with contextlib.suppress(BlockingIOError):
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            events = selectors.EVENT_READ
        except BlockingIOError:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
        except OSError:  # the harness has gone; reading will see the end
            self._unsent = b""
            events = selectors.EVENT_READ
        if self._sock.fileno() >= 0:
            self._loop.watch(self._sock, events, self._ready)


class Agent:
    """Everything that one namespace offers."""

    def __init__(self, name: str, control: socket.socket) -> None:
        self._loop = Loop()
        self._pingers: dict[int, Pinger] = {}
        self._control = control
        self.servers = Servers(self._loop, name)
        control.setblocking(False)
        self._loop.watch(control, selectors.EVENT_READ, self._accept)

    def run(self) -> None:
        """Serve until killed."""
        self._loop.run()

    def start(self, request: Answer, decide: Decide) -> None:
        """Begin one probe."""
        if request["kind"] == "icmp":
            self._pinger(6 if ":" in request["to"] else 4).ping(request, decide)
        else:
            Attempt(self._loop, request, decide)

    def _pinger(self, version: int) -> Pinger:
        if version not in self._pingers:
            self._pingers[version] = Pinger(self._loop, version)
        return self._pingers[version]

    def _accept(self) -> None:
        sock, _ = self._control.accept()
        Connection(self._loop, sock, self)


def _socket_type(kind: str) -> socket.SocketKind:
    return socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM


def _checksum(packet: bytes) -> int:
    """Internet checksum of an even number of bytes: RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)


def main() -> None:
    """Serve on the control socket that was inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name, descriptor = sys.argv[1:]
    Agent(name, socket.socket(fileno=int(descriptor))).run()


if __name__ == "__main__":
    main()
