"""Hosts, each a process of its own, that assign from the same pool at the same time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier

from bench.plain import PlainClient, Recorder, repeatable
from calico_test.etcd import Etcd
from libcalico.datastore import config as datastore
from libcalico.ipam import AssignRequest, IpamClient

_DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """How long all hosts together took, the same requests of plain clients, and how many those were."""

    ours_s: float
    plain_s: float
    requests: int


def measure(hosts: Sequence[str], number: int, etcd: Etcd, other: Etcd) -> Found:
    """Have every host assign a number of addresses from one etcd, then plain clients do so on another.

    Raises:
        RuntimeError: an address was given to two, or not given.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        turn = manager.Barrier(len(hosts) + 1)
        with ProcessPoolExecutor(len(hosts), mp_context=context) as pool:
            running = [
                pool.submit(_host, host, number, etcd.endpoint, other.endpoint, turn)
                for host in hosts
            ]
            ours_s, plain_s = _round_s(turn), _round_s(turn)
            done = [each.result(_DEADLINE_S) for each in running]
    addresses = [address for assigned, _ in done for address in assigned]
    if not len(addresses) == len({*addresses}) == number * len(hosts):
        raise RuntimeError(f"{len(addresses)} addresses, {len({*addresses})} different ones")
    return Found(ours_s, plain_s, sum(requests for _, requests in done))


def _round_s(turn: Barrier) -> float:
    """Return how long it takes from when all are ready until all are done."""
    turn.wait(_DEADLINE_S)
    began = time.perf_counter()
    turn.wait(_DEADLINE_S)
    return time.perf_counter() - began


@contextmanager
def _in_turn(turn: Barrier) -> Iterator[None]:
    turn.wait(_DEADLINE_S)
    yield
    turn.wait(_DEADLINE_S)


def _host(
    host: str, number: int, endpoint: str, other: str, turn: Barrier
) -> tuple[list[str], int]:
    """Be one host; return its addresses, and how many requests they took."""
    with Recorder(datastore.from_environment({"ETCD_ENDPOINTS": endpoint})) as backend:
        ipam = IpamClient(backend)
        with _in_turn(turn):
            assigned = [_assign(ipam, host, f"{host}.{n}") for n in range(number)]
        requests = repeatable(backend.requests)
    with PlainClient(other) as plain, _in_turn(turn):
        plain.send(requests)
    return assigned, len(requests)


def _assign(ipam: IpamClient, host: str, handle: str) -> str:
    result = ipam.auto_assign(AssignRequest(host=host, num4=1, handle=handle))
    return result.ipv4[0].address
