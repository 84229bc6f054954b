"""One real etcd: started, paused, killed and restarted as a test wants, in any network namespace.

Its data is on tmpfs where there is one. It is spoken to through etcd's own JSON gateway, over sockets that
are opened in its namespace, so the harness needs neither etcdctl nor a client library.

Source: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
"""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calico_test import netns, processes, records
from calico_test.errors import DeadlineError, HarnessError, MissingToolError
from calico_test.processes import Process

_LOG_TAIL_LINES = 15
_ATTEMPTS = 3


class Etcd:
    """One etcd member, serving from when it is constructed until ``stop``.

    Args:
        addresses: to serve clients on; the first is the one in ``endpoint``. IPv6 addresses without brackets.
        namespace: to run in; the namespace of the caller when None.
        port: for clients; a free one when None. In a namespace of one's own, 2379 is free.
        record: of the lab that it belongs to, which then answers for its removal.

    Attributes:
        log_path: everything it printed.
    """

    def __init__(
        self,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        namespace: netns.NetNs | None = None,
        port: int | None = None,
        record: records.Record | None = None,
        deadline_s: float = 20.0,
    ) -> None:
        self._prepare(addresses, namespace, port, record)
        try:
            self._start_on_free_ports(deadline_s)
        except BaseException:
            self.stop()
            raise

    def _prepare(
        self,
        addresses: Sequence[str],
        namespace: netns.NetNs | None,
        port: int | None,
        record: records.Record | None,
    ) -> None:
        self._binary = _find_binary()
        self._addresses = tuple(addresses)
        self._namespace = namespace
        self._wanted_port = port
        self._process: Process | None = None
        self.name = records.unique_name("etcd")
        self.directory = _make_directory(self.name)
        self.log_path = self.directory / "etcd.log"
        self._is_independent = record is None
        self._record = record or records.Record(name=self.name)
        self._record.directories.append(str(self.directory))
        self._record.save()

    @classmethod
    def take_up(
        cls, layout: Mapping[str, Any], namespace: netns.NetNs, record: records.Record
    ) -> Self:
        """Know the etcd of a kept lab again, from its ``layout``."""
        known = cls.__new__(cls)
        known.name, known.port, known._peer_port = (
            layout["name"],
            layout["port"],
            layout["peer_port"],
        )
        known._addresses = tuple(layout["addresses"])
        known._process = Process(**layout["process"])
        known.directory = Path(layout["directory"])
        known.log_path = known.directory / "etcd.log"
        known._binary, known._namespace, known._wanted_port = _find_binary(), namespace, known.port
        known._record, known._is_independent = record, False
        return known

    def layout(self) -> dict[str, Any]:
        """What ``take_up`` needs."""
        return {
            "name": self.name,
            "port": self.port,
            "peer_port": self._peer_port,
            "addresses": self._addresses,
            "process": asdict(self.process),
            "directory": str(self.directory),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """URL for clients, e.g. ``http://127.0.0.1:40123``."""
        return _url(self._addresses[0], self.port)

    @property
    def peer_url(self) -> str:
        """URL for other members."""
        return _url("127.0.0.1", self._peer_port)

    @property
    def process(self) -> Process:
        """The running server."""
        if self._process is None:
            raise HarnessError(f"{self.name}: it is not running")
        return self._process

    def stop(self) -> None:
        """Kill it and remove its data; does nothing the second time."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._is_independent:
            self._record.forget()

    def kill(self) -> None:
        """End it as a power cut would; its data stays for ``restart``."""
        processes.kill([self.process])
        self._record.processes.remove(self.process)
        self._process = None

    def restart(self, *, deadline_s: float = 20.0) -> None:
        """Start it again on the same data and ports, killing it first when it runs."""
        if self._process is not None:
            self.kill()
        self._launch()
        self._wait_serving(deadline_s)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        processes.stop(self.process)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        processes.send(self.process, signal.SIGCONT)

    def put(self, key: str, value: str) -> None:
        """Write one key."""
        self.call("/v3/kv/put", {"key": _encode(key), "value": _encode(value)})

    def get_prefix(self, prefix: str) -> dict[str, str]:
        """Read all keys that begin with a prefix; the empty prefix means all."""
        answer = self.call("/v3/kv/range", _range(prefix))
        return {_decode(kv["key"]): _decode(kv.get("value", "")) for kv in answer.get("kvs", ())}

    def clear(self, prefix: str = "") -> None:
        """Delete all keys that begin with a prefix; the empty prefix means all."""
        self.call("/v3/kv/deleterange", _range(prefix))

    def call(self, path: str, request: dict[str, Any], *, timeout_s: float = 10.0) -> Any:
        """Send a request to etcd's JSON gateway and return the decoded answer.

        Raises:
            HarnessError: it does not answer, or answers with an error.
        """
        try:
            status, body = self._post(path, json.dumps(request), timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise HarnessError(f"{self.endpoint}{path}: no answer: {error}") from error
        if status != http.client.OK:
            raise HarnessError(f"{self.endpoint}{path}: status {status}: {body}")
        return json.loads(body)

    def log_tail(self) -> str:
        """The last lines that it printed."""
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _post(self, path: str, body: str, timeout_s: float) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._addresses[0], self.port, timeout=timeout_s)
        connection.sock = self._connect(timeout_s)
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _connect(self, timeout_s: float) -> socket.socket:
        address = (self._addresses[0], self.port)
        if self._namespace is None:
            return socket.create_connection(address, timeout_s)
        return self._namespace.call(lambda: socket.create_connection(address, timeout_s))

    def _start_on_free_ports(self, deadline_s: float) -> None:
        """Start it; a port that was free a moment ago may be taken by now, so try again on others."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.port, self._peer_port = self._choose_ports()
            self._launch()
            try:
                self._wait_serving(deadline_s)
            except HarnessError:
                taken = "address already in use" in self.log_path.read_text(encoding="utf-8")
                if attempt == _ATTEMPTS or not taken or self._wanted_port is not None:
                    raise
            else:
                return

    def _choose_ports(self) -> tuple[int, int]:
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(self._bind_any()) for _ in range(2)]
            client, peer = (bound.getsockname()[1] for bound in sockets)
        return self._wanted_port or client, peer

    def _bind_any(self) -> socket.socket:
        def bind() -> socket.socket:
            bound = socket.socket()
            bound.bind(("127.0.0.1", 0))
            return bound

        return bind() if self._namespace is None else self._namespace.call(bind)

    def _argv(self) -> list[str]:
        alone = self._own_argv(f"{self.name}={self.peer_url}")
        # Alone it has nobody to wait for: a short election makes it serve at once.
        return [*alone, "--heartbeat-interval=10", "--election-timeout=50"]

    def _own_argv(self, peers: str) -> list[str]:
        clients = ",".join(_url(address, self.port) for address in self._addresses)
        peer = self.peer_url
        argv = [self._binary, f"--name={self.name}", f"--data-dir={self.directory / 'data'}"]
        argv += [f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"]
        argv += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        return [*argv, f"--initial-cluster={peers}", "--logger=zap", "--log-level=warn"]

    def _launch(self) -> None:
        enter = [] if self._namespace is None else self._namespace.enter
        env = {name: v for name, v in os.environ.items() if not name.startswith("ETCD_")}
        self._process = processes.spawn([*enter, *self._argv()], self.log_path, env=env)
        self._record.add_process(self._process)

    def _wait_serving(self, deadline_s: float) -> None:
        for _ in processes.ticks(deadline_s):
            if not self.process.is_alive:
                self.kill()
                raise HarnessError(f"{self.name}: etcd ended at start:\n{self.log_tail()}")
            with contextlib.suppress(HarnessError):
                if self._is_serving(deadline_s):
                    return
        raise DeadlineError(
            f"{self.name}: etcd does not serve after {deadline_s} s:\n{self.log_tail()}"
        )

    def _is_serving(self, timeout_s: float) -> bool:
        """Whether it has a leader, and is the one that answers on its port."""
        self.call("/v3/kv/range", _range("/"), timeout_s=timeout_s)
        answer = self.call("/v3/cluster/member/list", {}, timeout_s=timeout_s)
        return [member["name"] for member in answer["members"]] == [self.name]


def _find_binary() -> str:
    binary = shutil.which("etcd")
    if binary is None:
        raise MissingToolError("etcd is not installed: apt-get install etcd-server")
    return binary


def _make_directory(name: str) -> Path:
    shared_memory = Path("/dev/shm")
    usable = shared_memory.is_dir() and os.access(shared_memory, os.W_OK)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=shared_memory if usable else None))


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()


def _range(prefix: str) -> dict[str, str]:
    """All keys with a prefix: up to the prefix with its last byte raised by one; NUL to NUL means all."""
    if not prefix:
        return {"key": _encode("\0"), "range_end": _encode("\0")}
    raw = prefix.encode()
    end = raw[:-1] + bytes([raw[-1] + 1])  # UTF-8 has no byte 0xff to carry over
    return {"key": _encode(prefix), "range_end": base64.b64encode(end).decode()}
