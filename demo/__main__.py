"""Play the demonstration; see ``python -m demo --help``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from calico_test import sweep
from calico_test.connectivity import Matrix
from calico_test.convergence import Flow, measure
from calico_test.errors import AlreadyUpError, HarnessError, NothingUpError
from calico_test.lab import Lab
from calico_test.matrix import Expectation, Mismatch
from demo import expected, stage

NAME = "demo"
_DEADLINE_S = 15.0


class Narrator:
    """Says what is being done, and how long it took."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say something, with the seconds since the beginning."""
        print(f"[{time.monotonic() - self._began:5.1f} s] {text}", flush=True)


def main() -> int:
    """Play as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the lab up (make demo KEEP=1)")
    parser.add_argument("--down", action="store_true", help="remove a kept lab (make demo-down)")
    options = parser.parse_args()
    try:
        return take_down() if options.down else play(keep=options.keep)
    except AlreadyUpError:
        print("\ndemo: a lab is up already; remove it with: make demo-down", file=sys.stderr)
    except Mismatch as difference:
        print(f"\nNot as expected.\n{difference}", file=sys.stderr)
    except (stage.StageError, HarnessError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything was removed", file=sys.stderr)
    return 1


def take_down() -> int:
    """Remove a kept lab, if there is one."""
    try:
        sweep.remove_named(NAME)
        print("The lab is removed.")
    except NothingUpError:
        print("There is no lab to remove.")
    return 0


def play(*, keep: bool) -> int:
    """Build the lab, show three matrices, and take it down again."""
    say = Narrator()
    say("starting two hosts and etcd, each in network namespaces of its own")
    with Lab(2, name=NAME) as lab:
        scene(lab, say)
        matrix = Matrix([*lab.hosts, *lab.endpoints], expected.PROBES)
        show(
            say,
            matrix,
            "before policy: the network's profile allows everything",
            expected.before_policy,
        )
        say("calicoctl apply: two tiers, a network set, policies, a default deny")
        for file in ("30-tiers.yaml", "40-security.yaml", "50-applications.yaml"):
            stage.calicoctl(lab, "apply", "-f", str(stage.HERE / "resources" / file))
        show(say, matrix, "after policy", expected.after_policy)
        live_change(lab, say)
        show(
            say,
            matrix,
            "after the live change: api reaches db on port 80, too",
            expected.after_change,
        )
        if keep:
            lab.save()
            explain(lab)
        else:
            say("removing the lab")
    if not keep:
        say("done: three matrices as expected, nothing left behind")
    return 0


def scene(lab: Lab, say: Narrator) -> None:
    """Pools and profiles, services on both hosts, six workloads."""
    say("calicoctl apply: address pools and the network's profile")
    for file in ("10-pools.yaml", "20-profiles.yaml"):
        stage.calicoctl(lab, "apply", "-f", str(stage.HERE / "resources" / file))
    say("calicoctl node run: start-up, Felix, BGP agent with BIRD, workload server on each host")
    in_parallel([lambda host=host: stage.start_node(lab, host) for host in lab.hosts])
    say("attaching six workloads through the calico CNI plugin with calico-ipam")
    for number, host in enumerate(lab.hosts, start=1):
        for application in expected.APPLICATIONS:
            workload = stage.attach(host, f"{application}{number}", application)
            print(f"          {workload.name:5} on {host.name}: {', '.join(workload.addresses)}")
    for endpoint in [*lab.hosts, *lab.endpoints]:
        endpoint.listen(tcp=[expected.HTTP.port, expected.SQL.port])


def in_parallel(jobs: list[Callable[[], None]]) -> None:
    """Do all jobs at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def show(say: Narrator, matrix: Matrix, title: str, expectation: Expectation) -> None:
    """Probe until everything is as expected, and print the matrix."""
    report = matrix.until(expectation, deadline_s=_DEADLINE_S)
    say(f"who reaches whom {title}")
    print("\n" + "\n".join(f"    {line}".rstrip() for line in report.render().splitlines()) + "\n")


def live_change(lab: Lab, say: Narrator) -> None:
    """Change one policy while a connection is tried every millisecond."""
    source, target = lab.hosts[0].workloads["api1"], lab.hosts[1].workloads["db2"]
    address = target.address(4)
    if address is None:
        raise stage.StageError(f"{target.name} has no IPv4 address")
    say("live change: databases also answer on port 80 (demo/live-change.yaml)")
    returned_ns = 0

    def change() -> None:
        nonlocal returned_ns
        stage.calicoctl(lab, "apply", "-f", str(stage.HERE / "live-change.yaml"))
        returned_ns = time.monotonic_ns()

    began_ns = time.monotonic_ns()
    with Flow(source, address, expected.HTTP) as flow:
        took_ms = measure(flow, change, to="open", deadline_s=_DEADLINE_S)
    command_ms = (returned_ns - began_ns) / 1e6
    say(
        f"enforced {took_ms:.0f} ms after `calicoctl apply` was started on the other host"
        f" (the command itself ran for {command_ms:.0f} ms)"
    )


def explain(lab: Lab) -> None:
    """Say how to look around."""
    host = lab.hosts[0]
    variables = " ".join(f"{k}={v}" for k, v in stage.environment(lab).items())
    workload, target = host.workloads["web1"], lab.hosts[1].workloads["api2"].address(4)
    shell = host.shell_command
    print(f"""
The lab is up. A shell on {host.name}, from which everything else is typed:

    {shell} env {variables} bash

    calicoctl get workloadendpoints -A          calicoctl get nodes -o wide
    calicoctl get networkpolicies -A -o wide    calicoctl node status
    nft list table inet calico                  ip route
    ip netns exec {workload.name} timeout 2 bash -c '</dev/tcp/{target}/80' && echo open

Remove it with: make demo-down""")


if __name__ == "__main__":
    sys.exit(main())
