"""The texts of errors, as Calico's clients print them. Source: ``calico-control-plane.md`` 2.1."""

from __future__ import annotations

from libcalico.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnsupportedOperationError,
)
from libcalico.resources.model import ResourceId


def not_found(which: ResourceId) -> NotFoundError:
    """Return the error for a resource that is not there."""
    return NotFoundError(f"resource does not exist: {which} with error: <nil>")


def already_exists(which: ResourceId) -> AlreadyExistsError:
    """Return the error for a resource that was to be created and is there."""
    return AlreadyExistsError(f"resource already exists: {which} with error: <nil>")


def conflict(which: ResourceId, reason: str = "") -> ConflictError:
    """Return the error for a write based on an outdated read."""
    return ConflictError(f"update conflict: {which}{f': {reason}' if reason else ''}")


def outdated(which: ResourceId, given: str, latest: str) -> ConflictError:
    """Return the error for a document whose resourceVersion is not the stored one."""
    return conflict(
        which,
        f"resource version '{given}' is out of date (latest: {latest}). "
        "Update the resource YAML/JSON in order to make changes",
    )


def unsupported(operation: str, which: ResourceId, reason: str) -> UnsupportedOperationError:
    """Return the error for an operation that is never allowed on the resource."""
    return UnsupportedOperationError(f"operation {operation} is not supported on {which}: {reason}")
