"""What policy costs a packet: two workloads of a host with Felix, beside two of a host that only routes.

A third host routes and tracks connections (one rule), which most hosts do anyway and which policy needs: what
Felix costs beyond that is the policy. The rounds alternate between the hosts, so that all see the same
machine. Policy of the receiver: a number of rules of which the last allows; of the sender: its profile.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from bench import cluster
from bench.felixhost import connected, endpoint_of
from bench.measure import Report, Result, Scale
from bench.traffic import PORTS
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.processes import wait_until
from libcalico.datastore.backend import Backend
from libcalico.resources import codec
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import ObjectMeta
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Rule,
)

_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).parent.parent
_RULES = (10, 100, 1000)
_ROUNDS = 30
_UNITS = {"latency": "us", "throughput": "MB/s", "connections": "us"}
_GATEWAY = "169.254.1.1"
_DEADLINE_S = 30.0
_TRACKED = """
table inet tracked {
    chain forward {
        type filter hook forward priority filter
        ct state established,related accept
    }
}
"""


class Pair:
    """A client and a server on a host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        for number, name in enumerate(("client", "server"), start=1):
            _connect(host, name, number)
        server = self._start("server", "serve")
        if _pipe(server.stdout).readline() != "serving\n":
            raise RuntimeError(f"{host.name}: the server did not start")
        self._client = self._start("client", "ask", _address(2))

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        argv = ["ip", "netns", "exec", name, sys.executable, "-m", "bench.traffic", *arguments]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return self._host.popen(argv, env={"PYTHONPATH": str(_ROOT)}, **pipes)

    def measure(self, what: str) -> float:
        """Return one round's number."""
        questions = _pipe(self._client.stdin)
        print(what, file=questions, flush=True)
        return float(_pipe(self._client.stdout).readline())


def run(report: Report) -> None:
    """Measure established connections once, and new ones for each number of rules."""
    with Lab(3) as lab, connected(lab) as backend:
        plain, tracked, enforced = lab.hosts
        for host in (plain, tracked):
            host.sh("sysctl -qw net.ipv4.ip_forward=1")
        tracked.run(["nft", "-f", "-"], stdin=_TRACKED)
        cluster.write(backend, cluster.basics())
        cluster.write(
            backend, (cluster.endpoint(n, node=enforced.name, side=f"side{n}") for n in (1, 2))
        )
        pairs = {"plain": Pair(plain), "tracked": Pair(tracked), "felix": Pair(enforced)}
        environment = {"ETCD_ENDPOINTS": endpoint_of(lab), "NODENAME": enforced.name}
        enforced.popen([f"{_BIN}/calico-node", "felix"], log="felix", env=environment)
        for rules in _RULES:
            _enforce(backend, enforced, rules)
            if rules == _RULES[0]:
                _compare(report, pairs, "latency", "established connection, exchange")
                _compare(report, pairs, "throughput", "established connection, throughput")
            _compare(report, pairs, "connections", f"new connection, {rules} rules", rules)


def _compare(
    report: Report, pairs: dict[str, Pair], what: str, title: str, rules: int | None = None
) -> None:
    samples: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(_ROUNDS):
        for name, pair in pairs.items():
            samples[name].append(pair.measure(what))
    results: dict[str, Result] = {
        name: report.add(
            f"packets: {title}, {name}",
            _UNITS[what],
            values,
            scale=Scale("packets: new connection", name, rules, "rules") if rules else None,
        )
        for name, values in samples.items()
    }
    for baseline in ("plain", "tracked"):
        name = f"packets: {title}, felix over {baseline}"
        report.ratio(name, results["felix"], results[baseline])


def _enforce(backend: Backend, host: Host, rules: int) -> None:
    """Give the server a policy, and wait until its last rule is in the kernel."""
    port = PORTS[-1] + rules  # told by the last number which version is in force
    others = [
        Rule(action="Allow", protocol="TCP", destination=EntityRule(ports=[port + number]))
        for number in range(rules - 1)
    ]
    last = Rule(action="Allow", protocol="TCP", destination=EntityRule(ports=list(PORTS)))
    spec = GlobalNetworkPolicySpec(
        tier="default", order=1.0, selector="side == 'side2'", ingress=[*others, last]
    )
    policy = with_defaults(GlobalNetworkPolicy(metadata=ObjectMeta(name="server"), spec=spec))
    backend.put(cluster.key_of(policy), codec.encode(policy))
    chain = ["nft", "list", "chain", "inet", "calico", "cali-pi-gnp/server"]
    wait_until(
        lambda: str(port) in host.run(chain, check=False).stdout,
        f"a policy of {rules} rules is in force",
        deadline_s=_DEADLINE_S,
    )


def _connect(host: Host, name: str, number: int) -> None:
    """Connect a workload as CNI does; the route is the host's, which Felix also makes."""
    host.add_workload(name)
    host.sh(
        f"""
        ip link add cali{number} address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns {name}
        ip link set cali{number} up
        sysctl -qw net.ipv4.conf.cali{number}.proxy_arp=1
        ip route replace {_address(number)} dev cali{number} scope link
        ip -n {name} address add {_address(number)}/32 dev eth0
        ip -n {name} link set eth0 up
        ip -n {name} route add {_GATEWAY} dev eth0
        ip -n {name} route add default via {_GATEWAY}
        """
    )


def _address(number: int) -> str:
    """Return the address that ``cluster.endpoint`` gives the number."""
    return f"10.0.0.{number}"


def _pipe(pipe: IO[Any] | None) -> IO[Any]:
    if pipe is None:
        raise RuntimeError("a process was started without pipes")
    return pipe
