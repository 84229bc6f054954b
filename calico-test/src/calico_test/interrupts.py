"""SIGTERM and SIGHUP as exceptions, so that context managers tear down; and no interruption while they do."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def _exit(signum: int) -> BaseException:
    return SystemExit(128 + signum)


def raise_on_termination(ending: Callable[[int], BaseException] = _exit) -> None:
    """Make SIGTERM and SIGHUP raise in this process, where nobody has decided otherwise.

    Args:
        ending: signal → what is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def end(signum: int, _frame: FrameType | None) -> None:
        raise ending(signum)

    for signum in _ENDINGS:
        if signal.getsignal(signum) is signal.SIG_DFL:
            signal.signal(signum, end)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Let a tear-down finish: Ctrl-C and termination that come meanwhile take effect afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(signum: int, _frame: FrameType | None) -> None:
        came.append(signum)

    before: dict[signal.Signals, Any] = {
        signum: signal.signal(signum, remember) for signum in (signal.SIGINT, *_ENDINGS)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        for number in came[:1]:
            signal.raise_signal(number)
