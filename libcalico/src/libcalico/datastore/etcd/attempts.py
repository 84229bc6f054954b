"""What to do about a failed call: try again, on which endpoint, when; or which error to raise. No I/O.

Strategy: a call has one deadline. Until then whatever may pass by itself (no connection, an election,
a member that does not answer) is tried again on the next endpoint, after a short and growing pause;
each attempt gets a share of the time, so one frozen member does not use it up. So an election is
invisible to callers. What the store refuses is raised at once. A store that has never answered and
at none of whose endpoints anybody listens is more likely misspelt than restarting: it is given up sooner.

Facts: etcd reports elections, timeouts and shutdown as UNAVAILABLE ("etcdserver: no leader",
"etcdserver: request timed out", ...; ``api/v3rpc/rpctypes/error.go``). Only some of these say that
the request was never carried out.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from libcalico.errors import (
    CalicoError,
    CompactedError,
    DatastoreError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
#: How long a store that has never answered may refuse connections; one that starts up listens by then.
_FIRST_CONTACT_S = 2.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A gRPC status: the name of its code (``UNAVAILABLE``) and its text."""

    code: str
    text: str


class Kind(enum.Enum):
    """What a failure means for the caller."""

    NOT_DONE = enum.auto()  # may pass; the request was certainly not carried out
    MAYBE_DONE = enum.auto()  # may pass; the request may have been carried out
    TOKEN = enum.auto()  # our token is no longer valid: log in again
    DENIED = enum.auto()  # the credentials do not do
    COMPACTED = enum.auto()
    TOO_LARGE = enum.auto()
    REFUSED = enum.auto()


#: Codes that mean the same whatever the text is.
_KIND_BY_CODE = {
    "DEADLINE_EXCEEDED": Kind.MAYBE_DONE,
    "CANCELLED": Kind.MAYBE_DONE,
    "UNKNOWN": Kind.MAYBE_DONE,
    "INTERNAL": Kind.MAYBE_DONE,
    "ABORTED": Kind.MAYBE_DONE,
    "UNAUTHENTICATED": Kind.TOKEN,
    "PERMISSION_DENIED": Kind.DENIED,
}

#: (code, part of the text) → kind; the first that fits wins.
_KIND_BY_TEXT = (
    ("UNAVAILABLE", "no leader", Kind.NOT_DONE),
    ("UNAVAILABLE", "failed to connect to all addresses", Kind.NOT_DONE),
    ("UNAVAILABLE", "connection refused", Kind.NOT_DONE),
    ("UNAVAILABLE", "dns resolution failed", Kind.NOT_DONE),
    ("UNAVAILABLE", "", Kind.MAYBE_DONE),
    ("RESOURCE_EXHAUSTED", "too many requests", Kind.NOT_DONE),
    ("INVALID_ARGUMENT", "revision of auth store is old", Kind.TOKEN),
    ("INVALID_ARGUMENT", "user name is empty", Kind.TOKEN),
    ("INVALID_ARGUMENT", "authentication failed", Kind.DENIED),
    ("OUT_OF_RANGE", "compacted", Kind.COMPACTED),
    ("INVALID_ARGUMENT", "too many operations", Kind.TOO_LARGE),
    ("INVALID_ARGUMENT", "request is too large", Kind.TOO_LARGE),
    ("RESOURCE_EXHAUSTED", "message larger than max", Kind.TOO_LARGE),
)


def classify(failure: Failure) -> Kind:
    """Return what a gRPC status means."""
    text = failure.text.lower()
    for code, part, kind in _KIND_BY_TEXT:
        if failure.code == code and part in text:
            return kind
    return _KIND_BY_CODE.get(failure.code, Kind.REFUSED)


#: Parts of texts that say that nobody listens at an endpoint, or somebody else.
_NOBODY = (
    "connection refused",
    "no route to host",
    "network is unreachable",
    "dns resolution failed",
    "handshake failed",
)


def finds_nobody(failure: Failure) -> bool:
    """Tell whether a failure says that no store of ours listens at the endpoint."""
    text = failure.text.lower()
    return failure.code == "UNAVAILABLE" and any(part in text for part in _NOBODY)


class Attempts:
    """The attempts at one call. Times are seconds on the driver's monotonic clock.

    Args:
        endpoints: as they are shown in errors.
        first: index of the endpoint to try first.
        timeout_s: for all attempts together.
        now: when they begin.
        known: the store has answered before.

    Attributes:
        endpoint: index of the endpoint to try now.
        maybe_done: an earlier attempt may have been carried out.
        log_in: get a new token before the next attempt.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        first: int,
        timeout_s: float,
        now: float,
        *,
        known: bool = True,
    ) -> None:
        self._endpoints = endpoints
        self._timeout_s = timeout_s
        self._began = now
        self._known = known
        self._empty: set[int] = set()
        self._pause_s = _FIRST_PAUSE_S
        self._logged_in_again = False
        self.endpoint = first
        self.maybe_done = False
        self.log_in = False

    def time_left_s(self, now: float) -> float:
        """Return how long this attempt may take."""
        count = len(self._endpoints)
        share_s = self._timeout_s if count == 1 else max(1.0, self._timeout_s / (count + 1))
        return max(0.001, min(share_s, self._began + self._timeout_s - now))

    def on_failure(self, failure: Failure, now: float) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            CalicoError: there is no point in another one.
        """
        kind = classify(failure)
        self.log_in = kind is Kind.TOKEN
        if kind is Kind.TOKEN and not self._logged_in_again:
            self._logged_in_again = True
            return 0.0
        if kind in (Kind.NOT_DONE, Kind.MAYBE_DONE):
            self.maybe_done = self.maybe_done or kind is Kind.MAYBE_DONE
            return self._next_pause_s(failure, now)
        raise self.error(failure, kind)

    def error(self, failure: Failure, kind: Kind) -> CalicoError:
        """Return the error that a failure is raised as."""
        text = f"datastore {self._endpoints[self.endpoint]}: {failure.text}"
        match kind:
            case Kind.TOKEN | Kind.DENIED:
                return UnauthorizedError(f"{text}; check the user name, password and certificate")
            case Kind.COMPACTED:
                return CompactedError(text)
            case Kind.TOO_LARGE:
                return TooLargeError(text)
            case Kind.REFUSED:
                return DatastoreError(text)
            case Kind.NOT_DONE | Kind.MAYBE_DONE:
                return UnavailableError(text)

    def _next_pause_s(self, failure: Failure, now: float) -> float:
        pause_s = self._pause_s
        limit_s = self._limit_s(failure)
        if now + pause_s >= self._began + limit_s:
            raise UnavailableError(
                f"datastore {', '.join(self._endpoints)}: no answer within {limit_s:g} s: "
                f"{failure.text}"
            )
        self._pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self.endpoint = (self.endpoint + 1) % len(self._endpoints)
        return pause_s

    def _limit_s(self, failure: Failure) -> float:
        """Return how long the attempts may go on, all endpoints' last failures considered."""
        if finds_nobody(failure):
            self._empty.add(self.endpoint)
        else:
            self._empty.discard(self.endpoint)
        if self._known or len(self._empty) < len(self._endpoints):
            return self._timeout_s
        return min(_FIRST_CONTACT_S, self._timeout_s)
