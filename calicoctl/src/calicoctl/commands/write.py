"""create, apply, replace, delete: what changes many resources at once.

All documents are read, completed and validated before the first one is written: a mistake anywhere
means that nothing is written. What the datastore refuses is reported at the end, the rest is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from calicoctl import batch, managed, namespaces
from calicoctl.batch import Outcome, Verb
from libcalico import manifests
from libcalico.client import Client, messages
from libcalico.client.documents import as_new
from libcalico.errors import (
    CalicoError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE
from libcalico.resources.profiles import Profile
from libcalico.resources.registry import KINDS
from libcalico.resources.validate import validate

_log = logging.getLogger(__name__)


def load(
    filename: str, namespace: str | None, *, recursive: bool = False, check: bool = True
) -> list[Resource]:
    """Return the resources of the input, each with its namespace, complete and valid.

    Args:
        filename: a file, a folder, or ``-``.
        namespace: of resources that name none.
        recursive: read the folder's folders as well.
        check: False if the resources only say which are meant, to show or delete them: then old
            manifests do that need not keep today's rules.

    Raises:
        ManifestError: naming every mistake with file, line, document and field.
    """

    def prepare(resource: Resource) -> Resource:
        complete = with_defaults(namespaces.place(resource, namespace))
        if check:
            validate(complete)
        return complete

    return manifests.load(filename, prepare, recursive=recursive)


def run(
    verb: Verb,
    resources: Sequence[Resource],
    client: Client,
    *,
    ignore: type[CalicoError] | None = None,
    writers: int = 1,
) -> Outcome:
    """Do one verb for each resource, going on after an error.

    Args:
        verb: what to do.
        resources: complete and valid.
        client: of the datastore; used by several threads if there are several writers.
        ignore: the error that counts as done (``--skip-exists``, ``--skip-not-exists``).
        writers: how many resources may be under way at a time. Only those are that do not depend on each
            other (:func:`.batch.groups`).

    Raises:
        UnavailableError: the datastore is away, and nothing was done yet. If it goes away later, what
            was done until then is the outcome.
    """
    if verb != "delete":
        _initialize(client)
    errors: list[CalicoError] = []
    refused: list[ResourceId] = []
    for resource, error in zip(
        resources, _each(_Writer(verb, client), resources, writers), strict=True
    ):
        if error is not None and (ignore is None or not isinstance(error, ignore)):
            errors.append(error)
            refused.append(id_of(resource))
    done = len(resources) - len(errors)
    if errors and not done and _is_away(errors[0]):
        raise errors[0]
    return Outcome(verb, [r.kind for r in resources], done, _texts(errors), refused)


def _each(
    write: _Writer, resources: Sequence[Resource], writers: int
) -> Iterator[CalicoError | None]:
    """Yield what became of each resource that was tried, in their order."""
    if writers == 1:
        yield from map(write, resources)
        return
    with ThreadPoolExecutor(writers) as pool:
        for group in batch.groups(resources):
            yield from pool.map(write, group)


class _Writer:
    """Does a verb for one resource after the other, until the datastore is away. Thread-safe."""

    def __init__(self, verb: Verb, client: Client) -> None:
        self._verb = verb
        self._client = client
        self._away = Event()

    def __call__(self, resource: Resource) -> CalicoError | None:
        """Return what kept the resource from being written, None if nothing did."""
        if self._away.is_set():
            return _NOT_TRIED
        try:
            managed.refuse(self._verb, id_of(resource))
            _ACTIONS[self._verb](self._client, resource)
        except CalicoError as error:
            if _is_away(error):
                self._away.set()
            return error
        _log.info("resource written verb=%s resource=%s", self._verb, id_of(resource))
        return None


#: Why a resource was not written, where the reason was told already.
_NOT_TRIED = UnavailableError("not tried")


def _texts(errors: Sequence[CalicoError]) -> list[str]:
    """Return the texts of the errors; that the datastore is away is said once."""
    away = next(filter(_is_away, errors), None)
    return [str(error) for error in errors if error is away or not _is_away(error)]


def named(kind: str, names: Sequence[str], namespace: str) -> list[Resource]:
    """Return resources that hold nothing but their identity, to be deleted.

    Raises:
        ValidationError: a name is empty.
    """
    if not all(names):
        raise ValidationError("resource name may not be empty")
    blank = KINDS[kind]()
    return [
        blank.with_(metadata=blank.metadata.with_(name=name, namespace=namespace)) for name in names
    ]


def _initialize(client: Client) -> None:
    """Make a fresh datastore a cluster; whoever may not do that may still write what they may."""
    try:
        client.ensure_initialized()
    except CalicoError as error:
        if _is_away(error):
            raise
        _log.warning("cluster not initialized error=%s", error)


def _is_away(error: CalicoError) -> bool:
    return isinstance(error, UnavailableError) and not isinstance(error, UnauthorizedError)


def _create(client: Client, resource: Resource) -> None:
    client.resource(resource.kind).create(as_new(resource))


def _apply(client: Client, resource: Resource) -> None:
    if not _is_built_in(client, resource):
        client.resource(resource.kind).apply(resource)


def _replace(client: Client, resource: Resource) -> None:
    if not _is_built_in(client, resource):
        client.resource(resource.kind).replace(resource)


def _is_built_in(client: Client, resource: Resource) -> bool:
    """Whether it is the profile that every reader sees and nobody can store.

    A listing of the profiles holds it, and must be good to be applied.

    Raises:
        UnsupportedOperationError: it is, and is to be changed.
    """
    if not isinstance(resource, Profile) or resource.name != DEFAULT_ALLOW_PROFILE:
        return False
    if resource.spec != client.profiles.get(resource.name).spec:
        raise messages.unsupported("update", id_of(resource), "the profile is built in")
    return True


def _delete(client: Client, resource: Resource) -> None:
    which = id_of(resource)
    client.resource(which.kind).delete(which.name, which.namespace)


_ACTIONS: dict[str, Callable[[Client, Resource], None]] = {
    "create": _create,
    "apply": _apply,
    "replace": _replace,
    "delete": _delete,
}
