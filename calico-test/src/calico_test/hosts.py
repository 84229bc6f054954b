"""Hosts of a lab: a network, mount and UTS namespace each, kept alive by a small holder process.

To a program a host looks like a machine of its own: its hostname, its interfaces (``eth0`` is the uplink),
sysctls and nftables, its own empty /run, /etc/calico, /etc/cni, /opt/cni, /var/lib/calico and
/var/log/calico, and a private copy-on-write view of the machine's other /etc, /opt, /var/lib and /var/log.
Programs, libraries and /tmp are the machine's. Forwarding is off, as on a fresh host. When the last process
of a host ends, the kernel removes all of it. See ``holder.sh`` for how it is made.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from calico_test import processes, records
from calico_test.errors import HarnessError
from calico_test.processes import Process
from calico_test.workloads import Endpoint, Site, Workload

_SETUP = Path(__file__).with_name("holder.sh")
_MAX_STEPS = 10_000  # of a path; only a loop of symbolic links has more


def spawn_holder(hostname: str, log_path: Path, record: records.Record) -> Process:
    """Start the holder of a new host, note it as an anchor, and wait until the host stands.

    Raises:
        HarnessError: the kernel refused something; the message says what.
    """
    argv = ["unshare", "--mount", "--uts", "--net", "sh", str(_SETUP), hostname]
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as progress:
        with os.fdopen(writer):
            holder = processes.spawn(argv, log_path, stdout=writer)
        record.processes.append(holder)
        record.save()
        if progress.readline() != "ready\n":
            raise HarnessError(f"{hostname}: cannot make a host: {log_path.read_text()}")
    record.processes.remove(holder)
    record.anchors.append(holder)
    record.save()
    return holder


class Host(Endpoint):
    """One host. It is also an endpoint: its own agent listens and probes from its root namespace.

    Args:
        name: hostname, and name in the lab.
        holder: its holder process.
        state_dir: on the machine, for the host's logs and sockets.
        record: of the lab, takes the processes that are started.
        env: variables that every command on this host gets.
    """

    def __init__(
        self,
        name: str,
        holder: Process,
        state_dir: Path,
        record: records.Record,
        env: Mapping[str, str],
    ) -> None:
        self.holder = holder
        self.state_dir = state_dir
        self.env = dict(env)
        self.workloads: dict[str, Workload] = {}
        self._children: list[subprocess.Popen[Any]] = []
        enter = ["nsenter", f"--target={holder.pid}", "--mount", "--uts", "--net", "--"]
        super().__init__(name, Site(state_dir, record.add_process), enter)

    @property
    def shell_command(self) -> str:
        """What a person types to get a shell on this host."""
        return f"nsenter --target {self.holder.pid} --mount --uts --net"

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host to its end; see ``processes.run``."""
        return super().run(
            argv,
            env={**self.env, **(env or {})},
            stdin=stdin,
            check=check,
            timeout_s=timeout_s,
        )

    def sh(self, script: str, **options: Any) -> str:
        """Run a shell script on the host, stopping at the first failure; returns what it printed."""
        return self.run(["sh", "-euc", script], **options).stdout

    def popen(
        self,
        argv: Sequence[str],
        *,
        log: str | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a command on the host; it has the pid of the command itself, in a session of its own.

        Args:
            argv: the command.
            log: name of the file in ``state_dir`` for its output; the command's when None.
            env: variables added to the host's.
            options: of ``subprocess.Popen``; ``stdout`` and ``stderr`` go before the log.
        """
        environment = {**os.environ, **self.env, **(env or {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("start_new_session", True)
        with (self.state_dir / f"{log or PurePosixPath(argv[0]).name}.log").open("ab") as file:
            outputs = {"stdout": file, "stderr": file, **options}
            child = subprocess.Popen([*self.enter, *argv], env=environment, **outputs)
        self._children.append(child)
        return child

    def path(self, path: str) -> Path:
        """Where the machine sees a file of the host; symbolic links are followed as the host would.

        Raises:
            HarnessError: it is in /proc or /sys, where what one sees depends on who looks: use ``sh``.
        """
        root = Path(f"/proc/{self.holder.pid}/root")
        rest, done = list(PurePosixPath(path).parts[::-1]), PurePosixPath("/")
        for _ in range(_MAX_STEPS):
            if done.parts[1:2] in {("proc",), ("sys",)}:
                raise HarnessError(
                    f"{self.name}:{path}: the machine's own would be meant: use sh()"
                )
            if not rest:
                return root / done.relative_to("/")
            done = self._step(root, done, rest)
        raise HarnessError(f"{self.name}:{path}: too many symbolic links")

    @staticmethod
    def _step(root: Path, done: PurePosixPath, rest: list[str]) -> PurePosixPath:
        """Take one component from ``rest``; a link's target is put there instead."""
        part = rest.pop()
        if part in {"/", ".."}:
            return PurePosixPath("/") if part == "/" else done.parent
        candidate = root / (done / part).relative_to("/")
        if not candidate.is_symlink():
            return done / part
        rest.extend(PurePosixPath(os.readlink(candidate)).parts[::-1])  # noqa: PTH115  text
        return done

    def read_text(self, path: str) -> str:
        """Read a file of the host."""
        return self.path(path).read_text(encoding="utf-8")

    def write_text(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the host, and make the directories above it."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def exists(self, path: str) -> bool:
        """Whether the host has such a file."""
        return self.path(path).exists()

    def add_workload(self, name: str) -> Workload:
        """Make a workload, not yet connected to anything.

        Raises:
            HarnessError: the host has one of that name.
        """
        if name in self.workloads:
            raise HarnessError(f"{self.name}: there is a workload {name!r} already")
        workload = Workload(name, self)
        workload.create()
        self.workloads[name] = workload
        return workload

    def take_up_workload(self, name: str, addresses: Sequence[str]) -> Workload:
        """Know a workload again that another process made."""
        workload = self.workloads[name] = Workload(name, self)
        workload.addresses = list(addresses)
        return workload

    def remove_workload(self, name: str) -> None:
        """Remove a workload and all that runs in it."""
        self.workloads.pop(name).delete()

    def hang_up(self) -> None:
        """Close the connections to the host's own agent and to those of its workloads."""
        for endpoint in self.workloads.values():
            endpoint.hang_up()
        super().hang_up()

    def let_go(self) -> None:
        """Forget that what runs on the host are children of ours: it is to outlive this process."""
        for child in self._children:
            child.returncode = child.poll() or 0  # or Popen complains that it still runs
        self._children.clear()

    def kill_children(self) -> None:
        """Kill what ``popen`` started.

        To be done before what runs on the host is killed: a child that has not entered the host yet is not
        seen there, and would bring forth others once it has.
        """
        for child in self._children:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self._children.clear()
