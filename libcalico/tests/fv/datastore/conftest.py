"""Real etcd on loopback: single members and clusters, plain or with TLS and users."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from calico_test import processes
from libcalico.datastore.config import DatastoreConfig, parse_endpoints

DEADLINE_S = 30.0
#: A member alone has nobody to wait for: it serves at once, and a lease may be as short as a second.
ALONE = ("--heartbeat-interval=10", "--election-timeout=50")


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
    tls: Path | None = None
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
            *(() if self.peers else ALONE),
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

    def identity(self) -> dict[str, bytes]:
        """What a client of a member with TLS is configured with."""
        if self.tls is None:
            return {}
        files = {"ca_cert": "ca.pem", "cert": "client.pem", "key": "client.key"}
        return {name: (self.tls / file).read_bytes() for name, file in files.items()}

    def channel(self) -> grpc.Channel:
        target, known = f"127.0.0.1:{self.client_port}", self.identity()
        if not known:
            return grpc.insecure_channel(target)
        credentials = grpc.ssl_channel_credentials(known["ca_cert"], known["key"], known["cert"])
        return grpc.secure_channel(target, credentials)

    def compact(self, revision: int) -> None:
        with self.channel() as channel:
            rpc_pb2_grpc.KVStub(channel).Compact(
                rpc_pb2.CompactionRequest(revision=revision), timeout=DEADLINE_S
            )

    def has_compacted(self, revision: int) -> bool:
        """Whether this member itself, asked alone, has forgotten what was before the revision."""
        request = rpc_pb2.RangeRequest(key=b"/", revision=revision - 1, serializable=True)
        with self.channel() as channel:
            try:
                rpc_pb2_grpc.KVStub(channel).Range(request, timeout=DEADLINE_S)
            except grpc.RpcError as error:
                return error.code() is grpc.StatusCode.OUT_OF_RANGE
            return False

    def status(self) -> Any:
        """What the member says of itself and of its leader."""
        with self.channel() as channel:
            return rpc_pb2_grpc.MaintenanceStub(channel).Status(
                rpc_pb2.StatusRequest(), timeout=DEADLINE_S, wait_for_ready=True
            )

    def leads(self) -> bool:
        """Whether this member is the leader, as it tells itself."""
        status = self.status()
        return bool(status.leader) and status.header.member_id == status.leader

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


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str, subject: str, extensions: str) -> None:
    (folder / f"{name}.ext").write_text(extensions)
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject),
        folder=folder,
    )
    openssl(
        *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext"),
        folder=folder,
    )


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


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a server certificate for 127.0.0.1 and a client certificate."""
    folder = tmp_path_factory.mktemp("tls")
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2"),
        folder=folder,
    )
    both = "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:127.0.0.1\n"
    certificate(folder, "server", "/CN=etcd", both)
    certificate(folder, "client", "/CN=felix", "extendedKeyUsage=clientAuth\n")
    return folder


@pytest.fixture(scope="session")
def tls_etcd(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """One member that wants client certificates, for all tests that do not hurt it."""
    options = [
        *("--cert-file", str(tls / "server.pem"), "--key-file", str(tls / "server.key")),
        *("--trusted-ca-file", str(tls / "ca.pem"), "--client-cert-auth"),
    ]
    folder = tmp_path_factory.mktemp("tls-etcd")
    member = Member("tls", folder, scheme="https", options=options, tls=tls)
    member.start()
    try:
        member.wait_port()
        yield member
    finally:
        member.end()


@pytest.fixture(scope="class")
def wounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """A cluster whose leader is killed when it has been seen to lead; the dead member comes first."""
    with running_cluster(tmp_path_factory.mktemp("wounded")) as members:
        leader = next(member for member in members if member.leads())
        leader.kill()
        yield [leader, *(member for member in members if member is not leader)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Member]]:
    """Three members that have elected a leader."""
    with running_cluster(tmp_path) as members:
        yield members


@contextmanager
def running_cluster(folder: Path) -> Iterator[list[Member]]:
    """Run three members in a folder; they have elected a leader."""
    members = [Member(name, folder) for name in ("one", "two", "three")]
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
