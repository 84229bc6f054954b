"""Addresses assigned per second, one host on one etcd."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench.measure import Report
from calico_test.etcd import Etcd
from libcalico.client import Client
from libcalico.datastore import config as datastore
from libcalico.datastore.backend import Backend
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.nodes import Node

#: Four blocks of the default size: what a busy host holds.
_ASSIGNS = 240
_ROUNDS = 10
_HOST = "bench"


def run(report: Report) -> None:
    """Measure assigns one after the other, and from 16 threads that share compare-and-swaps."""
    with Etcd() as etcd:
        settings = datastore.from_environment({"ETCD_ENDPOINTS": etcd.endpoint})
        with datastore.connect(settings) as backend:
            _prepare(backend)
            ipam = IpamClient(backend)
            for callers, title in ((1, "one caller"), (16, "16 callers in one process")):
                rates = [_rate(ipam, callers) for _ in range(_ROUNDS)]
                report.add(f"ipam: assigns per second, {title}", "1/s", rates)


def _prepare(backend: Backend) -> None:
    client = Client(backend)
    client.nodes.create(Node(metadata=ObjectMeta(name=_HOST)))
    pool = IPPool(metadata=ObjectMeta(name="bench"), spec=IPPoolSpec(cidr="10.0.0.0/16"))
    client.ippools.create(pool)


def _rate(ipam: IpamClient, callers: int) -> float:
    """Return assigns per second over one round, and give everything back."""
    handles = [f"bench.{number}" for number in range(_ASSIGNS)]

    def assign(handle: str) -> None:
        ipam.auto_assign(AssignRequest(host=_HOST, num4=1, handle=handle))

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(assign, handles))
    rate = _ASSIGNS / (time.perf_counter() - began)
    for handle in handles:
        ipam.release_by_handle(handle)
    return rate
