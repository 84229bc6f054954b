"""Traffic between two workloads, with nothing but sockets.

``python -m bench.traffic serve`` answers on ``PORTS``, and says ``serving``. ``python -m bench.traffic ask
ADDRESS`` reads one word a line and prints one number a line:

    latency       microseconds of one exchange of 64 octets on an established connection (the median of many)
    throughput    MB/s of an established connection
    connections   microseconds of one new connection, until its first octet (the mean of many)

Both sides keep to one processor: with two, how long an exchange takes depends on where the scheduler wakes
the other side, which makes a factor of two and has nothing to do with the path of the packets.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import sys
import threading
import time
from collections.abc import Callable

PORT = 8000
GREETING_PORT = 8001
PORTS = (PORT, GREETING_PORT)
_TIMEOUT_S = 5.0
_MESSAGE = bytes(64)
_CHUNK = bytes(1 << 16)
_EXCHANGES = 1_000
_STREAM_S = 0.25
_CONNECTIONS = 300
#: Closing sends RST: no TIME_WAIT, so that thousands of connections do not use up the ports.
_RESET = struct.pack("ii", 1, 0)


def serve() -> None:
    """Send messages back and swallow longer reads on ``PORT``; greet and hang up on ``GREETING_PORT``."""
    talking, greeting = (socket.create_server(("", port), backlog=512) for port in PORTS)
    threading.Thread(target=_talk, args=(talking,), daemon=True).start()
    print("serving", flush=True)
    while True:
        client, _ = greeting.accept()
        with client:
            client.sendall(b"!")


def _talk(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    try:
        with client:
            while message := client.recv(len(_CHUNK)):
                if len(message) == len(_MESSAGE):
                    client.sendall(message)
    except ConnectionError:
        pass


def _connect(address: str) -> socket.socket:
    server = socket.create_connection((address, PORT), _TIMEOUT_S)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server


def _latency(address: str) -> float:
    samples = []
    with _connect(address) as server:
        for _ in range(_EXCHANGES):
            began = time.perf_counter_ns()
            server.sendall(_MESSAGE)
            server.recv(len(_MESSAGE))
            samples.append((time.perf_counter_ns() - began) / 1e3)
    return statistics.median(samples)


def _throughput(address: str) -> float:
    sent = 0
    with _connect(address) as server:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < _STREAM_S:
            server.sendall(_CHUNK)
            sent += len(_CHUNK)
    return sent / took / 1e6


def _connections(address: str) -> float:
    began = time.perf_counter()
    for _ in range(_CONNECTIONS):
        with socket.create_connection((address, GREETING_PORT), _TIMEOUT_S) as server:
            server.recv(1)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return (time.perf_counter() - began) / _CONNECTIONS * 1e6


_MEASURES: dict[str, Callable[[str], float]] = {
    "latency": _latency,
    "throughput": _throughput,
    "connections": _connections,
}


def ask(address: str) -> None:
    """Measure what each line of standard input asks for."""
    for line in sys.stdin:
        print(_MEASURES[line.strip()](address), flush=True)


def main() -> None:
    """Serve or ask."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if sys.argv[1] == "serve":
        serve()
    else:
        ask(sys.argv[2])


if __name__ == "__main__":
    main()
