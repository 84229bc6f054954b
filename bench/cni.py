"""CNI ADD and DEL, spawn to exit, beside a program that does nothing, on a host with all services."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo import stage

from bench.measure import Report
from calico_test.hosts import Host
from calico_test.lab import Lab

_ROOT = Path(__file__).parent.parent
_SAMPLES = 60
_TOGETHER = 100
_PLUGIN = "/opt/cni/bin/calico"


def run(report: Report) -> None:
    """Measure with the resident server, and a hundred at once."""
    with Lab(1) as lab:
        host = lab.hosts[0]
        for file in ("10-pools.yaml", "20-profiles.yaml"):
            stage.calicoctl(lab, "apply", "-f", str(stage.HERE / "resources" / file))
        stage.start_node(lab, host)
        names = [f"w{number}" for number in range(_SAMPLES)]
        for name in names:
            host.run(["ip", "netns", "add", name])
        config = json.dumps(stage.plugin_config(host))
        bare = report.add("cni: /bin/true, spawn to exit", "ms", _spawn(host, "/bin/true", []))
        for verb in ("ADD", "DEL"):
            calls = [{"env": stage.variables(verb, name), "stdin": config} for name in names]
            result = report.add(f"cni: {verb}, spawn to exit", "ms", _spawn(host, _PLUGIN, calls))
            report.ratio(f"cni: {verb} over /bin/true", result, bare)
        _together(report, host, config)


def _together(report: Report, host: Host, config: str) -> None:
    names = [f"t{number}" for number in range(_TOGETHER)]
    for name in names:
        host.run(["ip", "netns", "add", name])
    calls = [{"env": stage.variables("ADD", name), "stdin": config} for name in names]
    title = f"cni: {_TOGETHER} ADDs at once, until the last has ended"
    report.add(title, "ms", _spawn(host, _PLUGIN, calls, "together"))


def _spawn(
    host: Host, program: str, calls: Sequence[Mapping[str, object]], *mode: str
) -> list[float]:
    script = [sys.executable, "-m", "bench.spawn", str(_SAMPLES), program, *mode]
    done = host.run(
        script,
        env={"PYTHONPATH": str(_ROOT)},
        stdin="\n".join(json.dumps(call) for call in calls),
        timeout_s=120,
    )
    return [float(line) for line in done.stdout.split()]
