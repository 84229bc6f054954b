"""history and rollback: the versions of one object that the datastore still knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from calicoctl import gotext, managed
from calicoctl.differences import differences
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.model import Revision
from libcalico.datastore.past import History, PastBackend, Version, history
from libcalico.errors import (
    CalicoError,
    CompactedError,
    DatastoreError,
    NotFoundError,
    ValidationError,
)
from libcalico.resources.model import Resource, ResourceId

_MOST_FIELDS = 5
#: A prefix of no key: reading it tells the datastore's revision.
_NOTHING = f"{keys.ROOT}-/"


def at(client: Client, revision: int) -> Client:
    """Return a client of the datastore as it was.

    Raises:
        CalicoError: the datastore does not know that revision any more, or not yet.
    """
    past = PastBackend(client.backend, Revision(revision))
    try:
        past.get(keys.ROOT)
    except CompactedError as error:
        raise CompactedError(
            f"revision {revision} is compacted away: the datastore keeps only later ones"
        ) from error
    except DatastoreError as error:
        latest = client.backend.read(_NOTHING).revision
        if revision <= latest:
            raise
        raise ValidationError(
            f"there is no revision {revision} yet: the datastore is at {latest}"
        ) from error
    return Client(past)


def versions_of(client: Client, which: ResourceId) -> History:
    """Return the versions of an object.

    Raises:
        NotFoundError: there is none, and none is known of.
    """
    found = history(client.backend, keys.path_of(which))
    if not found.versions:
        raise NotFoundError(f"no version of {which} is known{_reach(found)}")
    return found


def table(found: History) -> str:
    """Return the versions, oldest first, with the fields that changed."""
    rows: list[Sequence[str]] = []
    before: Version | None = None
    for version in found.versions:
        rows.append((str(version.revision), *_described(before, version, found)))
        before = version
    return gotext.table(("REVISION", "CHANGE", "FIELDS"), rows) + _note(found)


def _described(before: Version | None, version: Version, found: History) -> tuple[str, str]:
    if version.value is None:
        return "deleted", ""
    if before is None or before.value is None:
        known = before is not None or version.revision > found.compacted
        return ("created" if known else "known"), ""
    changed = [d.path for d in differences(_parsed(before.value), _parsed(version.value))]
    more = f" and {len(changed) - _MOST_FIELDS} more" if len(changed) > _MOST_FIELDS else ""
    return "changed", ", ".join(changed[:_MOST_FIELDS]) + more


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode(errors="backslashreplace")


def _note(found: History) -> str:
    return (
        f"\nVersions replaced up to revision {found.compacted} are compacted away.\n"
        if found.compacted
        else ""
    )


def _reach(found: History) -> str:
    return (
        f"; what was replaced up to revision {found.compacted} is compacted away"
        if found.compacted
        else ""
    )


def rollback(client: Client, which: ResourceId, revision: int | None) -> Revision:
    """Give an object its content of a revision, or of its last version but one; return which.

    The object keeps its identity; one that was deleted is created anew.

    Raises:
        CalicoError: no such version is known.
        ValidationError: the rules do not let it become that again.
    """
    managed.refuse("rollback", which)
    chosen = _chosen(versions_of(client, which), which, revision)
    old: Resource = at(client, chosen).resource(which.kind).get(which.name, which.namespace)
    resources = client.resource(which.kind)
    try:
        resources.modify(which.name, lambda stored: _as(old, stored), which.namespace)
    except NotFoundError:
        nobody = old.metadata.with_(uid="", resource_version="", creation_timestamp=None)
        resources.create(old.with_(metadata=nobody))
    return chosen


def _as(old: Resource, stored: Resource) -> Resource:
    """Return the old content with the identity that is stored now."""
    metadata = old.metadata.with_(
        uid=stored.metadata.uid,
        creation_timestamp=stored.metadata.creation_timestamp,
        resource_version=stored.metadata.resource_version,
    )
    return old.with_(metadata=metadata)


def _chosen(found: History, which: ResourceId, revision: int | None) -> Revision:
    if revision is None:
        candidates = found.versions[:-1]
    else:
        candidates = tuple(v for v in found.versions if v.revision <= revision)
    if not candidates:
        what = "earlier version" if revision is None else f"version at revision {revision}"
        raise CalicoError(f"no {what} of {which} is known{_reach(found)}")
    version = candidates[-1]
    if version.value is None:
        raise CalicoError(
            f"{which} did not exist at revision {revision or version.revision}; delete it instead"
        )
    return version.revision
