"""Many resources: applied, read and shown, beside a plain etcd client doing the same reads and writes.

CPU time is compared, because a plain client mostly waits; for apply also the time that passes, as several
writes are under way at a time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import cluster, cpu
from bench.measure import Report
from bench.plain import PlainClient, Recorder, repeatable
from calico_test.etcd import Etcd
from calicoctl.commands import write
from libcalico import yamlform
from libcalico.client import Client
from libcalico.datastore import config as datastore
from libcalico.datastore import keys
from libcalico.datastore.config import DatastoreConfig
from libcalico.datastore.etcd.wire import Message
from libcalico.resources import codec
from libcalico.resources.model import Resource

_APPLIED = 1_000
_LISTED = 10_000
_KEYS = 100_000
_ROUNDS = 3
_CALICOCTL = str(Path(sys.executable).with_name("calicoctl"))
_POLICIES = keys.resource_prefix("GlobalNetworkPolicy")
_ENDPOINTS = keys.resource_prefix("WorkloadEndpoint")
#: What the store holds of the resources when they are applied.
_STATES = ("none is stored", "all are stored")


def run(report: Report) -> None:
    """Measure apply of 1,000 resources, get of 10,000, and a snapshot of 100,000 keys."""
    _apply(report, [cluster.policy(number) for number in range(_APPLIED)])
    with Etcd() as etcd:
        with datastore.connect(_settings(etcd)) as backend:
            cluster.write(backend, cluster.basics())
            cluster.write(backend, map(cluster.policy, range(_LISTED)))
        _get(report, etcd)
    with Etcd() as etcd:
        with datastore.connect(_settings(etcd)) as backend:
            cluster.write(backend, map(cluster.endpoint, range(_KEYS)))
        _snapshot(report, etcd)


def _settings(etcd: Etcd) -> DatastoreConfig:
    return datastore.from_environment({"ETCD_ENDPOINTS": etcd.endpoint})


def _cpu_of(etcd: Etcd, *arguments: str) -> float:
    return cpu.of_command_ms([_CALICOCTL, *arguments], {"ETCD_ENDPOINTS": etcd.endpoint})


def _apply(report: Report, resources: Sequence[Resource]) -> None:
    """Apply to a store that has none of them, then to one that has them all."""
    ours: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    theirs: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policies.yaml"
        file.write_text("---\n".join(yamlform.dump(codec.to_mapping(r)) for r in resources))
        for _ in range(_ROUNDS):
            with Etcd() as etcd, Etcd() as other, PlainClient(other.endpoint) as plain:
                sent = _requests_of_apply(etcd, resources)
                etcd.clear()
                for state, requests in zip(_STATES, sent, strict=True):
                    began = time.perf_counter()
                    ours[state, "CPU"].append(_cpu_of(etcd, "apply", "-f", str(file)))
                    ours[state, "elapsed"].append((time.perf_counter() - began) * 1000)
                    began = time.perf_counter()
                    theirs[state, "CPU"] += cpu.of_calls_ms(partial(plain.send, requests), 1)
                    theirs[state, "elapsed"].append((time.perf_counter() - began) * 1000)
    for state, what in ours:
        name = f"client: apply of {_APPLIED}, {state}, {what}"
        result = report.add(name, "ms", ours[state, what])
        base = report.add(f"{name}, plain client", "ms", theirs[state, what])
        report.ratio(f"{name}, over plain client", result, base)


def _requests_of_apply(etcd: Etcd, resources: Sequence[Resource]) -> list[list[Message]]:
    """Return what is sent to apply the resources the first and the second time."""
    sent = []
    for _ in _STATES:
        with Recorder(_settings(etcd)) as backend:
            write.run("apply", resources, Client(backend))
        sent.append(repeatable(backend.requests))
    return sent


def _get(report: Report, etcd: Etcd) -> None:
    with PlainClient(etcd.endpoint) as plain:
        read = cpu.of_calls_ms(partial(plain.read, _POLICIES), _ROUNDS)
        base = report.add(f"client: read of {_LISTED}, plain client, CPU", "ms", read)
    with datastore.connect(_settings(etcd)) as backend:
        listed = cpu.of_calls_ms(Client(backend).globalnetworkpolicies.list, _ROUNDS)
    name = f"client: list of {_LISTED}, libcalico, CPU"
    report.ratio(f"{name}, over plain client", report.add(name, "ms", listed), base)
    for form in ("ps", "json", "yaml"):
        shown = [_cpu_of(etcd, "get", "globalnetworkpolicies", "-o", form) for _ in range(_ROUNDS)]
        name = f"client: get of {_LISTED} as {form}, CPU"
        result = report.add(name, "ms", shown)
        report.ratio(f"{name}, over plain client's read", result, base)


def _snapshot(report: Report, etcd: Etcd) -> None:
    with PlainClient(etcd.endpoint) as plain, datastore.connect(_settings(etcd)) as backend:
        read = cpu.of_calls_ms(partial(plain.read, _ENDPOINTS), _ROUNDS)
        base = report.add(f"client: read of {_KEYS} keys, plain client, CPU", "ms", read)
        taken = cpu.of_calls_ms(partial(backend.read, _ENDPOINTS), _ROUNDS)
    asynchronous = cpu.of_calls_ms(lambda: asyncio.run(_read(etcd)), _ROUNDS)
    for title, samples in (("", taken), (", asyncio", asynchronous)):
        name = f"client: snapshot of {_KEYS} keys{title}, CPU"
        report.ratio(f"{name}, over plain client", report.add(name, "ms", samples), base)


async def _read(etcd: Etcd) -> None:
    backend = datastore.connect_async(_settings(etcd))
    await backend.read(_ENDPOINTS)
    await backend.close()
