"""What the harness has made on this machine, on file, so that a crash can be swept up.

Each lab, namespace and etcd has one JSON file, ``/run/calico-test/NAME.json``, written before or right
after the thing is made and removed after the thing is gone. It names processes by pid and start time,
namespaces by name and directories by path: removal touches nothing else. A record without an owner is kept
on purpose.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calico_test.errors import AlreadyUpError, HarnessError, NothingUpError
from calico_test.processes import Process

_ATTEMPTS = 100


def state_dir() -> Path:
    """Where the records are: /run/calico-test, or a directory of one's own for a user who is not root."""
    if os.geteuid() == 0:
        return Path("/run/calico-test")
    return Path(tempfile.gettempdir()) / f"calico-test-{os.geteuid()}"


def unique_name(kind: str) -> str:
    """A name that nothing on this machine has, e.g. ``lab-3f9c01d2``."""
    return f"{kind}-{secrets.token_hex(4)}"


@dataclass(kw_only=True, slots=True)
class Record:
    """One thing that must not be left behind.

    Attributes:
        name: of the thing, unique on the machine.
        owner: the process that will remove it; None once it is kept on purpose.
        processes: what was started for it, in order.
        anchors: processes whose namespaces are all its own: whatever runs in them belongs to it.
        namespaces: names under /run/netns.
        directories: with all that is in them.
        layout: how to take up a kept lab again.
    """

    name: str
    owner: Process | None = field(default_factory=lambda: Process.of(os.getpid()))
    processes: list[Process] = field(default_factory=list)
    anchors: list[Process] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file of this record."""
        return state_dir() / f"{self.name}.json"

    @property
    def is_orphan(self) -> bool:
        """Whether the process that should remove it has ended without doing so."""
        return self.owner is not None and not self.owner.is_alive

    def claim(self) -> None:
        """Write the file for the first time.

        Raises:
            AlreadyUpError: something of that name is up.
        """
        try:
            self._write(os.link)
        except FileExistsError:
            hint = f"python -m calico_test.sweep {self.name}"
            raise AlreadyUpError(f"{self.path}: {self.name!r} is up; remove it: {hint}") from None

    def save(self) -> None:
        """Write the file, atomically."""
        self._write(os.replace)

    def _write(self, put: Callable[[Path, Path], None]) -> None:
        draft = self.path.with_name(f".{self.name}.{os.getpid()}")
        for _ in range(_ATTEMPTS):  # another process may remove the empty directory meanwhile
            state_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                draft.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
                try:
                    put(draft, self.path)
                finally:
                    draft.unlink(missing_ok=True)
                return
        raise HarnessError(f"{self.path}: the directory keeps disappearing")

    def add_process(self, process: Process) -> None:
        """Note a process that must not be left behind."""
        self.processes.append(process)
        self.save()

    def forget(self) -> None:
        """Remove the file, and the directory of records once it is empty."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            state_dir().rmdir()


def load(name: str) -> Record:
    """Read one record.

    Raises:
        NothingUpError: there is none of that name.
        HarnessError: it is damaged.
    """
    path = state_dir() / f"{name}.json"
    try:
        return _decode(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NothingUpError(f"{path}: nothing of that name is up") from None
    except (ValueError, TypeError, KeyError) as error:
        raise HarnessError(f"{path}: damaged record: {error}") from error


def load_all() -> list[Record]:
    """Every record on this machine, sorted by name."""
    records = []
    for path in sorted(state_dir().glob("*.json")):
        with contextlib.suppress(HarnessError):  # removed by its owner meanwhile
            records.append(load(path.stem))
    return records


def _decode(fields: Mapping[str, Any]) -> Record:
    owner = fields["owner"]
    return Record(
        name=fields["name"],
        owner=None if owner is None else Process(**owner),
        processes=[Process(**item) for item in fields["processes"]],
        anchors=[Process(**item) for item in fields["anchors"]],
        namespaces=list(fields["namespaces"]),
        directories=list(fields["directories"]),
        layout=dict(fields["layout"]),
    )
