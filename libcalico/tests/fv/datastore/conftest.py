"""Real etcd on loopback: single members and clusters, plain or with TLS and users."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from calico_test import processes
from libcalico.datastore.config import DatastoreConfig, parse_endpoints

DEADLINE_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


@dataclass
class Member:
    """One etcd process, which can be killed, frozen and started again on its data."""

    name: str
    folder: Path
    scheme: str = "http"
    options: list[str] = field(default_factory=list)
    peers: str = ""
    client_port: int = field(default_factory=free_port)
    peer_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"http://127.0.0.1:{self.peer_port}"

    def start(self) -> None:
        cluster = self.peers or f"{self.name}={self.peer_url}"
        command = [
            shutil.which("etcd") or "etcd",
            *("--name", self.name, "--data-dir", str(self.folder / self.name)),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url),
            *("--initial-cluster", cluster, "--logger", "zap", "--log-level", "error"),
            *self.options,
        ]
        log = (self.folder / f"{self.name}.log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

    def wait_port(self) -> None:
        def listens() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / f"{self.name}.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.client_port)) == 0

        wait_until(listens, f"etcd {self.name} listens")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Kill it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def freeze(self) -> None:
        assert self.process is not None
        processes.stop(processes.Process.of(self.process.pid))

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def config(self, *others: Member, **settings: Any) -> DatastoreConfig:
        urls = [member.url for member in (self, *others)]
        return DatastoreConfig(endpoints=parse_endpoints(",".join(urls)), **settings)

    def compact(self, revision: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{self.client_port}") as channel:
            rpc_pb2_grpc.KVStub(channel).Compact(
                rpc_pb2.CompactionRequest(revision=revision), timeout=DEADLINE_S
            )

    def status(self) -> Any:
        """What the member says of itself and of its leader."""
        with grpc.insecure_channel(f"127.0.0.1:{self.client_port}") as channel:
            return rpc_pb2_grpc.MaintenanceStub(channel).Status(
                rpc_pb2.StatusRequest(), timeout=DEADLINE_S, wait_for_ready=True
            )

    def etcdctl(self, *arguments: str, **environment: str) -> str:
        command = ["etcdctl", "--endpoints", self.url, "--command-timeout", "5s", *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, "ETCDCTL_API": "3", **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE_S,
        )
        return done.stdout


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """One member for all tests that do not hurt it."""
    member = Member("shared", tmp_path_factory.mktemp("etcd"))
    member.start()
    try:
        member.wait_port()
        yield member
    finally:
        member.kill()


@pytest.fixture
def start_member(tmp_path: Path) -> Iterator[Callable[..., Member]]:
    """Start members of one's own: ``start_member(name, scheme=..., options=[...])``."""
    members: list[Member] = []

    def start(name: str = "own", **settings: Any) -> Member:
        member = Member(name, tmp_path, **settings)
        members.append(member)
        member.start()
        member.wait_port()
        return member

    yield start
    for member in members:
        member.end()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Member]]:
    """Three members that have elected a leader."""
    members = [Member(name, tmp_path) for name in ("one", "two", "three")]
    peers = ",".join(f"{member.name}={member.peer_url}" for member in members)
    try:
        for member in members:
            member.peers = peers
            member.start()
        for member in members:
            member.wait_port()
        wait_until(lambda: all(m.status().leader for m in members), "a leader is elected")
        yield members
    finally:
        for member in members:
            member.end()
