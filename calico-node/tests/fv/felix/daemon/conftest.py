"""One host of a lab with the real ``calico-node felix``, workloads connected as CNI would, and an etcd."""

import http.client
import json
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from calico_test import netns, processes
from calico_test.agents import Request
from calico_test.probes import Probe
from libcalico.datastore import keys
from libcalico.resources import codec
from libcalico.resources.model import ResourceId, id_of
from libcalico.testing import builders as a

CALICO_NODE = str(Path(sys.executable).with_name("calico-node"))
DEADLINE_S = 20.0
HEALTH_PORT, METRICS_PORT = 9099, 9091
HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAYS = ("169.254.1.1", "fe80::ecee:eeff:feee:eeee")
STATUS = "/var/run/calico/endpoint-status"


def wait(condition, what, deadline_s=DEADLINE_S):
    processes.wait_until(condition, what, deadline_s=deadline_s)


class Felix:
    """Felix on one host, and the datastore that it follows.

    Attributes:
        host, etcd: of the lab.
        process: the running Felix, if there is one.
    """

    OPEN, CLOSED = ["open", "open"], ["timeout", "timeout"]
    wait = staticmethod(wait)

    def __init__(self, lab, index=0, first=1):
        self.lab, self.host, self.etcd = lab, lab.hosts[index], lab.etcd
        self.process = None
        self._numbers = iter(range(first, 99))
        self.host.env |= {
            "NODENAME": self.host.name,
            "ETCD_ENDPOINTS": self.etcd.endpoint,
            "FELIX_HEALTHENABLED": "true",
        }
        self.host.sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")

    # The process

    def start(self, *, until_ready=True, **environ):
        self.process = self.host.popen([CALICO_NODE, "felix"], log="felix", env=environ)
        if until_ready:
            self.wait_ready()

    def command(self, *arguments, **options):
        """Run a subcommand of ``calico-node felix`` on the host."""
        return self.host.run([CALICO_NODE, "felix", *arguments], **options)

    def end(self, signum=signal.SIGTERM):
        """Send a signal; return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(DEADLINE_S)

    @property
    def log(self):
        return (self.host.state_dir / "felix.log").read_text()

    # What it says

    def get(self, path, port=HEALTH_PORT):
        """Return status and body of an answer; (0, "") if nobody answers."""
        inside = Path(f"/proc/{self.host.holder.pid}/ns/net")
        connection = http.client.HTTPConnection("localhost", port, timeout=DEADLINE_S)
        try:
            connection.sock = netns.call_in(
                inside, lambda: socket.create_connection(("127.0.0.1", port), DEADLINE_S)
            )
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def row(self, component):
        """Return a component's line of the health page: live, ready, detail."""
        for line in self.get("/")[1].splitlines():
            name, *cells = line.split(None, 3)
            if name == component:
                return cells
        return ["", "", ""]

    def is_ready(self):
        return self.get("/readiness")[0] == 204

    def wait_ready(self):
        wait(self.is_ready, "felix is ready")

    def wait_row(self, component, text, deadline_s=DEADLINE_S):
        wait(lambda: text in " ".join(self.row(component)), f"{component}: {text}", deadline_s)

    # What it did

    def chain(self, name):
        listed = ["nft", "list", "chain", "inet", "calico", name]
        return self.host.run(listed, check=False).stdout

    def table(self, where=None):
        """Return the table's objects, however the kernel has ordered them and their elements.

        Args:
            where: a namespace, in place of the host.
        """
        text = (where or self.host).run(["nft", "-s", "list", "ruleset"]).stdout
        blocks = re.split(r"^\t(?=\w)", text, flags=re.MULTILINE)[1:]
        return sorted(
            (block, "")
            if "elements" not in block
            else (block.split("{")[0], " ".join(sorted(re.split(r"[\s,]+", block))))
            for block in (block.strip(" \n\t}") for block in blocks)
        )

    def wait_chain(self, name, text):
        wait(lambda: text in self.chain(name), f"{name}: {text}")

    def wait_policy(self, name, direction="i"):
        """Wait until a global policy is in the kernel."""
        wait(lambda: self.chain(f"cali-p{direction}-gnp/{name}"), f"policy {name} in force")

    def statuses(self):
        """Return the names of the endpoint status files; one that is being written has a dot in front."""
        names = {path.name for path in self.host.path(STATUS).iterdir()}
        return {name for name in names if not name.startswith(".")}

    # Packets

    @staticmethod
    def outcomes(source, destination, probe="tcp80", *, senders=(None, None), **options):
        """Probe in both families, from other source addresses if given; return both outcomes."""
        requests = [
            Request(
                to=destination.address(version), probe=Probe.parse(probe), source=own, **options
            )
            for version, own in zip((4, 6), senders, strict=True)
        ]
        return [observation.outcome.value for observation in source.agent.probe(requests)]

    def wait_outcomes(self, source, destination, wanted, probe="tcp80"):
        what = f"{source.name} -> {destination.name} {probe} {wanted}"
        wait(lambda: self.outcomes(source, destination, probe) == wanted, what)

    # The datastore

    def put(self, *resources):
        for resource in resources:
            self.etcd.put(keys.path_of(id_of(resource)), codec.encode(resource).decode())

    def put_raw(self, kind, name, document, namespace=""):
        key = keys.path_of(ResourceId(kind, namespace, name))
        text = document if isinstance(document, str) else json.dumps(document)
        self.etcd.put(key, text)

    def delete(self, resource):
        self.etcd.clear(keys.path_of(id_of(resource)))

    def configure(self, name="default", **fields):
        self.put(a.a_felix_configuration(name=name, **fields))

    # Workloads

    def endpoint(self, name, *addresses, **fields):
        """Return the endpoint of a workload of this host."""
        nets = [f"{address}/{128 if ':' in address else 32}" for address in addresses]
        defaults = {"profiles": ["open"], "labels": {"app": name}}
        return a.an_endpoint(
            node=self.host.name,
            container_id=name,
            interface_name=f"cali{name}",
            ip_networks=nets,
            **{**defaults, **fields},
        )

    def connect(self, name, *, registered=True, listen=(80, 81), **fields):
        """Make a workload as CNI does, and register its endpoint; wait until Felix is done with it."""
        number = next(self._numbers)
        workload = self.host.add_workload(name)
        workload.addresses = [f"10.65.0.{number}", f"fd65::{number}"]
        commands = f"""
            ip link add cali{name} address {HOST_MAC} type veth peer name eth0 netns {name}
            ip link set cali{name} up
            ip -n {name} address add 10.65.0.{number}/32 dev eth0
            ip -n {name} address add fd65::{number}/128 dev eth0 nodad
            ip -n {name} link set eth0 up
            ip -n {name} route add {GATEWAYS[0]} dev eth0
            ip -n {name} route add default via {GATEWAYS[0]}
            ip -n {name} route add default via {GATEWAYS[1]} dev eth0
            """
        self.host.sh(commands)
        workload.listen(tcp=listen, udp=listen)
        if registered:
            endpoint = self.endpoint(name, *workload.addresses, **fields)
            self.put(endpoint)
            if self.process is not None:
                wait(lambda: self.has_status(endpoint), f"{name} is programmed")
        return workload

    def has_status(self, endpoint):
        part = f"{endpoint.metadata.namespace}%2F{endpoint.spec.container_id}"
        return any(part in name for name in self.statuses())


@pytest.fixture
def basics():
    """What every cluster has, and the profile of our endpoints."""
    return [
        a.a_cluster_information(),
        a.a_tier(name="default", order=1_000_000.0, default_action="Deny"),
        a.a_profile(name="open"),
    ]


@pytest.fixture
def felix(lab, basics):
    """Felix's host, with Felix not started yet."""
    made = Felix(lab(1))
    made.put(*basics)
    return made


@pytest.fixture
def felix_of():
    """What gives the Felix of one of several hosts, whose workloads are numbered from a number."""
    return Felix
