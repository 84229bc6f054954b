"""The program. It imports nothing before Ctrl-C is provided for."""

import gc
import sys
from typing import NoReturn

#: Exit code of a program that Ctrl-C ended, as shells have it.
INTERRUPTED = 130
#: New objects until garbage is looked for. Most commands end before that: looking through ten thousand
#: resources again and again, of which none is garbage, would take most of their time.
_OBJECTS = 1_000_000


def main() -> NoReturn:
    """Run calicoctl and leave with its exit code."""
    gc.set_threshold(_OBJECTS)
    try:
        from calicoctl.cli import run  # noqa: PLC0415 - importing takes long enough to be interrupted

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
