"""The program. It imports nothing before Ctrl-C is provided for."""

import sys
from typing import NoReturn

#: Exit code of a program that Ctrl-C ended, as shells have it.
INTERRUPTED = 130


def main() -> NoReturn:
    """Run calicoctl and leave with its exit code."""
    try:
        from calicoctl.cli import run  # noqa: PLC0415 - importing takes long enough to be interrupted

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
