"""What a write would do, found out by doing it on an overlay; and the same in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calicoctl import printers
from calicoctl.batch import Outcome, Verb
from calicoctl.commands import write
from calicoctl.differences import Change, Document
from libcalico.client import Client
from libcalico.datastore.overlay import Overlay
from libcalico.errors import CalicoError, ConflictError, NotFoundError, TooLargeError
from libcalico.ipam import IpamClient
from libcalico.resources.model import Resource, ResourceId, id_of

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a batch would end, and what would become of each object."""

    outcome: Outcome
    changes: Sequence[Change]


def rehearse(
    verb: Verb,
    resources: Sequence[Resource],
    client: Client,
    ignore: type[CalicoError] | None = None,
) -> Rehearsal:
    """Do a batch without writing it: every check of the datastore's is made."""
    _, staged = _staged(client)
    outcome = write.run(verb, resources, staged, ignore=ignore)
    changes = [
        Change(
            which,
            _document(client, which),
            _document(staged, which),
            refused=which in outcome.refused,
        )
        for which in dict.fromkeys(map(id_of, resources))
    ]
    return Rehearsal(outcome, changes)


def write_atomically(
    verb: Verb,
    resources: Sequence[Resource],
    client: Client,
    ignore: type[CalicoError] | None = None,
) -> Outcome:
    """Do a batch in one transaction: all of it or, if anything is refused, nothing.

    Raises:
        TooLargeError: it is too much for one transaction.
        ConflictError: other writers were faster, again and again.
    """
    for _ in range(_TRIES):
        overlay, staged = _staged(client)
        outcome = write.run(verb, resources, staged, ignore=ignore)
        if not outcome.succeeded:
            reasons = [*outcome.errors, "nothing was written, as the batch is atomic"]
            return Outcome(verb, outcome.kinds, 0, reasons)
        try:
            overlay.commit()
        except ConflictError:
            continue
        except TooLargeError as error:
            raise _too_large(overlay, error) from error
        return outcome
    raise ConflictError(f"nothing was written: other writers were faster {_TRIES} times")


def _too_large(overlay: Overlay, error: TooLargeError) -> TooLargeError:
    count = len(overlay.writes())
    return TooLargeError(
        f"nothing was written: {count} keys are too much for one transaction; etcd takes 128 keys"
        " (--max-txn-ops) and 1.5 MiB (--max-request-bytes) unless it is started with other limits."
        f" Split the batch, or leave --atomic out ({error})"
    )


def _staged(client: Client) -> tuple[Overlay, Client]:
    overlay = Overlay(client.backend)
    return overlay, Client(overlay, IpamClient(overlay), client.pause)


def _document(client: Client, which: ResourceId) -> Document | None:
    try:
        found = client.resource(which.kind).get(which.name, which.namespace)
    except NotFoundError:
        return None
    return printers.document(found, without=printers.OF_CLUSTER)
