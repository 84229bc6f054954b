"""Private network namespaces with names, as ``ip netns`` shows them.

A namespace is made by a short-lived thread that unshares and is bound to /run/netns/NAME from there: about
a millisecond, no fork. Unlike ``ip netns add`` this does not turn /run/netns into a shared mount; the
directory itself stays, as it does with iproute2. Commands enter by ``nsenter --net``, because ``ip netns
exec`` would also remount /sys.
"""

import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from calico_test import processes, records
from calico_test.errors import HarnessError

T = TypeVar("T")
DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_MS_BIND = 4096  # sys/mount.h
_MNT_DETACH = 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914  # linux/sockios.h
_IFF_UP = 1
_IFREQ = struct.Struct("16sH22x")


class NetNs:
    """A network namespace of its own, with its loopback up.

    Use it as a context manager, or call ``delete``. What still runs inside is killed on deletion.
    """

    def __init__(self, name: str | None = None, *, record: records.Record | None = None) -> None:
        """Create the namespace.

        Args:
            name: under /run/netns; a unique one when None.
            record: of the lab that it belongs to, which then answers for its removal.

        Raises:
            NotRootError: this process may not.
            HarnessError: the name is taken.
        """
        processes.require_root()
        self.name = name or records.unique_name("ct")
        self.path = DIRECTORY / self.name
        self._is_independent = record is None
        self._children: list[subprocess.Popen[Any]] = []
        self._record = record or records.Record(name=f"netns-{self.name}")
        _reserve(self.path)
        try:
            self._record.namespaces.append(self.name)
            self._record.save()
            in_thread(lambda: _unshare_onto(self.path))
        except BaseException:
            self.delete()
            raise

    @classmethod
    def take_up(cls, name: str, record: records.Record) -> Self:
        """Know a namespace of a kept lab again."""
        known = cls.__new__(cls)
        known.name, known.path = name, DIRECTORY / name
        known._record, known._is_independent, known._children = record, False, []
        return known

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.delete()

    @property
    def enter(self) -> list[str]:
        """The head of a command that is to run inside."""
        return ["nsenter", f"--net={self.path}", "--"]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
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

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command inside; ``options`` are Popen's. It has the pid of the command itself."""
        child = subprocess.Popen([*self.enter, *argv], **options)
        self._children.append(child)
        return child

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that is inside.

        Sockets that it opens (netlink, raw, TCP) stay in the namespace wherever they are used later.
        """
        return call_in(self.path, function)

    def delete(self) -> None:
        """Kill what runs inside, and remove the name; does nothing the second time."""
        for child in self._children:
            child.kill()  # it may not have entered yet
            child.wait()
        self._children.clear()
        remove(self.name)
        if self._is_independent:
            self._record.forget()


def remove(name: str) -> None:
    """Kill what runs in a namespace and remove its name; nothing happens when it is gone already."""
    path = DIRECTORY / name
    with contextlib.suppress(FileNotFoundError):
        identity = f"net:[{path.stat().st_ino}]"
        if path.samefile("/proc/self/ns/net"):
            raise HarnessError(f"{path}: this is the namespace that we are in ourselves")
        processes.kill_members({identity})
    with contextlib.suppress(OSError):  # EINVAL: reserved, but never mounted
        processes.call_libc("umount2", os.fsencode(path), _MNT_DETACH)
    path.unlink(missing_ok=True)


def in_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, and return or raise what it did."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=target, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def call_in(path: Path, function: Callable[[], T]) -> T:
    """Call a function in a thread that has entered the network namespace at ``path``."""

    def target() -> T:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            processes.call_libc("setns", descriptor, _CLONE_NEWNET)
        finally:
            os.close(descriptor)
        return function()

    return in_thread(target)


def _reserve(path: Path) -> None:
    for _ in range(100):  # ip netns del or a tidy-up may remove the directory meanwhile
        DIRECTORY.mkdir(mode=0o755, exist_ok=True)
        try:
            path.touch(mode=0o000, exist_ok=False)
        except FileNotFoundError:
            continue
        except FileExistsError:
            raise HarnessError(f"{path}: there is a namespace of that name already") from None
        return
    raise HarnessError(f"{DIRECTORY}: the directory keeps disappearing")


def _unshare_onto(path: Path) -> None:
    processes.call_libc("unshare", _CLONE_NEWNET)
    source = b"/proc/thread-self/ns/net"
    processes.call_libc("mount", source, os.fsencode(path), None, _MS_BIND, None)
    set_loopback_up()


def set_loopback_up() -> None:
    """Bring up ``lo`` in the namespace of the calling thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        name, flags = _IFREQ.unpack(answer)
        fcntl.ioctl(control, _SIOCSIFFLAGS, _IFREQ.pack(name, flags | _IFF_UP))
