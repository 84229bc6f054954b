"""Processes by identity: pid and start time, so that only what we started is ever signalled.

A pid alone is recycled by the kernel. A ``Process`` is a pid together with its start time, and is signalled
through a pidfd that was checked after it was opened. Membership of namespaces finds what our processes
started in turn.
"""

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calico_test.errors import CommandError, DeadlineError, MissingToolError, NotRootError

NAMESPACE_KINDS = ("mnt", "net", "uts")
_START_FIELD = 19  # of /proc/PID/stat counted after the parenthesised name; field 22 of proc(5)
_TICK_S = 0.003
_libc = ctypes.CDLL(None, use_errno=True)
_children: "dict[Process, subprocess.Popen[bytes]]" = {}


@dataclass(frozen=True, slots=True, order=True)
class Process:
    """One process for good: ``start`` is its start time in clock ticks since boot, from /proc/PID/stat."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this pid now.

        Raises:
            ProcessLookupError: there is none.
        """
        start = _start_time(pid)
        if start is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, start)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _start_time(self.pid) == self.start

    def namespace_ids(self) -> frozenset[str]:
        """Its mount, network and UTS namespaces, e.g. ``net:[4026531840]``; empty once it has ended."""
        links = (f"/proc/{self.pid}/ns/{kind}" for kind in NAMESPACE_KINDS)
        found = frozenset(filter(None, map(_read_link, links)))
        return found if self.is_alive else frozenset()


def _start_time(pid: int) -> int | None:
    try:
        fields = _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[_START_FIELD])


def _raw_start(pid: int) -> int:
    """Start time of a child that was not reaped yet, so that it is there even when it has ended."""
    return int(_stat(pid)[_START_FIELD])


def _stat(pid: int | str) -> list[str]:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()


def _read_link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115  a magic link's text, not a path
    except OSError:
        return None


def members(namespace_ids: Collection[str]) -> list[Process]:
    """Every process that is in one of these namespaces, except this one and init."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208  names are all that is wanted
        if not entry.isdigit() or int(entry) in {1, os.getpid()}:
            continue
        links = (_read_link(f"/proc/{entry}/ns/{kind}") for kind in NAMESPACE_KINDS)
        start = _start_time(int(entry)) if any(link in namespace_ids for link in links) else None
        if start is not None:
            found.append(Process(int(entry), start))
    return found


def kill(processes: Iterable[Process], *, deadline_s: float = 10.0) -> None:
    """End these processes with SIGKILL and wait until each has ended.

    What ``spawn`` started is reaped as well; another child of ours is left to its own ``Popen``.

    Raises:
        DeadlineError: one did not end, e.g. because it hangs in the kernel.
    """
    condemned = list(processes)
    waiting = {}
    for process in condemned:
        pidfd = _signal(process, signal.SIGKILL)
        if pidfd is not None:
            waiting[pidfd] = process
    try:
        _wait_ended(waiting, deadline_s)
    finally:
        for pidfd in waiting:
            os.close(pidfd)
    for child in (_children.pop(process, None) for process in condemned):
        if child is not None:
            child.wait()


def send(process: Process, signum: signal.Signals) -> None:
    """Send a signal to exactly this process.

    Raises:
        ProcessLookupError: it has ended.
    """
    pidfd = _signal(process, signum)
    if pidfd is None:
        raise ProcessLookupError(f"process {process.pid} has ended")
    os.close(pidfd)


def stop(process: Process) -> None:
    """Send SIGSTOP and wait until every thread of the process stands still.

    Raises:
        ProcessLookupError: it has ended.
    """
    send(process, signal.SIGSTOP)
    wait_until(lambda: _stands_still(process.pid), f"process {process.pid} stands still")


def _stands_still(pid: int) -> bool:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return all(_stat(f"{pid}/task/{task.name}")[0] == "T" for task in tasks)
    except (FileNotFoundError, ProcessLookupError):  # a thread ended meanwhile
        return False


def spawn(
    argv: Sequence[str],
    log_path: Path,
    *,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdout: int | None = None,
) -> Process:
    """Start a background process in a session of its own, which Ctrl-C at the terminal does not reach.

    Args:
        argv: the command.
        log_path: its output is appended there.
        env: its whole environment; this process's when None.
        pass_fds: descriptors that it inherits.
        stdout: a descriptor for its standard output instead of the log.

    Raises:
        MissingToolError: the program is not installed.
    """
    with log_path.open("ab") as log:
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env=env,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingToolError(f"{error.filename!r} is not installed") from error
    process = Process(child.pid, _raw_start(child.pid))
    _children[process] = child
    return process


def let_go(processes: Iterable[Process]) -> None:
    """Forget that these are children of ours, because they are to outlive this process."""
    for child in (_children.pop(process, None) for process in processes):
        if child is not None:
            child.returncode = 0  # or Popen complains that it still runs


def _signal(process: Process, signum: signal.Signals) -> int | None:
    """Send a signal to exactly this process; returns its pidfd, or None when it is gone."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    try:
        if process.is_alive:
            signal.pidfd_send_signal(pidfd, signum)
            return pidfd
    except ProcessLookupError:
        pass
    os.close(pidfd)
    return None


def _wait_ended(process_by_pidfd: Mapping[int, Process], deadline_s: float) -> None:
    poll = select.poll()
    for pidfd in process_by_pidfd:
        poll.register(pidfd, select.POLLIN)
    running = set(process_by_pidfd)
    until = time.monotonic() + deadline_s
    while running:
        left_ms = (until - time.monotonic()) * 1000
        if left_ms <= 0:
            pids = sorted(process_by_pidfd[pidfd].pid for pidfd in running)
            raise DeadlineError(f"processes {pids} did not end {deadline_s} s after SIGKILL")
        for pidfd, _ in poll.poll(left_ms):
            poll.unregister(pidfd)
            running.discard(pidfd)


def kill_members(
    namespace_ids: Collection[str],
    *,
    spare: Collection[Process] = (),
    deadline_s: float = 10.0,
) -> None:
    """End every process in these namespaces but the spared, also those that are being born meanwhile."""
    until = time.monotonic() + deadline_s
    while found := set(members(namespace_ids)).difference(spare):
        kill(found, deadline_s=deadline_s)
        if time.monotonic() > until:
            raise DeadlineError(f"processes keep appearing in {sorted(namespace_ids)}")


def ticks(deadline_s: float) -> Iterator[float]:
    """Yield the seconds that are left until the deadline, a few milliseconds apart; ends when it has passed.

    For conditions that nothing announces. The first value comes at once.
    """
    until = time.monotonic() + deadline_s
    while (left_s := until - time.monotonic()) > 0:
        yield left_s
        time.sleep(min(_TICK_S, left_s))


def wait_until(condition: Callable[[], bool], what: str, *, deadline_s: float = 10.0) -> None:
    """Wait until the condition holds.

    Raises:
        DeadlineError: it did not within ``deadline_s``; ``what`` names it in the message.
    """
    for _ in ticks(deadline_s):
        if condition():
            return
    raise DeadlineError(f"{what}: not within {deadline_s} s")


def run(
    prefix: Sequence[str],
    argv: Sequence[str],
    *,
    where: str,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout_s: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture its output.

    Args:
        prefix: what leads into the namespaces, e.g. nsenter; may be empty.
        argv: the command.
        where: named at the head of an error.
        env: variables added to this process's environment.
        stdin: its whole standard input; nothing when None.
        check: raise when it fails.
        timeout_s: after that it is killed, which is always an error.

    Raises:
        CommandError: it failed and ``check`` is set, or it ran out of time.
        MissingToolError: the program that leads into the namespaces is not installed.
    """
    try:
        done = subprocess.run(
            [*prefix, *argv],
            env={**os.environ, **(env or {})},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        out, err = (_text(part) for part in (error.stdout, error.stderr))
        raise CommandError(where, argv, None, out, err) from error
    except FileNotFoundError as error:
        raise MissingToolError(f"{where}: {error.filename!r} is not installed") from error
    if check and done.returncode != 0:
        raise CommandError(where, argv, done.returncode, done.stdout, done.stderr)
    return done


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def call_libc(name: str, *args: object) -> None:
    """Call a function of libc that returns 0 or sets errno.

    Raises:
        OSError: it failed.
    """
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def require_root() -> None:
    """Raise unless this process may make network namespaces.

    Raises:
        NotRootError: it is not root.
    """
    if os.geteuid() != 0:
        raise NotRootError("calico-test needs root for network namespaces: run it with sudo")
