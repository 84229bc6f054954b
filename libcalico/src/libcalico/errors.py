"""Every error libcalico raises, in one tree, sorted by what the caller can do about it.

* CalicoError
    * ValidationError: a value breaks the resource model; fix the input
        * SelectorSyntaxError
    * DatastoreError: the store answered, and refused
        * NotFoundError
        * AlreadyExistsError
        * ConflictError: compare-and-swap lost; read again, then retry
        * CompactedError: the revision asked for is gone; take a snapshot
        * TooLargeError: more than one transaction takes; write in smaller parts
        * UnsupportedOperationError
    * UnavailableError: the store did not answer; retry later, unchanged
        * UnauthorizedError
    * IpamError
        * PoolExhaustedError
        * NoPoolError
        * AddressInUseError
    * NetlinkError: the kernel refused a request; carries ``errno``
        * OverrunError: notifications were lost; read the state anew
    * ProcessError: a command could not be run, or failed; carries its ``stderr``
    * ConfigError: a setting from the environment or a file cannot be used
"""

from __future__ import annotations

from errno import ENOBUFS


class CalicoError(Exception):
    """Base of every error that a Calico package raises on purpose."""


class ValidationError(CalicoError):
    """A value breaks the resource model.

    Attributes:
        problems: one ``path: what is wrong; what would be right`` text for each problem found.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class SelectorSyntaxError(ValidationError):
    """A selector does not parse; the message holds the offset."""


class DatastoreError(CalicoError):
    """The store answered, and refused."""


class NotFoundError(DatastoreError):
    """The key does not exist."""


class AlreadyExistsError(DatastoreError):
    """The key exists and was to be created."""


class ConflictError(DatastoreError):
    """Compare-and-swap lost: another writer changed the key since it was read."""


class CompactedError(DatastoreError):
    """The revision asked for was compacted away; take a new snapshot.

    Attributes:
        until: the last revision that was, 0 if the store did not say.
    """

    def __init__(self, message: str, until: int = 0) -> None:
        super().__init__(message)
        self.until = until


class TooLargeError(DatastoreError):
    """The store takes no transaction of so many writes, or so many bytes; write in smaller parts."""


class UnsupportedOperationError(DatastoreError):
    """The operation is never allowed on this object."""


class UnavailableError(CalicoError):
    """The store did not answer in time; retry later, unchanged."""


class UnauthorizedError(UnavailableError):
    """The store refused the credentials."""


class IpamError(CalicoError):
    """An address could not be assigned or released."""


class PoolExhaustedError(IpamError):
    """No pool that may be used has a free address."""


class NoPoolError(IpamError):
    """No pool exists, or none that is asked for may be used."""


class AddressInUseError(IpamError):
    """The address asked for is assigned already."""


class NetlinkError(CalicoError):
    """The kernel refused a netlink request.

    Attributes:
        errno: positive error number as in :mod:`errno`.
        seq: sequence number of the refused message within its batch, 0 if unknown.
    """

    def __init__(self, message: str, errno: int, seq: int = 0) -> None:
        super().__init__(message)
        self.errno = errno
        self.seq = seq


class OverrunError(NetlinkError):
    """Notifications were lost, because they came faster than they were read: read the state anew."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ENOBUFS)


class ProcessError(CalicoError):
    """A command could not be started, did not end in time, or failed.

    Attributes:
        argv: the command and its arguments.
        returncode: exit status; minus a signal's number; None if it was not started or had to be killed.
        stderr: what it wrote there until then.
    """

    def __init__(
        self, message: str, argv: tuple[str, ...], returncode: int | None = None, stderr: str = ""
    ) -> None:
        super().__init__(message)
        self.argv = argv
        self.returncode = returncode
        self.stderr = stderr


class ConfigError(CalicoError):
    """A setting from the environment or a file cannot be used."""
