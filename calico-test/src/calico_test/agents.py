"""The harness's end of an agent: start one in a namespace, talk to it, also from another process later."""

import itertools
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calico_test import processes
from calico_test.errors import DeadlineError, HarnessError
from calico_test.probes import Observation, Outcome, Probe
from calico_test.processes import Process

_SCRIPT = Path(__file__).with_name("agent.py")
_GRACE_S = 10.0
_MAX_SOCKET_PATH_BYTES = 107  # unix(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One probe to one address.

    Attributes:
        to: IPv4 or IPv6 address.
        probe: how to try it.
        timeout_ms: silence for so long is a ``TIMEOUT``.
        identify: wait for the server to say who it is; only our agents do, and not to ICMP.
        source: address to send from; the kernel's choice when None.
    """

    to: str
    probe: Probe
    timeout_ms: float = 300.0
    identify: bool = False
    source: str | None = None

    def fields(self) -> dict[str, Any]:
        """As the agent reads it."""
        return {
            "kind": self.probe.kind,
            "port": self.probe.port,
            "to": self.to,
            "timeout_ms": self.timeout_ms,
            "identify": self.identify and self.probe.kind != "icmp",
            "source": self.source,
        }


def spawn(name: str, enter: Sequence[str], socket_path: Path, log_path: Path) -> Process:
    """Start the agent of one namespace.

    Args:
        name: what its servers answer with.
        enter: head of the command, leads into the namespace.
        socket_path: where it is to be reached; at most 107 bytes.
        log_path: takes its complaints.
    """
    if len(os.fsencode(socket_path)) > _MAX_SOCKET_PATH_BYTES:
        raise HarnessError(f"{name}: too long a name: {socket_path} cannot be a socket")
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(socket_path))
        control.listen()
        descriptor = control.fileno()
        argv = [*enter, sys.executable, "-IS", str(_SCRIPT), name, str(descriptor)]
        return processes.spawn(argv, log_path, pass_fds=[descriptor])


class Agent:
    """A connection to an agent.

    Args:
        name: for messages.
        socket_path: as given to ``spawn``.
    """

    def __init__(self, name: str, socket_path: Path) -> None:
        self.name = name
        self._ids = itertools.count(1)
        self._received = b""
        self._events: dict[int, list[dict[str, Any]]] = {}
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.connect(str(socket_path))
        except OSError as error:
            self._sock.close()
            raise HarnessError(f"{name}: its agent is not there: {error}") from error

    def close(self) -> None:
        """Hang up; the agent itself goes on."""
        self._sock.close()

    def listen(self, kind: str, port: int) -> None:
        """Serve a port, ``tcp`` or ``udp``, on all addresses of both families.

        Raises:
            HarnessError: the port is taken.
        """
        number = self.send({"op": "listen", "kind": kind, "port": port})
        answer = self.receive(number, _GRACE_S)
        if "error" in answer:
            raise HarnessError(f"{self.name}: cannot listen on {kind} {port}: {answer['error']}")

    def probe(self, requests: Iterable[Request]) -> list[Observation]:
        """Probe all at once; observations are in the order of the requests."""
        return self.collect(self.start(requests))

    def start(self, requests: Iterable[Request]) -> dict[int, Request]:
        """Begin probing and return at once what is to be collected, in the order of the requests."""
        pending = {next(self._ids): request for request in requests}
        lines = (
            self._line(number, "probe", request.fields()) for number, request in pending.items()
        )
        self._send_bytes(b"".join(lines))
        return pending

    def collect(self, pending: Mapping[int, Request]) -> list[Observation]:
        """Wait for what ``start`` began."""
        return [
            _observation(self.receive(number, request.timeout_ms / 1000 + _GRACE_S))
            for number, request in pending.items()
        ]

    def send(self, fields: dict[str, Any]) -> int:
        """Send one request and return its number; ``fields`` may bring the number of an earlier one."""
        number = fields.get("id") or next(self._ids)
        self._send_bytes(self._line(number, fields["op"], fields))
        return int(number)

    def receive(self, number: int, timeout_s: float) -> dict[str, Any]:
        """The next answer to a request; answers to others are kept for whoever waits for them.

        Raises:
            DeadlineError: it did not come in time.
            HarnessError: the agent has gone.
        """
        waiting = self._events.setdefault(number, [])
        while not waiting:
            self._read(timeout_s)
        answer = waiting.pop(0)
        if not waiting:
            del self._events[number]
        return answer

    def _read(self, timeout_s: float) -> None:
        self._sock.settimeout(max(timeout_s, 0.001))
        try:
            chunk = self._sock.recv(1 << 16)
        except TimeoutError:
            raise DeadlineError(
                f"{self.name}: no answer of the agent in {timeout_s:.1f} s"
            ) from None
        except OSError as error:
            raise HarnessError(f"{self.name}: its agent is gone: {error}") from error
        if not chunk:
            raise HarnessError(f"{self.name}: its agent has ended, see its log")
        *lines, self._received = (self._received + chunk).split(b"\n")
        for answer in map(json.loads, lines):
            self._events.setdefault(answer["id"], []).append(answer)

    @staticmethod
    def _line(number: int, operation: str, fields: Mapping[str, Any]) -> bytes:
        return json.dumps({**fields, "id": number, "op": operation}).encode() + b"\n"

    def _send_bytes(self, message: bytes) -> None:
        self._sock.settimeout(_GRACE_S)
        try:
            self._sock.sendall(message)
        except OSError as error:
            raise HarnessError(f"{self.name}: its agent is gone: {error}") from error


def _observation(answer: Mapping[str, Any]) -> Observation:
    return Observation(
        outcome=Outcome(answer["outcome"]),
        took_us=answer["took_us"],
        name=answer.get("name"),
        peer=answer.get("peer"),
        detail=answer.get("detail", ""),
    )
