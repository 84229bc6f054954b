"""The processes of a node, and what supervisord says of them. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process that is kept running.

    Attributes:
        command: argument vector.
        priority: lower starts earlier and stops later.
        stop_signal: what asks it to end.
        stop_wait_s: after that it is killed.
    """

    name: str
    command: tuple[str, ...]
    priority: int
    stop_signal: str = "TERM"
    stop_wait_s: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorConfig:
    """What supervisord is to do.

    Attributes:
        log_to_files: each process has ``<log_dir>/<name>/current``; otherwise all write to our output.
        log_bytes, log_backups: size at which a log file is put aside, and how many are kept.
    """

    socket: str
    pid_file: str
    log_dir: str
    processes: tuple[ProcessSpec, ...]
    log_to_files: bool = True
    log_bytes: int = 10 * 1024 * 1024
    log_backups: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """A process as supervisord sees it.

    Attributes:
        state: supervisord's word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL, ...
        pid: 0 if it does not run.
        exit_code: of its last run, None if it never ended.
        detail: supervisord's sentence, e.g. the uptime or why it failed.
    """

    name: str
    state: str
    pid: int = 0
    exit_code: int | None = None
    detail: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it runs, and has for long enough to count as started."""
        return self.state == "RUNNING"


def table(states: tuple[ProcessState, ...]) -> str:
    """Return the states as a table for people."""
    cells = [("PROCESS", "STATE", "PID", "EXIT CODE", "DETAIL")]
    for state in states:
        exit_code = "-" if state.exit_code is None else str(state.exit_code)
        cells.append((state.name, state.state, str(state.pid or "-"), exit_code, state.detail))
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = ("  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
