"""Many resources: applied, read and shown, beside a plain etcd client doing the same reads and writes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import cluster
from bench.measure import Report, timed
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
_ROUNDS = 5
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


def _calicoctl(etcd: Etcd, *arguments: str) -> None:
    environment = {**os.environ, "ETCD_ENDPOINTS": etcd.endpoint}
    argv = [_CALICOCTL, *arguments]
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=True)


def _apply(report: Report, resources: Sequence[Resource]) -> None:
    """Apply to a store that has none of them, then to one that has them all."""
    ours: defaultdict[str, list[float]] = defaultdict(list)
    theirs: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policies.yaml"
        file.write_text("---\n".join(yamlform.dump(codec.to_mapping(r)) for r in resources))
        for _ in range(_ROUNDS):
            with Etcd() as etcd, Etcd() as other, PlainClient(other.endpoint) as plain:
                sent = _requests_of_apply(etcd, resources)
                etcd.clear()
                for state, requests in zip(_STATES, sent, strict=True):
                    command = partial(_calicoctl, etcd, "apply", "-f", str(file))
                    ours[state] += timed(command, 1)
                    theirs[state] += timed(partial(plain.send, requests), 1)
    for state in _STATES:
        name = f"client: apply of {_APPLIED}, {state}"
        result = report.add(name, "ms", ours[state])
        base = report.add(f"{name}, plain client", "ms", theirs[state])
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
        base = report.add(
            f"client: read of {_LISTED}, plain client",
            "ms",
            timed(partial(plain.read, _POLICIES), _ROUNDS),
        )
    with datastore.connect(_settings(etcd)) as backend:
        listed = timed(Client(backend).globalnetworkpolicies.list, _ROUNDS)
    name = f"client: list of {_LISTED}, libcalico"
    report.ratio(f"{name}, over plain client", report.add(name, "ms", listed), base)
    for form in ("ps", "json", "yaml"):
        command = partial(_calicoctl, etcd, "get", "globalnetworkpolicies", "-o", form)
        name = f"client: get of {_LISTED} as {form}"
        result = report.add(name, "ms", timed(command, _ROUNDS))
        report.ratio(f"{name}, over plain client's read", result, base)


def _snapshot(report: Report, etcd: Etcd) -> None:
    with PlainClient(etcd.endpoint) as plain, datastore.connect(_settings(etcd)) as backend:
        base = report.add(
            f"client: read of {_KEYS} keys, plain client",
            "ms",
            timed(partial(plain.read, _ENDPOINTS), _ROUNDS),
        )
        taken = timed(partial(backend.read, _ENDPOINTS), _ROUNDS)
    name = f"client: snapshot of {_KEYS} keys"
    report.ratio(f"{name}, over plain client", report.add(name, "ms", taken), base)
    asynchronous = timed(lambda: asyncio.run(_read(etcd)), _ROUNDS)
    result = report.add(f"{name}, asyncio", "ms", asynchronous)
    report.ratio(f"{name}, asyncio, over plain client", result, base)


async def _read(etcd: Etcd) -> None:
    backend = datastore.connect_async(_settings(etcd))
    await backend.read(_ENDPOINTS)
    await backend.close()
