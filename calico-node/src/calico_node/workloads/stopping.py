"""Tells the thread that serves to stop: from any thread, and from SIGTERM and SIGINT.

The interpreter itself writes signals into our pipe. A handler in Python is run only when poll(2) has
returned, and poll(2) waits on if the signal came just before it, or if the kernel gave the signal to another
thread: of a process with gRPC's threads, one stop in forty was not heard.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Final, Self

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A descriptor that is readable once somebody wants us to stop. Use it as a context manager."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._hears_signals = False

    def fileno(self) -> int:
        """Return the descriptor, for poll(2)."""
        return self._reader

    def set(self) -> None:
        """Stop. Callable from any thread; once it is closed, nothing happens."""
        with suppress(BlockingIOError):  # told often enough
            if self._writer >= 0:
                os.write(self._writer, b"!")

    def on_signals(self) -> None:
        """Have SIGTERM and SIGINT do :meth:`set`, and nothing else, also later. For the main thread."""
        # In this order, so that a signal that comes in between is not lost.
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._hears_signals = True
        for number in _SIGNALS:
            signal.signal(number, lambda number, frame: None)  # noqa: ARG005 - as signal calls it

    def close(self) -> None:
        """Hear nothing any more; nothing happens the second time."""
        if self._hears_signals:
            signal.set_wakeup_fd(-1)
            self._hears_signals = False
        reader, self._reader = self._reader, -1
        writer, self._writer = self._writer, -1
        for descriptor in (reader, writer):
            if descriptor >= 0:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
