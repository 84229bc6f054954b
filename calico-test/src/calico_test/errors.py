"""What can go wrong in the harness itself, sorted by what the caller can do."""

from collections.abc import Sequence


class HarnessError(Exception):
    """The harness could not do what a test asked for; the message says where and what to do."""


class MissingToolError(HarnessError):
    """A program that the harness needs is not installed; the message names the Debian package."""


class NotRootError(HarnessError):
    """Network namespaces need root."""


class NothingUpError(HarnessError):
    """Nothing of that name is up."""


class AlreadyUpError(HarnessError):
    """Something of that name is up; the message says how to remove it."""


class DeadlineError(HarnessError):
    """Something did not happen before its deadline."""


class CommandError(HarnessError):
    """A command failed.

    Attributes:
        argv: the command as the caller gave it, without the way into its namespace.
        returncode: its exit status; negative for a signal; None when it ran out of time.
        stdout: what it printed.
        stderr: what it complained.
    """

    def __init__(
        self, where: str, argv: Sequence[str], returncode: int | None, stdout: str, stderr: str
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        ending = "ran out of time" if returncode is None else f"ended with status {returncode}"
        output = "\n".join(part.rstrip() for part in (stdout, stderr) if part.strip())
        super().__init__(f"{where}: {' '.join(argv)!r} {ending}\n{output}".rstrip())
