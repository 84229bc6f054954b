"""Run a command to its end: the only place that starts short-lived children.

A command runs in a session of its own, so that on a timeout, a cancellation or an interrupt all that it
started is killed with it. Output is text; what is no UTF-8 stays visible as escapes.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from libcalico.errors import ProcessError

#: How long a command may take unless said otherwise.
TIMEOUT_S: Final = 60.0
_SHOWN_CHARACTERS: Final = 2000


class Completed(NamedTuple):
    """A command that has ended.

    Attributes:
        argv: the command and its arguments.
        returncode: exit status; minus the signal's number if a signal ended it.
        stdout: what it wrote, decoded. ``stderr`` likewise.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_s: float = TIMEOUT_S,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Completed:
    """Run a command and wait for it.

    Args:
        argv: the command and its arguments; no shell reads them.
        stdin: what it reads.
        timeout_s: when to kill it.
        check: whether an exit status other than 0 is an error.
        env: its whole environment; ours when None.
        cwd: where it starts; where we are when None.

    Raises:
        ProcessError: it cannot be started, did not end in time, or failed and ``check`` is set.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )
    except OSError as error:
        raise _not_started(argv, error) from error
    with child:
        try:
            stdout, stderr = child.communicate(stdin.encode(), timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(child.pid)
            raise _too_slow(argv, timeout_s, error.stderr or b"") from error
        except BaseException:
            _kill(child.pid)
            raise
    return _completed(argv, child.returncode, stdout, stderr, check=check)


async def run_async(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_s: float = TIMEOUT_S,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Completed:
    """Run a command and wait for it without holding up the event loop; otherwise as :func:`run`.

    When the waiting task is cancelled, the command is killed.

    Raises:
        ProcessError: as :func:`run`.
    """
    import asyncio  # noqa: PLC0415 - 50 ms that the blocking programs need not pay

    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )
    except OSError as error:
        raise _not_started(argv, error) from error
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await child.communicate(stdin.encode())
    except TimeoutError as error:
        raise _too_slow(argv, timeout_s, b"") from error
    finally:
        if child.returncode is None:
            _kill(child.pid)
            await child.wait()
    return _completed(argv, child.returncode or 0, stdout, stderr, check=check)


def _kill(session: int) -> None:
    """Kill a child that has not been waited for, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)


def _completed(
    argv: Sequence[str], returncode: int, stdout: bytes, stderr: bytes, *, check: bool
) -> Completed:
    done = Completed(tuple(argv), returncode, _text(stdout), _text(stderr))
    if check and returncode != 0:
        how = f"exit status {returncode}" if returncode > 0 else _signal_text(-returncode)
        words = (done.stderr.strip() or done.stdout.strip())[-_SHOWN_CHARACTERS:]
        raise ProcessError(
            f"{_shown(argv)}: {how}" + (f": {words}" if words else ""),
            done.argv,
            returncode,
            done.stderr,
        )
    return done


def _not_started(argv: Sequence[str], error: OSError) -> ProcessError:
    # A working directory that does not exist is an OSError, too; then the file name is its.
    about = f" ({error.filename})" if error.filename and error.filename != argv[0] else ""
    return ProcessError(f"{_shown(argv)}: cannot be started: {error.strerror}{about}", tuple(argv))


def _too_slow(argv: Sequence[str], timeout_s: float, stderr: bytes) -> ProcessError:
    words = _text(stderr).strip()[-_SHOWN_CHARACTERS:]
    message = f"{_shown(argv)}: killed, did not end within {timeout_s:g} s" + (
        f": {words}" if words else ""
    )
    return ProcessError(message, tuple(argv), None, _text(stderr))


def _signal_text(number: int) -> str:
    try:
        return f"ended by {signal.Signals(number).name}"
    except ValueError:
        return f"ended by signal {number}"


def _shown(argv: Sequence[str]) -> str:
    return " ".join(argv)[:_SHOWN_CHARACTERS]


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
