"""Two hosts with real Calico nodes, and an agent on each that speaks net-modules' protocol."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.processes import wait_until
from calico_test.workloads import Endpoint

BIN = Path(sys.executable).parent
RESOURCES = "/calico/resources/v3/projectcalico.org"
DEADLINE_S = 30.0
POOLS = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: "fd65::/64"}
"""


class AgentError(Exception):
    """What the Mesos agent makes of a reply with an error, or of none."""


class Task(Endpoint):
    """A process in a network namespace of its own, as the containerizer clones it."""

    def __init__(self, host: Host, name: str) -> None:
        self.container_id = str(uuid4())
        self.process = host.popen(["unshare", "--net", "sleep", "infinity"], log=name)
        self.pid, self.host = self.process.pid, host
        super().__init__(name, host.site, ["nsenter", f"--target={self.pid}", "--net", "--"])
        space = Path(f"/proc/{host.holder.pid}/ns/net").stat().st_ino
        where = Path(f"/proc/{self.pid}")
        wait_until(
            lambda: (
                (where / "comm").read_text() == "sleep\n"
                and (where / "ns/net").stat().st_ino != space
            ),
            f"{name} has a namespace of its own",
        )

    def end(self) -> None:
        self.hang_up()
        self.process.kill()
        self.process.wait(DEADLINE_S)


class Agent:
    """What network_isolator.cpp does on one host: calls, in its order, with its bytes."""

    def __init__(self, host: Host, env: Mapping[str, str]) -> None:
        self.host, self.env = host, dict(env)
        self.command = str(BIN / "calico-mesos")

    def start(self, command: str, args: Mapping[str, Any], **env: str) -> subprocess.Popen[bytes]:
        """Start the command and send it a request: sorted keys, no spaces, escaped slashes, then EOF."""
        message = {"command": command, "args": {k: v for k, v in args.items() if v not in ([], ())}}
        text = json.dumps(message, sort_keys=True, separators=(",", ":")).replace("/", "\\/")
        return self.start_raw(text.encode(), **env)

    def start_raw(self, data: bytes, **env: str) -> subprocess.Popen[bytes]:
        process = self.host.popen(
            [self.command],
            env=self.env | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Wait for the end of the process, and only then read; what it logged is not read at all."""
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        output = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        reply: dict[str, Any] = json.loads(output)
        assert output.count(b"\n") == 1
        if reply.pop("error") is not None:
            raise AgentError(json.loads(output)["error"])
        return reply

    def run(self, command: str, args: Mapping[str, Any], **env: str) -> dict[str, Any]:
        return self.finish(self.start(command, args, **env))

    def refused(self, command: str, args: Mapping[str, Any], **env: str) -> str:
        """Make a call that must fail; return why it did, which is one line."""
        with pytest.raises(AgentError) as failed:
            self.run(command, args, **env)
        assert "\n" not in str(failed.value)
        return str(failed.value)

    def allocate(self, uid: str, num_ipv4: int = 1, num_ipv6: int = 0, **more: Any) -> list[str]:
        args = {"hostname": self.host.name, "uid": uid, "num_ipv4": num_ipv4, "num_ipv6": num_ipv6}
        reply = self.run("allocate", args | more)
        return [*reply["ipv4"], *reply["ipv6"]]

    def launch(
        self,
        task: Task,
        *groups: str,
        static: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        num_ipv6: int = 1,
    ) -> Task:
        """Prepare and isolate a task."""
        uid = str(uuid4())
        addresses = list(static)
        if static:
            args = {"hostname": self.host.name, "uid": uid, "ipv4_addrs": addresses}
            self.run("reserve", args | {"netgroups": groups})
        addresses += self.allocate(uid, 1, num_ipv6, netgroups=groups)
        task.addresses = addresses
        self.isolate(task, groups, labels)
        return task

    def isolate_args(
        self, task: Task, groups: Sequence[str] = (), labels: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return {
            "hostname": self.host.name,
            "container_id": task.container_id,
            "pid": task.pid,
            "ipv4_addrs": [a for a in task.addresses if ":" not in a],
            "ipv6_addrs": [a for a in task.addresses if ":" in a],
            "netgroups": list(groups),
            "labels": [{"key": key, "value": value} for key, value in (labels or {}).items()],
        }

    def isolate(self, task: Task, *args: Any) -> None:
        self.run("isolate", self.isolate_args(task, *args))

    def release(self, *ips: str) -> None:
        self.run("release", {"ips": list(ips)})

    def cleanup(self, task: Task) -> None:
        self.run("cleanup", {"hostname": self.host.name, "container_id": task.container_id})

    def end(self, task: Task) -> None:
        """End a task; the agent releases first, then cleans up."""
        task.end()
        self.release(*task.addresses)
        self.cleanup(task)


class Cluster:
    """The lab as an operator sees it."""

    def __init__(self, lab: Lab) -> None:
        assert lab.etcd is not None
        self.lab, self.etcd = lab, lab.etcd
        path = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.env = {"ETCD_ENDPOINTS": self.etcd.endpoint, "PATH": path}
        self.agents = [Agent(host, self.env) for host in lab.hosts]
        self.tasks: list[Task] = []
        self._numbers = itertools.count(1)
        self.calicoctl("apply", "-f", "-", stdin=POOLS)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._start_node, lab.hosts))

    def _start_node(self, host: Host) -> None:
        command = ["calicoctl", "node", "run", "--runtime=native", f"--name={host.name}"]
        options = ["--ip=autodetect", "--ip6=autodetect", "--no-default-ippools"]
        host.run([*command, *options], env=self.env)
        pools = ["--ipv4-pools=four"]
        host.run(["calico-cni", "install", "--network-name=mynet", *pools], env=self.env)

    def calicoctl(self, *arguments: str, stdin: str | None = None) -> str:
        command = ["calicoctl", *arguments]
        return self.lab.hosts[0].run(command, env=self.env, stdin=stdin).stdout

    def agent(self, host: Host) -> Agent:
        return next(agent for agent in self.agents if agent.host is host)

    def task(self, number: int, name: str) -> Task:
        task = Task(self.lab.hosts[number], f"{name}-{next(self._numbers)}")
        self.tasks.append(task)
        return task

    def endpoints(self) -> dict[str, Any]:
        found = self.etcd.get_prefix(f"{RESOURCES}/workloadendpoints/")
        return {"/".join(key.split("/")[-2:]): json.loads(value) for key, value in found.items()}

    def left(self) -> tuple[Any, ...]:
        """What tasks left: endpoints, handles, assigned addresses, interfaces."""
        handles = [
            key.rpartition("/")[2] for key in self.etcd.get_prefix("/calico/ipam/v2/handle/")
        ]
        blocks = self.etcd.get_prefix("/calico/ipam/v2/assignment/").values()
        assigned = sum(n is not None for b in blocks for n in json.loads(b)["allocations"])
        links = [name for host in self.lab.hosts for name in workload_links(host)]
        return (sorted(self.endpoints()), sorted(handles), assigned, links)


NOTHING = ([], [], 0, [])


def workload_links(host: Host) -> list[str]:
    text = host.run(["ip", "-json", "link"]).stdout
    return [link["ifname"] for link in json.loads(text) if link["ifname"].startswith("cali")]


@pytest.fixture(scope="session")
def running() -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with Lab(2) as lab:
        yield Cluster(lab)
        for host in lab.hosts:
            host.run(["calicoctl", "node", "stop", "--force"], check=False)


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """The cluster, which has no task before and after."""
    assert running.left() == NOTHING
    yield running
    isolated = {endpoint["spec"]["containerID"] for endpoint in running.endpoints().values()}
    for task in running.tasks:
        task.end()
        if task.container_id in isolated:
            running.agent(task.host).cleanup(task)
    running.tasks.clear()
    assert running.left() == NOTHING
