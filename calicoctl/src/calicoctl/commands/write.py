"""create, apply, replace, delete: what changes many resources at once.

All documents are read, completed and validated before the first one is written: a mistake anywhere
means that nothing is written. What the datastore refuses is reported at the end, the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calicoctl import manifests, namespaces
from calicoctl.batch import Outcome, Verb
from libcalico.client import Client
from libcalico.errors import (
    AlreadyExistsError,
    CalicoError,
    ConflictError,
    NotFoundError,
    UnavailableError,
    UnsupportedOperationError,
    ValidationError,
)
from libcalico.resources import defaults, validate
from libcalico.resources.model import Resource, id_of
from libcalico.resources.registry import KINDS

_TRIES = 5
_MANAGED_PREFIX = "knp.default."


def load(filename: str, namespace: str | None, *, recursive: bool) -> list[Resource]:
    """Return the resources of the input, each with its namespace, complete and valid.

    Raises:
        ManifestError: naming every mistake with file, line, document and field.
    """
    ready: list[Resource] = []
    problems: list[str] = []
    for document, resource in manifests.load(filename, recursive=recursive):
        try:
            placed = namespaces.place(resource, namespace)
            validate.check(defaults.complete(placed))
            ready.append(placed)
        except ValidationError as error:
            problems += manifests.explain(document, error)
    if problems:
        raise manifests.ManifestError(problems)
    return ready


def run(
    verb: Verb,
    resources: Sequence[Resource],
    client: Client,
    *,
    ignore: type[Exception] | None = None,
) -> Outcome:
    """Do one verb for each resource, going on after an error.

    Args:
        ignore: the error that counts as done (``--skip-exists``, ``--skip-not-exists``).

    Raises:
        UnavailableError: the datastore is away; going on makes no sense.
    """
    if verb in ("create", "apply", "replace"):
        client.ensure_initialized()
    do: Callable[[Client, Resource], object] = {
        "create": _create,
        "apply": _apply,
        "replace": _replace,
        "delete": _delete,
    }[verb]
    errors: list[str] = []
    done = 0
    for resource in resources:
        try:
            _refuse_managed(verb, resource)
            do(client, resource)
            done += 1
        except UnavailableError:
            raise
        except CalicoError as error:
            if ignore is not None and isinstance(error, ignore):
                done += 1
            else:
                errors.append(str(error))
    return Outcome(verb, [r.kind for r in resources], done, errors)


def _refuse_managed(verb: Verb, resource: Resource) -> None:
    if resource.kind == "ClusterInformation":
        raise UnsupportedOperationError(
            f"operation {verb} is not supported on {id_of(resource)}: resource is readonly"
        )
    if resource.kind == "NetworkPolicy" and resource.name.startswith(_MANAGED_PREFIX):
        raise UnsupportedOperationError(
            f"operation {verb} is not supported on {id_of(resource)}: kubernetes network policies must"
            " be managed through the kubernetes API"
        )


def _create(client: Client, resource: Resource) -> None:
    client.resource(resource.kind).create(_without_identity(resource))


def _apply(client: Client, resource: Resource) -> None:
    try:
        _create(client, resource)
    except AlreadyExistsError:
        _replace(client, resource)


def _replace(client: Client, resource: Resource) -> None:
    """Write the input over what is stored; the input's resourceVersion, if given, must be current."""
    store = client.resource(resource.kind)
    given = resource.metadata.resource_version
    for _ in range(1 if given else _TRIES):
        stored = store.get(resource.name, resource.namespace)
        if given and stored.metadata.resource_version != given:
            raise ConflictError(
                f"update conflict: {id_of(resource)}: resource version '{given}' is out of date (latest:"
                f" {stored.metadata.resource_version}). Update the resource YAML/JSON in order to make"
                " changes"
            )
        try:
            store.update(_over(stored, resource))
        except ConflictError:
            continue
        return
    raise ConflictError(f"update conflict: {id_of(resource)}: it kept changing; try again")


def _over(stored: Resource, wanted: Resource) -> Resource:
    """Return what is wanted, as the next version of what is stored."""
    metadata = stored.metadata.with_(
        labels=dict(wanted.metadata.labels), annotations=dict(wanted.metadata.annotations)
    )
    return wanted.with_(metadata=metadata)


def _without_identity(resource: Resource) -> Resource:
    """Return the resource without what only a stored object has."""
    return resource.with_(
        metadata=resource.metadata.with_(
            uid="", resource_version="", generation=0, creation_timestamp=None
        )
    )


def _delete(client: Client, resource: Resource) -> None:
    client.resource(resource.kind).delete(resource.name, resource.namespace)


def delete_named(
    client: Client, kind: str, names: Sequence[str], namespace: str, *, skip_missing: bool
) -> Outcome:
    """Delete objects of a kind by name."""
    resources: list[Resource] = []
    for name in names:
        if not name:
            raise ValidationError("resource name may not be empty")
        blank = KINDS[kind]()
        resources.append(blank.with_(metadata=blank.metadata.with_(name=name, namespace=namespace)))
    return run("delete", resources, client, ignore=NotFoundError if skip_missing else None)
