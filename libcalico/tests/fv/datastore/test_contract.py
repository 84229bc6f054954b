"""The etcd drivers obey the contract on a real etcd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from libcalico.datastore.backend import Backend
from libcalico.datastore.config import connect, connect_async
from libcalico.datastore.model import Revision
from libcalico.testing.backend_contract import BackendContract, Harness
from libcalico.testing.portal import Portal


class EtcdHarness:
    def __init__(self, etcd, portals: bool) -> None:
        self._etcd = etcd
        self._portals = portals
        self._closing: list[Callable[[], None]] = []

    def open(self) -> Backend:
        config = self._etcd.config()
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
