"""Hears when a process writes a kernel setting through the same mount of /proc.

The kernel announces a few settings of interfaces to everybody (:data:`.monitor.SETTINGS`), whoever changed
them how. Of the others the file system tells, but only for the mount through which they are written: a
process with a /proc of its own, such as one in a container, is not heard.

Source: fs/proc/proc_sysctl.c (inodes belong to the mount's superblock); inotify(7).
"""

from __future__ import annotations

from collections.abc import Iterable

from libcalico import inotify
from libcalico.errors import OverrunError
from libcalico.inotify import Inotify
from libcalico.netlink import sysctl


class SysctlWatch:
    """Follows settings; close it when done. Readable when one was written; then call :meth:`read`."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            NetlinkError: the kernel gives no (further) inotify instance.
        """
        try:
            self._inotify = Inotify()
        except OSError as error:
            raise sysctl.from_os("cannot watch sysctls", error) from error
        self._directories: dict[int, str] = {}
        self._watches: dict[str, int] = {}

    def close(self) -> None:
        """Follow nothing any more."""
        self._inotify.close()

    def fileno(self) -> int:
        """Return the file descriptor, readable when a setting was written."""
        return self._inotify.fileno()

    def follow(self, keys: Iterable[str]) -> None:
        """Follow settings of the calling thread's namespace, those of a new interface of the same name, too.

        Raises:
            NetlinkError: one does not exist (ENOENT), or there are too many watches (ENOSPC).
        """
        for directory in {key.rpartition("/")[0] for key in keys}:
            try:
                watch = self._inotify.watch(sysctl.path(directory), inotify.MODIFY)
            except OSError as error:
                raise sysctl.from_os(f"cannot watch sysctls {directory}", error) from error
            if self._watches.get(directory) != watch:
                self._end(directory)
            self._watches[directory], self._directories[watch] = watch, directory

    def forget(self, keys: Iterable[str]) -> None:
        """Follow settings no more, nor others of their directories."""
        for directory in {key.rpartition("/")[0] for key in keys}:
            self._end(directory)

    def read(self) -> set[str]:
        """Return the keys of settings that were written since the last call.

        Raises:
            OverrunError: some were lost: look at all.
        """
        found = set()
        for event in self._inotify.read():
            if event.mask & inotify.OVERFLOW:
                raise OverrunError("news of sysctls were lost")
            if directory := self._directories.get(event.watch):
                found.add(f"{directory}/{event.name}")
        return found

    def _end(self, directory: str) -> None:
        watch = self._watches.pop(directory, None)
        if watch is not None:
            self._directories.pop(watch, None)
            self._inotify.unwatch(watch)
