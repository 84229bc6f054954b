"""Hosts that contend for one pool on a real etcd: no address twice, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from calico_test.etcd import Etcd
from libcalico.client import Client
from libcalico.datastore import config
from libcalico.datastore.backend import Backend
from libcalico.errors import PoolExhaustedError
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta

#: A process that is one host: assigns, gives some back, and prints what it kept.
HOST = """
import json, sys
from libcalico.datastore import config
from libcalico.errors import PoolExhaustedError
from libcalico.ipam import AssignRequest, IpamClient
endpoint, host, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
kept = {}
with config.connect(config.from_environment({"ETCD_ENDPOINTS": endpoint})) as backend:
    ipam = IpamClient(backend)
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(number):
        handle = f"{host}.{n}"
        try:
            result = ipam.auto_assign(AssignRequest(host=host, num4=1, num6=1, handle=handle))
        except PoolExhaustedError:
            continue
        if n % 3:
            kept[handle] = [one.address for one in (*result.ipv4, *result.ipv6)]
        else:
            ipam.release_by_handle(handle)
print(json.dumps(kept))
"""


@pytest.fixture
def backend(etcd_store: Etcd) -> Iterator[Backend]:
    settings = config.from_environment({"ETCD_ENDPOINTS": etcd_store.endpoint})
    with config.connect(settings) as opened:
        yield opened


def make_pools(backend: Backend, four: str, six: str) -> None:
    for name, spec in (
        ("four", IPPoolSpec(cidr=four, block_size=29)),
        ("six", IPPoolSpec(cidr=six, block_size=125)),
    ):
        Client(backend).ippools.create(IPPool(metadata=ObjectMeta(name=name), spec=spec))


def start_host(endpoint: str, name: str, number: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, endpoint, name, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("four", "six"), [("10.0.0.0/22", "fd00::/118"), ("10.0.0.0/27", "fd00::/123")]
)
def test_hosts_as_processes(backend: Backend, etcd_store: Etcd, four: str, six: str) -> None:
    """With room for all, and with room for a part only, so that they borrow and run out."""
    make_pools(backend, four, six)
    hosts = [start_host(etcd_store.endpoint, f"host-{n}", 30) for n in range(3)]
    outputs = [host.communicate("go\n", timeout=120)[0] for host in hosts]
    kept = {handle: ips for output in outputs for handle, ips in json.loads(output).items()}
    given = [address for addresses in kept.values() for address in addresses]
    ipam = IpamClient(backend)
    assert len(given) == len(set(given))
    assert ipam.problems() == []
    for handle, addresses in kept.items():
        assert sorted(ipam.ips_by_handle(handle)) == sorted(addresses)
    for handle in kept:
        ipam.release_by_handle(handle)
    for number in range(3):
        ipam.release_host_affinities(f"host-{number}")
    left = [item.key for item in backend.read("/calico/ipam/").items]
    assert left == ["/calico/ipam/v2/config"]


def test_callers_in_one_process_share_transactions(backend: Backend) -> None:
    make_pools(backend, "10.0.0.0/24", "fd00::/120")
    ipam = IpamClient(backend)
    ipam.auto_assign(AssignRequest(host="a", num4=1, handle="first"))
    before = backend.read("/none").revision
    results: list[str] = []
    start = threading.Barrier(40)

    def work(number: int) -> None:
        start.wait()
        result = ipam.auto_assign(AssignRequest(host="a", num4=1, handle=f"h{number}"))
        results.append(result.ipv4[0].address)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(results)) == 40
    assert backend.read("/none").revision - before < 40
    assert ipam.problems() == []


def test_hosts_as_threads_run_a_pool_dry(backend: Backend) -> None:
    """Ten hosts want 13 addresses each of 64: all of them are given, each once."""
    make_pools(backend, "10.0.0.0/26", "fd00::/122")
    given: list[str] = []

    def work(host: str) -> None:
        ipam = IpamClient(backend)
        for number in range(13):
            request = AssignRequest(host=host, num4=1, handle=f"{host}.{number}")
            try:
                given.append(ipam.auto_assign(request).ipv4[0].address)
            except PoolExhaustedError:
                continue

    threads = [threading.Thread(target=work, args=(f"host-{n}",)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(given) == len(set(given)) == 64
    assert IpamClient(backend).problems() == []
