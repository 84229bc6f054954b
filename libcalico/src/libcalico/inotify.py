"""Hears what happens to the files of directories. Python's standard library has nothing for it.

Source: inotify(7); include/uapi/linux/inotify.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Final, NamedTuple

MODIFY: Final = 0x2
CLOSE_WRITE: Final = 0x8
MOVED_TO: Final = 0x80
#: Told for no directory: events were lost.
OVERFLOW: Final = 0x4000
#: Told unasked: the directory is not watched any more.
IGNORED: Final = 0x8000

_EVENT: Final = struct.Struct("=iIII")  # watch, mask, cookie, bytes of the name that follows
_READ_BYTES: Final = 64 << 10


class Event(NamedTuple):
    """Something happened to a file.

    Attributes:
        watch: number of the directory's watch; -1 if events were lost.
        mask: what, as bits.
        name: of the file; empty for the directory itself.
    """

    watch: int
    mask: int
    name: str


class Inotify:
    """Watches directories. Close it when done; that takes the kernel ten milliseconds.

    Args:
        is_blocking: whether :meth:`read` waits for the first event.
    """

    def __init__(self, *, is_blocking: bool = False) -> None:
        """Open it.

        Raises:
            OSError: the kernel gives no (further) instance.
        """
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        flags = os.O_CLOEXEC | (0 if is_blocking else os.O_NONBLOCK)
        self._fd = self._checked(self._libc.inotify_init1(flags))

    def close(self) -> None:
        """End all watches. Once more does nothing: the number may be another file's by then."""
        number, self._fd = self._fd, -1
        if number >= 0:
            os.close(number)

    def fileno(self) -> int:
        """Return the file descriptor, readable when events wait."""
        return self._fd

    def watch(self, directory: str | os.PathLike[str], mask: int) -> int:
        """Watch a directory for what the mask's bits say; return the number of the watch.

        Raises:
            OSError: there is no such directory, or no further watch.
        """
        return self._checked(self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask))

    def unwatch(self, watch: int) -> None:
        """End a watch; nothing happens if it has ended already."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """Return the events that wait.

        Raises:
            OSError: the instance is closed.
        """
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            watch, mask, _, name_bytes = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            found.append(Event(watch, mask, os.fsdecode(data[at : at + name_bytes].rstrip(b"\0"))))
            at += name_bytes
        return found

    def _checked(self, answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer
