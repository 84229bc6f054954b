"""What a person wants to see of a lab in which a test failed, as one text of bounded size."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

from calico_test.errors import HarnessError
from calico_test.hosts import Host
from calico_test.lab import Lab

_MAX_LINES = 120
_COMMANDS = (
    "ip -brief address",
    "ip route",
    "ip -6 route",
    "ip neighbour",
)
_HOST_COMMANDS = (*_COMMANDS, "nft list ruleset")
_LOG_DIRECTORY = "/var/log/calico"


class Runner(Protocol):
    """A host, a workload or a namespace."""

    name: str

    def run(self, argv: Sequence[str], *, check: bool, timeout_s: float) -> CompletedProcess[str]:
        """Run a command inside."""


def collect(lab: Lab) -> str:
    """Everything about a lab: addresses, routes, rules and ends of logs of each host and workload."""
    parts: list[str] = []
    for host in lab.hosts:
        parts += _commands(host, _HOST_COMMANDS)
        for workload in host.workloads.values():
            parts += _commands(workload, _COMMANDS)
    parts += [_section(f"log {path}", _read(path)) for path in log_paths(lab)]
    return "\n".join(parts)


def of_namespace(namespace: Runner) -> str:
    """The same for a single namespace."""
    return "\n".join(_commands(namespace, _HOST_COMMANDS))


def log_paths(lab: Lab) -> list[Path]:
    """All logs of a lab, as paths on the machine: of what the harness started, and the hosts' own."""
    paths = sorted(lab.state_dir.glob("**/*.log"))
    for host in lab.hosts:
        paths += _host_logs(host)
    if lab.etcd is not None:
        paths.append(lab.etcd.log_path)
    return [path for path in paths if path.is_file() and path.stat().st_size]


def _host_logs(host: Host) -> list[Path]:
    return sorted(path for path in host.path(_LOG_DIRECTORY).glob("**/*") if path.is_file())


def _commands(place: Runner, commands: Sequence[str]) -> Iterator[str]:
    for command in commands:
        try:
            done = place.run(command.split(), check=False, timeout_s=10.0)
        except HarnessError as error:
            yield _section(f"{place.name}: {command}", str(error))
        else:
            yield _section(f"{place.name}: {command}", done.stdout + done.stderr)


def _section(title: str, text: str) -> str:
    lines = text.rstrip().splitlines()
    if len(lines) > _MAX_LINES:
        lines = [f"... {len(lines) - _MAX_LINES} lines before", *lines[-_MAX_LINES:]]
    return "\n".join([f"--- {title}", *lines])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return str(error)
