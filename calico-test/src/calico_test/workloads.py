"""Workloads: network namespaces on a host, as a container runtime makes them, with an agent inside.

A workload begins with nothing but its loopback. Connecting it is the product's work (or a test's own).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

from calico_test import agents, processes
from calico_test.agents import Agent
from calico_test.probes import Observation, Probe
from calico_test.processes import Process


@dataclass(frozen=True, slots=True)
class Site:
    """What an endpoint needs of the lab around it.

    Attributes:
        state_dir: where the endpoint's socket and log go, on the machine.
        started: takes note of a process that must not be left behind.
    """

    state_dir: Path
    started: Callable[[Process], None]


class Place(Protocol):
    """The host that a workload is on."""

    @property
    def site(self) -> Site:
        """Where the workload's agent belongs."""

    @property
    def name(self) -> str:
        """Hostname."""

    @property
    def holder(self) -> Process:
        """The process whose mount namespace is the host's."""

    def run(self, argv: Sequence[str]) -> CompletedProcess[str]:
        """Run a command on the host."""


class Endpoint:
    """Something with a name and addresses that can be probed, and that probes through its agent.

    Attributes:
        name: unique in the lab.
        addresses: IPv4 and IPv6 addresses in text, at most one of each family is probed. Set by whoever
            connects it. identifies: whether its servers say who they are, as our agents do.
    """

    identifies = True

    def __init__(self, name: str, site: Site, enter: Sequence[str]) -> None:
        self.name = name
        self.addresses: list[str] = []
        self.enter = list(enter)
        self.site = site
        self._agent: Agent | None = None
        self._socket_path = site.state_dir / f"{name}.sock"
        self._log_path = site.state_dir / f"{name}-agent.log"

    @property
    def agent(self) -> Agent:
        """Its agent; started, or connected to, when first asked for."""
        if self._agent is None:
            if not self._socket_path.exists():
                self.site.started(
                    agents.spawn(self.name, self.enter, self._socket_path, self._log_path)
                )
            self._agent = Agent(self.name, self._socket_path)
        return self._agent

    def address(self, version: int) -> str | None:
        """Its address of a family, 4 or 6; None when it has none."""
        of_family = (text for text in self.addresses if ip_address(text).version == version)
        return next(of_family, None)

    def listen(self, *, tcp: Sequence[int] = (), udp: Sequence[int] = ()) -> None:
        """Serve these ports from now on, on all addresses that it has or gets."""
        for port in tcp:
            self.agent.listen("tcp", port)
        for port in udp:
            self.agent.listen("udp", port)

    def probe(self, to: str, probe: Probe, *, timeout_ms: float = 300.0) -> Observation:
        """Try one address once."""
        request = agents.Request(to=to, probe=probe, timeout_ms=timeout_ms)
        return self.agent.probe([request])[0]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> CompletedProcess[str]:
        """Run a command inside to its end; see ``processes.run``."""
        return processes.run(
            self.enter,
            argv,
            where=self.name,
            env=env,
            stdin=stdin,
            check=check,
            timeout_s=timeout_s,
        )

    def read_addresses(self) -> list[str]:
        """Ask the kernel for its global addresses, and keep them in ``addresses``."""
        links = json.loads(self.run(["ip", "-json", "address", "show", "scope", "global"]).stdout)
        found = (item for link in links for item in link.get("addr_info", ()))
        self.addresses = [item["local"] for item in found if "local" in item]  # some are empty
        return self.addresses

    def hang_up(self) -> None:
        """Close the connection to the agent; the agent goes on."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None


class Workload(Endpoint):
    """A network namespace on a host, at /run/netns/NAME in the host's eyes.

    Attributes:
        host: the host that it is on.
        netns: its path on the host, e.g. for ``CNI_NETNS``.
    """

    def __init__(self, name: str, host: Place) -> None:
        self.host = host
        self.netns = f"/run/netns/{name}"
        inside = f"/proc/{host.holder.pid}/root{self.netns}"
        into_host = ["nsenter", f"--target={host.holder.pid}", "--mount", "--uts"]
        super().__init__(name, host.site, [*into_host, f"--net={inside}", "--"])

    def create(self) -> None:
        """Make the namespace, with its loopback up."""
        script = 'ip netns add "$0" && ip -netns "$0" link set lo up'
        self.host.run(["sh", "-c", script, self.name])

    def delete(self) -> None:
        """Kill what runs inside and remove the namespace, as a runtime does after CNI DEL."""
        self.hang_up()
        path = Path(f"/proc/{self.host.holder.pid}/root{self.netns}")
        processes.kill_members({f"net:[{path.stat().st_ino}]"})
        self._socket_path.unlink(missing_ok=True)
        self.host.run(["ip", "netns", "delete", self.name])
