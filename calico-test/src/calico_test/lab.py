"""A lab: hosts that are joined by a bridge, and an etcd that they all reach.

The bridge is in a network namespace of its own, the fabric. Nothing of a lab touches the machine's network,
and every lab has the same addresses: the fabric (and etcd) 10.233.0.1 and fd00:233::1, host number N
10.233.0.(10+N) and fd00:233::(10+N), written alike in both families. As on real hosts there is a default
route; it leads to the fabric, which forwards nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calico_test import hosts as hosts_
from calico_test import interrupts, netns, processes, records, sweep
from calico_test.errors import HarnessError
from calico_test.etcd import Etcd
from calico_test.hosts import Host
from calico_test.processes import Process
from calico_test.workloads import Endpoint, Site

FABRIC_ADDRESSES = ("10.233.0.1", "fd00:233::1")
_PREFIX_LENGTHS = (24, 64)
_MAX_HOSTS = 89  # so that the last number is the same digits in both families, and below 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}")
_BRIDGE = """
link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set br0 addrgenmode none
address add 10.233.0.1/24 dev br0
address add fd00:233::1/64 dev br0 nodad
link set br0 up
"""


class Lab:
    """Hosts on a bridge. Use it as a context manager, or call ``close``.

    Args:
        hosts: how many (they are called ``host1``, ``host2``, ...), or their names.
        etcd: whether to run one.
        name: of the lab, for ``Lab.load``; a unique one when None.
        env: variables that every command on a host gets.

    Attributes:
        hosts: in order.
        etcd: the etcd, or None.
        fabric: the namespace of the bridge.
        outside: an endpoint in the fabric, which is no host: the world beyond the cluster.
        state_dir: logs and sockets, on the machine; removed with the lab.

    Raises:
        NotRootError: this process may not.
        AlreadyUpError: a lab of that name is up.
    """

    def __init__(
        self,
        hosts: int | Sequence[str] = 2,
        *,
        etcd: bool = True,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        processes.require_root()
        names = [f"host{n}" for n in range(1, hosts + 1)] if isinstance(hosts, int) else hosts
        _check(names, name)
        interrupts.raise_on_termination()
        sweep.sweep()  # a crashed lab may have had this name
        self._record = records.Record(name=name or records.unique_name("lab"))
        self.state_dir = _state_dir(self._record.name)
        self._record.directories.append(str(self.state_dir))
        self._record.claim()
        self.hosts: list[Host] = []
        self.etcd: Etcd | None = None
        self.outside: Endpoint | None = None
        try:
            self._build(names, env or {}, with_etcd=etcd)
        except BaseException:
            self.close()
            raise

    @classmethod
    def load(cls, name: str) -> Self:
        """Take up a lab that was saved, also by another process.

        Raises:
            HarnessError: there is none of that name, or its hosts are gone.
        """
        lab = cls.__new__(cls)
        lab._record = record = records.load(name)
        lab.state_dir = _state_dir(name)
        layout = record.layout
        if not layout:
            raise HarnessError(f"{record.path}: this lab belongs to a running process")
        lab.fabric = netns.NetNs.take_up(layout["fabric"], record)
        lab.outside = lab._outside()
        lab.hosts = [lab._take_up_host(item) for item in layout["hosts"]]
        etcd = layout["etcd"]
        lab.etcd = None if etcd is None else Etcd.take_up(etcd, lab.fabric, record)
        return lab

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_kept:
            self._hang_up()
        else:
            self.close()

    @property
    def name(self) -> str:
        """Name of the lab."""
        return self._record.name

    @property
    def is_kept(self) -> bool:
        """Whether it outlives this process."""
        return self._record.owner is None

    @property
    def removal_command(self) -> str:
        """What a person types to remove it."""
        return f"python -m calico_test.sweep {self.name}"

    @property
    def endpoints(self) -> list[Endpoint]:
        """All workloads, host by host."""
        return [workload for host in self.hosts for workload in host.workloads.values()]

    def host(self, name: str) -> Host:
        """The host of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise HarnessError(f"{self.name}: no host {name!r}")

    def add_directory(self, path: Path) -> None:
        """Make a directory on the machine that goes when the lab goes."""
        self._record.directories.append(str(path))
        self._record.save()
        path.mkdir(parents=True)

    def save(self) -> None:
        """Keep the lab up when the context manager or this process ends; ``load`` takes it up again."""
        self._record.layout = {
            "fabric": self.fabric.name,
            "etcd": self.etcd.layout() if self.etcd else None,
            "hosts": [_host_layout(host) for host in self.hosts],
        }
        self._record.owner = None
        self._record.save()
        processes.let_go([*self._record.processes, *self._record.anchors])
        self._hang_up()
        for host in self.hosts:
            host.let_go()

    def close(self) -> None:
        """Remove the lab: everything that runs in it, its namespaces and files. Can be called again."""
        with interrupts.postponed():
            self._hang_up()
            for host in self.hosts:
                host.kill_children()
            sweep.remove(self._record)

    def _hang_up(self) -> None:
        for endpoint in [*self.hosts, *([self.outside] if self.outside else ())]:
            endpoint.hang_up()

    def _build(self, names: Sequence[str], env: Mapping[str, str], *, with_etcd: bool) -> None:
        self.state_dir.mkdir()
        self.fabric = netns.NetNs(f"{self.name}-fabric", record=self._record)
        self.fabric.run(["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"])
        self._ip(_BRIDGE.strip().splitlines())
        self.outside = self._outside()
        for number, name in enumerate(names, start=1):
            self._add_host(number, name, env)
        if with_etcd:
            self.etcd = Etcd(
                addresses=[*FABRIC_ADDRESSES, "127.0.0.1"],
                namespace=self.fabric,
                port=2379,
                record=self._record,
            )

    def _add_host(self, number: int, name: str, env: Mapping[str, str]) -> None:
        directory = self.state_dir / name
        directory.mkdir()
        holder = hosts_.spawn_holder(name, directory / "holder.log", self._record)
        host = Host(name, holder, directory, self._record, env)
        self.hosts.append(host)
        host.addresses = [f"10.233.0.{10 + number}", f"fd00:233::{10 + number}"]
        port = f"port{number}"
        self._ip(
            [
                f"link add {port} type veth peer name eth0 netns {holder.pid}",
                f"link set {port} addrgenmode none master br0 up",
            ]
        )
        # Duplicate address detection would keep the link-local address unusable for a second or more.
        host.sh("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
        commands = [
            f"address add {address}/{length} dev eth0"
            for address, length in zip(host.addresses, _PREFIX_LENGTHS, strict=True)
        ]
        commands += ["link set eth0 up"]
        commands += [f"route add default via {gateway}" for gateway in FABRIC_ADDRESSES]
        host.run(["ip", "-batch", "-"], stdin="\n".join(commands))

    def _outside(self) -> Endpoint:
        site = Site(self.state_dir, self._record.add_process)
        outside = Endpoint("outside", site, self.fabric.enter)
        outside.addresses = list(FABRIC_ADDRESSES)
        return outside

    def _ip(self, commands: Iterable[str]) -> None:
        self.fabric.run(["ip", "-batch", "-"], stdin="\n".join(commands))

    def _take_up_host(self, layout: Mapping[str, Any]) -> Host:
        holder = Process(**layout["holder"])
        if not holder.is_alive:
            raise HarnessError(f"{layout['name']}: the host is gone: {self.removal_command}")
        directory = self.state_dir / layout["name"]
        host = Host(layout["name"], holder, directory, self._record, layout["env"])
        host.addresses = layout["addresses"]
        for name, addresses in layout["workloads"].items():
            host.take_up_workload(name, addresses)
        return host


def _check(hosts: Sequence[str], name: str | None) -> None:
    if not 1 <= len(hosts) <= _MAX_HOSTS or len(set(hosts)) != len(hosts):
        raise ValueError(f"hosts: 1 to {_MAX_HOSTS} different names, not {hosts!r}")
    for word in (*hosts, *([] if name is None else [name])):
        if not _NAME.fullmatch(word):
            raise ValueError(f"{word!r}: not a name of letters, digits and dashes")


def _state_dir(name: str) -> Path:
    return records.state_dir() / f"{name}.d"


def _host_layout(host: Host) -> dict[str, Any]:
    workloads = {workload.name: workload.addresses for workload in host.workloads.values()}
    layout = {"name": host.name, "holder": asdict(host.holder), "env": host.env}
    layout |= {"addresses": host.addresses, "workloads": workloads}
    return json.loads(json.dumps(layout))  # type: ignore[no-any-return]  # a dict goes in
