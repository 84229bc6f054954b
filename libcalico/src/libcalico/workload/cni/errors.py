"""CNI error objects: codes of the specification (below 100) and our own.

Source: CNI SPEC, section "Error".
"""

from __future__ import annotations

from libcalico.errors import (
    CalicoError,
    ConfigError,
    IpamError,
    NetlinkError,
    UnavailableError,
    ValidationError,
)

INCOMPATIBLE_VERSION = 1
UNSUPPORTED = 2
INVALID_ENVIRONMENT = 4
IO_FAILURE = 5
UNDECODABLE = 6
INVALID_CONFIGURATION = 7
TRY_AGAIN_LATER = 11
NOT_AVAILABLE = 50
#: Ours: IPAM gave no address.
NO_ADDRESS = 100
#: Ours: anything else.
FAILED = 101
#: Ours: what CHECK found to be wrong.
CHECK_FAILED = 102


class CniError(CalicoError):
    """A call fails with this.

    Attributes:
        code: see above.
        details: what to do about it, or what stands behind it; may be empty.
    """

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.details = details


#: The first class that an error is of decides.
_CODES: tuple[tuple[type[CalicoError], int, str], ...] = (
    (UnavailableError, TRY_AGAIN_LATER, "the datastore cannot be reached"),
    (IpamError, NO_ADDRESS, "no address was assigned; nothing was left behind"),
    (NetlinkError, IO_FAILURE, "the kernel refused; nothing was left behind"),
    (ConfigError, INVALID_CONFIGURATION, "check the network configuration"),
    (ValidationError, INVALID_CONFIGURATION, "check the network configuration"),
)


def from_error(error: CalicoError) -> CniError:
    """Return an error of the library as the runtime is told it."""
    if isinstance(error, CniError):
        return error
    for kind, code, details in _CODES:
        if isinstance(error, kind):
            return CniError(code, str(error), details)
    return CniError(FAILED, str(error))
