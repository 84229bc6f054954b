"""The etcd drivers obey the contract on a real etcd: plain, with TLS, and a cluster without its leader."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from libcalico.datastore.backend import Backend
from libcalico.datastore.config import DatastoreConfig, connect, connect_async
from libcalico.datastore.model import Revision
from libcalico.testing.backend_contract import DEADLINE_S, BackendContract, Harness
from libcalico.testing.portal import Portal


class EtcdHarness:
    def __init__(self, etcd, portals: bool, config: DatastoreConfig | None = None) -> None:
        self._etcd = etcd
        self._portals = portals
        self._config = config or etcd.config()
        self._closing: list[Callable[[], None]] = []

    def open(self) -> Backend:
        config = self._config
        if not self._portals:
            backend = connect(config)
            self._closing.append(backend.close)
            return backend
        portal = Portal(lambda: connect_async(config))
        self._closing += [portal.close, portal.stop]
        return portal

    def compact(self, revision: Revision) -> None:
        self._etcd.compact(revision)

    def close(self) -> None:
        for close in self._closing:
            close()


@pytest.fixture
def portals() -> bool:
    return False


class WoundedHarness(EtcdHarness):
    """Two of three members live; a client does not know which."""

    def __init__(self, wounded: list, portals: bool) -> None:
        dead, *alive = wounded
        super().__init__(alive[0], portals, dead.config(*alive))
        self._alive = alive

    def compact(self, revision: Revision) -> None:
        super().compact(revision)
        deadline = time.monotonic() + DEADLINE_S
        while not all(member.has_compacted(revision) for member in self._alive):
            assert time.monotonic() < deadline, "a member does not compact"


class _OnEtcd(BackendContract):
    @pytest.fixture
    def harness(self, etcd, portals) -> Iterator[Harness]:
        harness = EtcdHarness(etcd, portals)
        yield harness
        harness.close()


class TestEtcdBackend(_OnEtcd):
    pass


class TestAsyncEtcdBackend(_OnEtcd):
    @pytest.fixture
    def portals(self) -> bool:
        return True


class _OnTls(BackendContract):
    @pytest.fixture
    def harness(self, tls_etcd, portals) -> Iterator[Harness]:
        harness = EtcdHarness(tls_etcd, portals, tls_etcd.config(**tls_etcd.identity()))
        yield harness
        harness.close()


class TestEtcdBackendWithTls(_OnTls):
    pass


class TestAsyncEtcdBackendWithTls(_OnTls):
    @pytest.fixture
    def portals(self) -> bool:
        return True


class _OnWoundedCluster(BackendContract):
    @pytest.fixture
    def harness(self, wounded, portals) -> Iterator[Harness]:
        harness = WoundedHarness(wounded, portals)
        yield harness
        harness.close()


class TestEtcdBackendWithoutTheLeader(_OnWoundedCluster):
    pass


class TestAsyncEtcdBackendWithoutTheLeader(_OnWoundedCluster):
    @pytest.fixture
    def portals(self) -> bool:
        return True
