"""CPU time of calicoctl's commands that do next to nothing, beside an interpreter that does nothing.

CPU time, because that is what starting costs, however busy the machine is; the runs take turns.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import cluster, cpu
from bench.measure import Report
from calico_test.etcd import Etcd
from libcalico.datastore import config as datastore
from libcalico.resources.model import ObjectMeta
from libcalico.resources.nodes import Node

_ROUNDS = 20
_CALICOCTL = str(Path(sys.executable).with_name("calicoctl"))
_BARE = "python3 -c pass"
#: Also measured: what gRPC alone takes, which whatever talks to etcd pays.
_COMMANDS: Mapping[str, Sequence[str]] = {
    _BARE: (sys.executable, "-c", "pass"),
    "python3 -c 'import grpc'": (sys.executable, "-c", "import grpc"),
    "calicoctl version --client": (_CALICOCTL, "version", "--client"),
    "calicoctl version": (_CALICOCTL, "version"),
    "calicoctl get nodes": (_CALICOCTL, "get", "nodes"),
}


def run(report: Report) -> None:
    """Measure each command, spawn to exit."""
    samples: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    with Etcd() as etcd:
        _fill(etcd.endpoint)
        environment = {"ETCD_ENDPOINTS": etcd.endpoint}
        for _ in range(_ROUNDS):
            for name, argv in _COMMANDS.items():
                samples[name].append(cpu.of_command_ms(argv, environment))
    bare = report.add(f"start-up: {_BARE}, CPU", "ms", samples.pop(_BARE))
    for name, taken in samples.items():
        result = report.add(f"start-up: {name}, CPU", "ms", taken, note=f"least {min(taken):.0f}")
        report.ratio(f"start-up: {name} over {_BARE}", result, bare)


def _fill(endpoint: str) -> None:
    settings = datastore.from_environment({"ETCD_ENDPOINTS": endpoint})
    with datastore.connect(settings) as backend:
        cluster.write(backend, [*cluster.basics(), Node(metadata=ObjectMeta(name="bench"))])
