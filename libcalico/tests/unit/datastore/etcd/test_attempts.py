"""Failed calls: what is tried again, where and when, and what each error becomes."""

from __future__ import annotations

import pytest

from libcalico.datastore.etcd.attempts import Attempts, Failure, Kind, classify
from libcalico.errors import (
    CompactedError,
    DatastoreError,
    UnauthorizedError,
    UnavailableError,
)

DOWN = Failure("UNAVAILABLE", "failed to connect to all addresses; connection refused (111)")
ELECTION = Failure("UNAVAILABLE", "etcdserver: no leader")
LOST = Failure(
    "UNAVAILABLE", "etcdserver: request timed out, possibly due to previous leader failure"
)
FROZEN = Failure("DEADLINE_EXCEEDED", "Deadline Exceeded")
OLD_TOKEN = Failure("UNAUTHENTICATED", "etcdserver: invalid auth token")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (DOWN, Kind.NOT_DONE),
        (ELECTION, Kind.NOT_DONE),
        (LOST, Kind.MAYBE_DONE),
        (Failure("UNAVAILABLE", "Socket closed"), Kind.MAYBE_DONE),
        (FROZEN, Kind.MAYBE_DONE),
        (Failure("UNKNOWN", "Stream removed"), Kind.MAYBE_DONE),
        (Failure("RESOURCE_EXHAUSTED", "etcdserver: too many requests"), Kind.NOT_DONE),
        (Failure("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded"), Kind.REFUSED),
        (OLD_TOKEN, Kind.TOKEN),
        (Failure("INVALID_ARGUMENT", "etcdserver: user name is empty"), Kind.TOKEN),
        (
            Failure(
                "INVALID_ARGUMENT", "etcdserver: authentication failed, invalid user ID or password"
            ),
            Kind.DENIED,
        ),
        (Failure("PERMISSION_DENIED", "etcdserver: permission denied"), Kind.DENIED),
        (
            Failure("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"),
            Kind.COMPACTED,
        ),
        (Failure("INVALID_ARGUMENT", "etcdserver: key is not provided"), Kind.REFUSED),
        (Failure("INVALID_ARGUMENT", "etcdserver: request is too large"), Kind.TOO_LARGE),
        (
            Failure("INVALID_ARGUMENT", "etcdserver: too many operations in txn request"),
            Kind.TOO_LARGE,
        ),
        (
            Failure("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 2)"),
            Kind.TOO_LARGE,
        ),
    ],
)
def test_each_status_has_a_meaning(failure: Failure, kind: Kind):
    assert classify(failure) is kind


def test_endpoints_take_turns_with_growing_pauses():
    attempts = Attempts(["a", "b", "c"], first=1, timeout_s=10.0, now=0.0)
    seen = [(attempts.endpoint, attempts.on_failure(DOWN, 1.0)) for _ in range(6)]
    assert seen == [(1, 0.05), (2, 0.1), (0, 0.2), (1, 0.4), (2, 0.5), (0, 0.5)]
    assert not attempts.maybe_done


def test_at_the_deadline_the_store_is_unavailable():
    attempts = Attempts(["http://a:1", "http://b:2"], first=0, timeout_s=10.0, now=100.0)
    attempts.on_failure(DOWN, 109.0)
    with pytest.raises(
        UnavailableError, match=r"datastore http://a:1, http://b:2: no answer within 10 s: failed"
    ):
        attempts.on_failure(DOWN, 109.95)


def test_a_store_that_never_answered_and_refuses_everywhere_is_given_up_soon():
    attempts = Attempts(["http://a:1", "http://b:2"], 0, timeout_s=10.0, now=100.0, known=False)
    attempts.on_failure(DOWN, 102.5)  # b was not tried yet
    with pytest.raises(UnavailableError, match="a:1, http://b:2: no answer within 2 s: failed"):
        attempts.on_failure(DOWN, 102.6)


@pytest.mark.parametrize("failure", [ELECTION, LOST, FROZEN])
def test_a_store_of_which_one_member_shows_life_gets_all_the_time(failure: Failure):
    attempts = Attempts(["a", "b"], 0, timeout_s=10.0, now=0.0, known=False)
    for second in range(1, 9):
        attempts.on_failure(failure if attempts.endpoint else DOWN, float(second))


def test_a_store_that_has_answered_before_gets_all_the_time():
    attempts = Attempts(["a"], 0, timeout_s=10.0, now=0.0, known=True)
    attempts.on_failure(DOWN, 9.0)


def test_a_shorter_time_limit_holds_for_the_first_contact_too():
    attempts = Attempts(["a"], 0, timeout_s=0.5, now=0.0, known=False)
    with pytest.raises(UnavailableError, match=r"no answer within 0\.5 s"):
        attempts.on_failure(DOWN, 0.46)


def test_a_single_endpoint_may_take_all_the_time():
    attempts = Attempts(["a"], first=0, timeout_s=10.0, now=0.0)
    assert attempts.time_left_s(0.0) == 10.0
    assert attempts.time_left_s(9.0) == 1.0


def test_one_frozen_member_does_not_take_all_the_time():
    attempts = Attempts(["a", "b", "c"], first=0, timeout_s=10.0, now=0.0)
    assert attempts.time_left_s(0.0) == 2.5
    assert attempts.time_left_s(9.0) == 1.0


@pytest.mark.parametrize("failure", [LOST, FROZEN])
def test_an_attempt_without_an_answer_may_have_been_carried_out(failure: Failure):
    attempts = Attempts(["a", "b"], first=0, timeout_s=10.0, now=0.0)
    attempts.on_failure(failure, 1.0)
    attempts.on_failure(DOWN, 2.0)
    assert attempts.maybe_done


def test_an_old_token_is_renewed_once():
    attempts = Attempts(["a"], first=0, timeout_s=10.0, now=0.0)
    assert attempts.on_failure(OLD_TOKEN, 0.0) == 0.0
    assert attempts.log_in
    with pytest.raises(UnauthorizedError, match="invalid auth token; check the user name"):
        attempts.on_failure(OLD_TOKEN, 0.0)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure("PERMISSION_DENIED", "no"), UnauthorizedError),
        (Failure("OUT_OF_RANGE", "compacted"), CompactedError),
        (Failure("INVALID_ARGUMENT", "too large"), DatastoreError),
    ],
)
def test_a_refusal_is_raised_at_once(failure: Failure, error: type[Exception]):
    attempts = Attempts(["http://a:1"], first=0, timeout_s=10.0, now=0.0)
    with pytest.raises(error, match="datastore http://a:1: "):
        attempts.on_failure(failure, 0.0)
