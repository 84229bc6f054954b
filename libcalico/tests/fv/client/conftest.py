"""A client on one real etcd member, which is empty for each test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time

import pytest

from libcalico.client import Client
from libcalico.datastore.config import DatastoreConfig, parse_endpoints
from libcalico.datastore.etcd.sync import EtcdBackend

DEADLINE_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Etcd:
    """One etcd process, and what ``etcdctl`` sees in it."""

    def __init__(self, folder) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        command = [
            shutil.which("etcd") or "etcd",
            *("--data-dir", str(folder / "data"), "--log-level", "error", "--logger", "zap"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while self.run("endpoint", "health", check=False).returncode != 0:
            assert time.monotonic() < deadline, "etcd did not start"
            assert self.process.poll() is None, "etcd ended"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["etcdctl", "--endpoints", self.url, "--command-timeout", "1s", *arguments],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            check=check,
            timeout=DEADLINE_S,
        )

    def value(self, key: str) -> str:
        return self.run("get", "--print-value-only", key).stdout.removesuffix("\n")

    def stored_keys(self) -> list[str]:
        return self.run("get", "--prefix", "--keys-only", "/").stdout.split()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    member = Etcd(tmp_path_factory.mktemp("etcd"))
    try:
        member.wait_until_healthy()
        yield member
    finally:
        member.process.kill()
        member.process.wait()


@pytest.fixture
def client(etcd):
    etcd.run("del", "--prefix", "/")
    with EtcdBackend(DatastoreConfig(endpoints=parse_endpoints(etcd.url))) as backend:
        yield Client(backend)
