"""Addresses assigned per second: one host, and twenty that contend for one pool.

The baseline is a plain etcd client that sends the same requests to another etcd.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench import contention
from bench.measure import Report
from bench.plain import PlainClient, Recorder, repeatable
from calico_test.etcd import Etcd
from libcalico.client import Client
from libcalico.datastore import config as datastore
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.nodes import Node

#: Four blocks of the default size: what a busy host holds.
_ASSIGNS = 240
_ROUNDS = 10
_HOST = "bench"
_HOSTS = 20
#: Of each of the hosts that contend.
_ASSIGNS_EACH = 50
#: Pool → what it is for that many hosts and addresses.
_POOLS = {"10.0.0.0/16": "a pool with room", "10.0.0.0/22": "a pool that they nearly fill"}


def run(report: Report) -> None:
    """Measure assigns one after the other, from threads that share compare-and-swaps, from 20 hosts."""
    with (
        Etcd() as etcd,
        Etcd() as other,
        _prepared(etcd.endpoint, "10.0.0.0/16", [_HOST]) as backend,
    ):
        with PlainClient(other.endpoint) as plain:
            _one_caller(report, backend, plain)
        _many_callers(report, backend)
    hosts = [f"bench{number}" for number in range(_HOSTS)]
    for cidr, title in _POOLS.items():
        with Etcd() as etcd, Etcd() as other:
            with (
                _prepared(etcd.endpoint, cidr, hosts) as backend,
                PlainClient(other.endpoint) as plain,
            ):
                plain.send(repeatable(backend.requests))
            _contending(report, title, contention.measure(hosts, _ASSIGNS_EACH, etcd, other))


def _prepared(endpoint: str, cidr: str, hosts: list[str]) -> Recorder:
    """Return a connection to a store with a pool and nodes."""
    backend = Recorder(datastore.from_environment({"ETCD_ENDPOINTS": endpoint}))
    client = Client(backend)
    for host in hosts:
        client.nodes.create(Node(metadata=ObjectMeta(name=host)))
    client.ippools.create(IPPool(metadata=ObjectMeta(name="bench"), spec=IPPoolSpec(cidr=cidr)))
    return backend


def _one_caller(report: Report, backend: Recorder, plain: PlainClient) -> None:
    ipam = IpamClient(backend)
    plain.send(repeatable(backend.requests))
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        backend.requests.clear()
        ours.append(_assign_all(ipam, 1))
        requests = repeatable(backend.requests)
        began = time.perf_counter()
        plain.send(requests)
        theirs.append(_ASSIGNS / (time.perf_counter() - began))
        backend.requests.clear()
        _give_back(ipam)
        plain.send(repeatable(backend.requests))
    one = report.add("ipam: assigns per second, one caller", "1/s", ours)
    base = report.add("ipam: the same requests of a plain client", "1/s", theirs)
    report.ratio("ipam: plain client over one caller", base, one)


def _many_callers(report: Report, backend: Recorder) -> None:
    ipam = IpamClient(backend)
    rates = []
    for _ in range(_ROUNDS):
        rates.append(_assign_all(ipam, 16))
        _give_back(ipam)
    report.add("ipam: assigns per second, 16 callers in one process", "1/s", rates)


def _handles() -> list[str]:
    return [f"bench.{number}" for number in range(_ASSIGNS)]


def _assign_all(ipam: IpamClient, callers: int) -> float:
    """Return assigns per second."""

    def assign(handle: str) -> None:
        ipam.auto_assign(AssignRequest(host=_HOST, num4=1, handle=handle))

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(assign, _handles()))
    return _ASSIGNS / (time.perf_counter() - began)


def _give_back(ipam: IpamClient) -> None:
    for handle in _handles():
        ipam.release_by_handle(handle)


def _contending(report: Report, title: str, found: contention.Found) -> None:
    name = f"ipam: assigns per second, {_HOSTS} hosts, {title}"
    total = _HOSTS * _ASSIGNS_EACH
    note = f"{found.requests} requests, no duplicate"
    ours = report.add(name, "1/s", [total / found.ours_s], note)
    base = report.add(f"{name}, plain clients", "1/s", [total / found.plain_s])
    report.ratio(f"ipam: plain clients over {_HOSTS} hosts, {title}", base, ours)
