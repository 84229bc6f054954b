"""Bring a BirdConfig into force: write it, let BIRD check it, let the running BIRD take it, verify.

The file that BIRD runs with is only replaced by one that ``bird -p`` accepts, so that a restart of BIRD
always finds a good one. Refused text is kept beside it as ``bird.conf.refused`` for people to read.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from calico_node.bgp import control
from calico_node.bgp.model import BirdConfig
from calico_node.bgp.render import render
from libcalico import process
from libcalico.errors import CalicoError, ConfigError, ProcessError, UnavailableError

_CHECK_TIMEOUT_S = 20.0
_TAKEN_TIMEOUT_S = 10.0
_TAKEN_POLL_S = 0.02
_SEARCH_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class BirdRefusedError(CalicoError):
    """BIRD does not accept a configuration; the one before stays in force."""


@dataclass(frozen=True, slots=True)
class Bird:
    """One BIRD daemon: the program, the file that it reads, and its control socket."""

    program: Path
    config_file: Path
    socket: Path

    async def apply(self, config: BirdConfig) -> bool:
        """Bring a configuration into force; returns whether the file had to change.

        Raises:
            BirdRefusedError: BIRD does not accept it. What was in force stays.
            UnavailableError: BIRD does not run; the file is in place for when it starts. Call again
                until this is not raised, since a BIRD that is just starting may have read the former.
                Also if the file cannot be written.
        """
        try:
            changed = await self._put_in_place(render(config))
        except OSError as error:
            raise UnavailableError(
                f"{self.config_file}: cannot be written: {error.strerror}"
            ) from error
        await self._load(config)
        return changed

    async def _put_in_place(self, text: str) -> bool:
        if text == self._current():
            return False
        candidate = self._write("candidate", text)
        await self._check(candidate)
        candidate.replace(self.config_file)
        return True

    def install(self, config: BirdConfig) -> None:
        """Write a configuration for the first start, unless there is one from before."""
        if self._current() is None:
            self._write("candidate", render(config)).replace(self.config_file)

    def _current(self) -> str | None:
        try:
            return self.config_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, suffix: str, text: str) -> Path:
        """Write a file beside the configuration that only we can read: it may hold passwords."""
        path = self.config_file.with_name(f"{self.config_file.name}.{suffix}")
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    async def _check(self, candidate: Path) -> None:
        complaint = await check(self.program, candidate)
        if complaint:
            refused = self.config_file.with_name(f"{self.config_file.name}.refused")
            candidate.replace(refused)  # noqa: ASYNC240 - a rename in a tmpfs
            raise BirdRefusedError(
                f"BIRD refuses the new configuration, the former stays in force: {complaint}"
                f" (see {refused})"
            )

    async def _load(self, config: BirdConfig) -> None:
        answer = await control.ask(self.socket, "configure")
        if answer.error:
            raise BirdRefusedError(f"BIRD does not take its configuration: {answer.error}")
        try:
            async with asyncio.timeout(_TAKEN_TIMEOUT_S):
                while await self.missing_sessions(config):  # noqa: ASYNC110 - BIRD tells nobody
                    await asyncio.sleep(_TAKEN_POLL_S)
        except TimeoutError:
            missing = ", ".join(await self.missing_sessions(config))
            raise BirdRefusedError(f"BIRD runs without the sessions {missing}") from None

    async def missing_sessions(self, config: BirdConfig) -> list[str]:
        """Return the sessions that BIRD does not have (yet: it may end former ones first).

        Raises:
            UnavailableError: BIRD does not answer.
        """
        running = {state.name for state in await control.show_protocols(self.socket)}
        return sorted(s.name for s in config.sessions if s.name not in running)


def find_program(path: str) -> Path:
    """Return BIRD's program file.

    Args:
        path: the ``PATH`` to search, before the directories of system programs.

    Raises:
        ConfigError: it is not installed.
    """
    found = shutil.which("bird", path=f"{path}:{_SEARCH_PATH}")
    if not found:
        raise ConfigError("BIRD is not installed: no program 'bird'; install the package bird2")
    return Path(found)


async def check(program: Path, file: Path) -> str:
    """Let ``bird -p`` read a file; returns its complaint, "" if it accepts the file.

    Raises:
        UnavailableError: it did not come to an end.
    """
    try:
        done = await process.run_async(
            [str(program), "-p", "-c", str(file)], timeout_s=_CHECK_TIMEOUT_S, check=False
        )
    except ProcessError as error:
        raise UnavailableError(f"BIRD cannot check a configuration: {error}") from error
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or done.stdout.strip()) or f"exit code {done.returncode}"
