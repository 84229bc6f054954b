"""Network namespaces: open, enter for one call or one socket, create and delete by name.

A namespace belongs to a thread, and is entered here only by threads that end with the call. A netlink
socket stays in the namespace in which it was opened, so entering is needed for opening it only.

Source: setns(2), unshare(2), network_namespaces(7); ip-netns(8) for names under /run/netns.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

from libcalico.errors import NetlinkError
from libcalico.netlink.sockets import NETLINK_ROUTE, RECEIVE_BYTES, NetlinkSocket

if TYPE_CHECKING:
    import ctypes

T = TypeVar("T")

#: Where named namespaces are.
DIRECTORY: Final = "/run/netns"

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
_NS_GET_NSTYPE: Final = 0xB703  # linux/nsfs.h
_MS_BIND, _MNT_DETACH = 4096, 2  # sys/mount.h


class Netns:
    """An open network namespace, which therefore lives on. Close it, or use it as a context manager."""

    def __init__(self, fd: int, name: str) -> None:
        """Take over a file descriptor.

        Args:
            fd: of the namespace; closed by :meth:`close`.
            name: what to call it in messages.
        """
        self._fd = fd
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Netns({self.name})"

    def fileno(self) -> int:
        """Return the file descriptor, as IFLA_NET_NS_FD wants it."""
        return self._fd

    def close(self) -> None:
        """Close the file descriptor; nothing happens the second time."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def is_same(self, other: Netns) -> bool:
        """Return whether both are one and the same namespace."""
        return os.path.sameopenfile(self._fd, other._fd)


def open_netns(
    path: str | os.PathLike[str] | None = None, *, pid: int | None = None, fd: int | None = None
) -> Netns:
    """Open a namespace; exactly one argument says which, none means the caller's own.

    Args:
        path: of its file; a name without slash is one under /run/netns.
        pid: a process that is in it.
        fd: a file descriptor of it, which is duplicated and stays the caller's.

    Raises:
        NetlinkError: there is no such namespace (ENOENT), or it is something else (EINVAL).
    """
    if fd is not None:
        where, name = f"/proc/self/fd/{fd}", f"file descriptor {fd}"
    elif pid is not None:
        where, name = f"/proc/{pid}/ns/net", f"of process {pid}"
    elif path is not None:
        where = name = _path(os.fspath(path))
    else:
        where, name = "/proc/thread-self/ns/net", "own"
    try:
        opened = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _from_os(f"cannot open network namespace {name}", error) from error
    netns = Netns(opened, name)
    if not _is_network_namespace(opened):
        netns.close()
        raise NetlinkError(f"cannot enter network namespace {name}: it is none", errno.EINVAL)
    return netns


def _is_network_namespace(fd: int) -> bool:
    """Tell a namespace from the file that its name is before it is mounted there, and after."""
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


def run_in(netns: Netns | str | os.PathLike[str], call: Callable[[], T]) -> T:
    """Call a function within a namespace, on a thread of its own, and wait for it.

    Args:
        netns: an open namespace, or as the ``path`` of :func:`open_netns`.
        call: what to do; its result is returned and its exceptions are raised here.

    Raises:
        NetlinkError: the namespace does not exist or cannot be entered.
    """
    if isinstance(netns, Netns):
        return _on_thread(lambda: _entered(netns, call))
    with open_netns(netns) as opened:
        return _on_thread(lambda: _entered(opened, call))


def socket_in(
    netns: Netns | str | os.PathLike[str],
    family: int = NETLINK_ROUTE,
    groups: int = 0,
    *,
    receive_bytes: int = RECEIVE_BYTES,
) -> NetlinkSocket:
    """Open a netlink socket that lives in a namespace and can be used from any thread.

    Raises:
        NetlinkError: as :func:`run_in` and :class:`NetlinkSocket`.
    """
    return run_in(netns, lambda: NetlinkSocket(family, groups, receive_bytes=receive_bytes))


def create(name: str) -> None:
    """Create a namespace with a name, as ``ip netns add`` does; its loopback is down.

    Raises:
        NetlinkError: the name is taken (EEXIST) or is none (EINVAL), or the process may not (EPERM).
    """
    path = _named(name)
    try:
        os.makedirs(DIRECTORY, exist_ok=True)  # noqa: PTH103 - pathlib costs 3 ms to import
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    except OSError as error:
        raise _from_os(f"cannot create network namespace {name}", error) from error
    try:
        _on_thread(lambda: _unshare_onto(path))
    except BaseException:
        os.unlink(path)  # noqa: PTH108
        raise


def delete(name: str, *, missing_ok: bool = True) -> None:
    """Remove a namespace's name; the namespace goes when nothing uses it any more.

    Raises:
        NetlinkError: it cannot be removed, or is absent (ENOENT) and that was not to be.
    """
    path = _named(name)
    with suppress(NetlinkError):  # what is no mount, left by a broken run, is removed all the same
        _libc_call("umount2", os.fsencode(path), _MNT_DETACH)
    try:
        os.unlink(path)  # noqa: PTH108 - pathlib costs 3 ms to import
    except OSError as error:
        if error.errno != errno.ENOENT or not missing_ok:
            raise _from_os(f"cannot remove network namespace {name}", error) from error


def _path(name_or_path: str) -> str:
    return name_or_path if "/" in name_or_path else f"{DIRECTORY}/{name_or_path}"


def _named(name: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise NetlinkError(f"{name!r} cannot name a network namespace", errno.EINVAL)
    return f"{DIRECTORY}/{name}"


def _entered(netns: Netns, call: Callable[[], T]) -> T:
    try:
        _setns(netns.fileno())
    except NetlinkError as error:
        raise NetlinkError(
            f"cannot enter network namespace {netns.name}: {error}", error.errno
        ) from error
    return call()


def _setns(fd: int) -> None:
    if hasattr(os, "setns"):  # Python 3.12
        try:
            os.setns(fd, _CLONE_NEWNET)
        except OSError as error:
            raise _from_os("setns", error) from error
    else:
        _libc_call("setns", fd, _CLONE_NEWNET)


def _unshare_onto(path: str) -> None:
    """Give the calling thread a new namespace and keep that under a name."""
    _libc_call("unshare", _CLONE_NEWNET)
    _libc_call("mount", b"/proc/thread-self/ns/net", os.fsencode(path), b"none", _MS_BIND, None)


def _on_thread(call: Callable[[], T]) -> T:
    """Call a function on a thread that dies with the call, because what it does to the thread stays."""
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run, name="netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


_libc: ctypes.CDLL | None = None


def _libc_call(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library that returns 0 or sets errno."""
    global _libc  # noqa: PLW0603 - loaded once, and not at import: ctypes costs 3 ms
    import ctypes  # noqa: PLC0415

    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise NetlinkError(f"{name}: {os.strerror(number)}", number)


def _from_os(what: str, error: OSError) -> NetlinkError:
    return NetlinkError(f"{what}: {error.strerror}", error.errno or errno.EIO)
