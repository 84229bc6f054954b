"""A Docker engine on a host of a lab, and containers as endpoints.

The engine and its containers have a process namespace of their own: when the engine ends, however that
happens, the kernel ends all of them. It has no bridge and sets no firewall rule; containers have
``--net none`` or ``--net host`` until a driver or a plugin connects them.
"""

import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from calico_test import processes
from calico_test.errors import HarnessError
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.processes import Process
from calico_test.workloads import Endpoint, Site

_RUNTIME = Path(__file__).with_name("runtime.sh")
_SOCKET = "/run/docker.sock"
_DATA = Path("/var/tmp")  # on a disk: layers do not belong into memory
_CGROUPS = Path("/sys/fs/cgroup")
_START_S = 30.0
_LOAD_S = 120.0


class Engine:
    """The Docker engine of one host. Use it as a context manager, or call ``close``.

    Args:
        lab: that the host is of; it removes what the engine stores.
        host: on which the engine listens at /run/docker.sock, where Docker's clients look for it.
        options: more options of dockerd.

    Attributes:
        containers: that were started by :meth:`run`, by name.

    Raises:
        HarnessError: Docker is not installed, or the engine does not start; the text is the end of its log.
    """

    def __init__(self, lab: Lab, host: Host, *, options: Sequence[str] = ()) -> None:
        self.host = host
        self.containers: dict[str, Container] = {}
        self._cgroup = f"{lab.name}-{host.name}"
        self._data = _DATA / f"calico-test-{lab.name}-{host.name}"
        lab.add_directory(self._data)
        self._child = host.popen(self._command(options), log="dockerd")
        try:
            processes.wait_until(self._answers, f"{host.name}: Docker engine", deadline_s=_START_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self, options: Sequence[str]) -> list[str]:
        own_processes = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"]
        where = [f"--host=unix://{_SOCKET}", f"--data-root={self._data}"]
        runtime = [f"--add-runtime=ours={_RUNTIME}", "--default-runtime=ours"]
        network = ["--bridge=none", "--iptables=false", f"--cgroup-parent=/{self._cgroup}"]
        return [*own_processes, "dockerd", *where, *runtime, *network, *options]

    def _answers(self) -> bool:
        if self._child.poll() is not None:
            log = (self.host.state_dir / "dockerd.log").read_text(encoding="utf-8")
            raise HarnessError(f"{self.host.name}: dockerd does not start:\n{log[-2000:]}")
        return self.docker("version", check=False).returncode == 0

    def docker(
        self,
        *arguments: str,
        check: bool = True,
        timeout_s: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a docker command on the host, with the host's own engine."""
        host_variable = {"DOCKER_HOST": f"unix://{_SOCKET}", **(env or {})}
        return self.host.run(
            ["docker", *arguments], env=host_variable, check=check, timeout_s=timeout_s
        )

    def beside(
        self, argv: Sequence[str], *, check: bool = True, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host where it sees the engine's processes, as on every real host."""
        into = [f"--target={self._daemon().pid}", "--mount", "--uts", "--net", "--pid"]
        env = {**self.host.env, "DOCKER_HOST": f"unix://{_SOCKET}"}
        return processes.run(
            ["nsenter", *into, "--"],
            argv,
            where=self.host.name,
            env=env,
            check=check,
            timeout_s=timeout_s,
        )

    def load(self, archive: Path) -> None:
        """Load images that ``docker save`` has written."""
        self.docker("load", "--quiet", "--input", str(archive), timeout_s=_LOAD_S)

    def run(self, name: str, image: str, *options: str, net: str = "none") -> "Container":
        """Start a container that does nothing but exist."""
        command = ["sleep", "infinity"]
        self.docker(
            "run", "--detach", "--init", "--name", name, "--net", net, *options, image, *command
        )
        self.containers[name] = container = Container(name, self)
        return container

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name).stdout)
        return found[0]

    def remove(self, name: str) -> None:
        """Remove a container and all that runs in it."""
        self.containers.pop(name).end_agent()
        self.docker("rm", "--force", "--volumes", name)

    @property
    def root(self) -> Path:
        """The engine's view of the file system, where its process ids mean something."""
        return Path(f"/proc/{self._daemon().pid}/root")

    def _daemon(self) -> Process:
        """Return dockerd's process: the one child of the process that made its namespace."""
        pid = self._child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return Process.of(int(children[0]) if children else pid)

    def close(self) -> None:
        """End the engine with all its containers. Can be called again."""
        for container in self.containers.values():
            container.hang_up()
        self.containers.clear()
        if self._child.poll() is None:
            processes.kill([self._daemon()])
            self._child.wait()
        for directory in _cgroups(self._cgroup):
            with contextlib.suppress(FileNotFoundError):
                directory.rmdir()


def _cgroups(name: str) -> list[Path]:
    """Return the control groups of an engine, in each hierarchy, inner ones first."""
    tops = [*_CGROUPS.glob(name), *_CGROUPS.glob(f"*/{name}")]
    return [inner for top in tops for inner in sorted([top, *top.glob("**/*/")], reverse=True)]


class Container(Endpoint):
    """A running container, as an endpoint of the connectivity matrix.

    Attributes:
        netns: path of its network namespace on the machine, e.g. for ``CNI_NETNS``.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        pid = engine.inspect(name)["State"]["Pid"]
        self.netns = str(engine.root / f"proc/{pid}/ns/net")
        holder = engine.host.holder.pid
        into = ["nsenter", f"--target={holder}", "--mount", "--uts", f"--net={self.netns}", "--"]
        site = engine.host.site
        self._agents: list[Process] = []

        def started(process: Process) -> None:
            self._agents.append(process)
            site.started(process)

        super().__init__(name, Site(site.state_dir, started), into)

    def end_agent(self) -> None:
        """End the agent, so that another container may have the name."""
        self.hang_up()
        processes.kill(self._agents)
        self._agents.clear()
        self._socket_path.unlink(missing_ok=True)
