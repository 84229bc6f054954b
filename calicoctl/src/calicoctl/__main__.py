"""The program. It imports nothing before Ctrl-C is provided for."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

#: Exit code of a program that Ctrl-C ended, as shells have it.
INTERRUPTED = 130
#: New objects until garbage is looked for. Most commands end before that: looking through ten thousand
#: resources again and again, of which none is garbage, would take most of their time.
_OBJECTS = 1_000_000


def main() -> NoReturn:
    """Run calicoctl and leave with its exit code."""
    gc.set_threshold(_OBJECTS)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not what nohup has set
        signal.signal(signal.SIGINT, _interrupt)
    _open_missing()
    try:
        from calicoctl.cli import run  # noqa: PLC0415 - importing takes long enough to be interrupted

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; in an import, where a callback may lose it or leave a lock held, just end."""
    del number
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _open_missing() -> None:
    """Give standard output and error somewhere to go if whoever called us closed them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - kept; no imports yet
            setattr(sys, name, nowhere)


if __name__ == "__main__":
    main()
