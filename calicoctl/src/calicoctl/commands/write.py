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
    CalicoError,
    NotFoundError,
    UnavailableError,
    UnsupportedOperationError,
    ValidationError,
)
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import Resource, id_of
from libcalico.resources.registry import KINDS
from libcalico.resources.validate import validate

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
            validate(with_defaults(placed))
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
    client.resource(resource.kind).apply(resource)


def _replace(client: Client, resource: Resource) -> None:
    client.resource(resource.kind).replace(resource)


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
