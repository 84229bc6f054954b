"""Create, read, update and delete the resources of one kind.

The rules of compare-and-swap: an object that was read carries the revision of its key in
``metadata.resource_version``; an update is made only if the key is unchanged since. Source:
``calico-control-plane.md`` 1.5 and 1.6.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from libcalico.client import documents, messages
from libcalico.datastore import keys
from libcalico.datastore.model import KeyValue, Revision
from libcalico.errors import AlreadyExistsError, ConflictError, NotFoundError, ValidationError
from libcalico.resources import codec, policynames
from libcalico.resources.defaults import with_defaults
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import ObjectMeta, Resource, ResourceId, id_of
from libcalico.resources.staged import TieredPolicy

if TYPE_CHECKING:
    from libcalico.client.behaviour import Behaviour
    from libcalico.client.client import Client

_log = logging.getLogger(__name__)
#: How often a change that is not bound to a revision is tried again after losing a race.
UPDATE_TRIES = 5
#: The longest pause after the first lost race, in seconds; it doubles with each further one.
_PAUSE_S = 0.1

R = TypeVar("R", bound=Resource)
#: The store revision that a list is of, and the list.
Listing = tuple[Revision, list[R]]


class ResourceClient(Generic[R]):
    """The resources of one kind. All methods raise UnavailableError if the store does not answer.

    ``namespace`` is needed for namespaced kinds, and must be empty for others.
    """

    def __init__(self, client: Client, resource_class: type[R], behaviour: Behaviour[R]) -> None:
        self._client = client
        self._backend = client.backend
        self._class = resource_class
        self._kind = resource_class.INFO.kind
        self._behaviour = behaviour

    def get(self, name: str, namespace: str = "") -> R:
        """Read one resource.

        Raises:
            NotFoundError: it does not exist.
            ValidationError: what is stored is no resource of this kind.
        """
        which = self._which(name, namespace)
        for synthetic in self._behaviour.synthetic:
            if id_of(synthetic) == which:
                return synthetic
        stored = self._backend.get(keys.path_of(which))
        if stored is None:
            raise messages.not_found(which)
        return self._read(stored, which)

    def list(self, namespace: str = "") -> list[R]:
        """Read all resources of the kind, or those of one namespace, in the order of their keys."""
        return self.list_at(namespace)[1]

    def list_at(self, namespace: str = "") -> Listing[R]:
        """As :meth:`list`, with the store revision that the list is of.

        Stored values that cannot be read are logged and left out, as in every Calico client.
        """
        snapshot = self._backend.read(keys.resource_prefix(self._kind, namespace))
        resources = [r for item in snapshot.items if (r := self.read_stored(item)) is not None]
        return snapshot.revision, [*resources, *self._behaviour.synthetic]

    def create(self, resource: R) -> R:
        """Store a new resource, completed with defaults, and return it as stored.

        Raises:
            ValidationError: it breaks a rule.
            AlreadyExistsError: it exists.
            NotFoundError: something it refers to, and cannot be created without, does not exist.
        """
        if resource.metadata.resource_version:
            raise ValidationError("metadata.resourceVersion: must be empty in a resource to create")
        complete = self._complete(resource)
        which = id_of(complete)
        self._refuse_synthetic("create", which)
        self._behaviour.before_create(self._client, complete)
        complete = complete.with_(metadata=_with_identity(complete.metadata))
        try:
            revision = self._backend.create(keys.path_of(which), _encode(complete))
        except AlreadyExistsError as problem:
            raise messages.already_exists(which) from problem
        return _at(complete, revision)

    def update(self, resource: R) -> R:
        """Store a changed resource that was read before, and return it as stored.

        Raises:
            ValidationError: it breaks a rule, or lacks what a read resource has.
            NotFoundError: it does not exist.
            ConflictError: it was changed since it was read.
        """
        _require_identity(resource.metadata)
        complete = self._complete(resource)
        which = id_of(complete)
        self._refuse_synthetic("update", which)
        self._behaviour.before_update(self._client, complete)
        return self.write_back(complete)

    def write_back(self, resource: R) -> R:
        """Store a changed resource that was read before, whatever the rules say of it.

        For changes that must be possible on objects that other writers left (disabling a pool before
        it is deleted). Everybody else calls :meth:`update`, which raises the same errors.
        """
        which = id_of(resource)
        revision = _revision(resource.metadata.resource_version)
        try:
            revision = self._backend.update(keys.path_of(which), _encode(resource), revision)
        except NotFoundError as problem:
            raise messages.not_found(which) from problem
        except ConflictError as problem:
            raise messages.conflict(which) from problem
        return _at(resource, revision)

    def apply(self, resource: R) -> R:
        """Create the resource, or replace it if it exists (see :meth:`replace`).

        A resource that is created keeps name, namespace, labels and annotations of the document;
        the rest of its metadata (an exported uid, say) is made anew.
        """
        bound = bool(resource.metadata.resource_version)
        for _ in range(UPDATE_TRIES):
            try:
                return self.replace(resource)
            except NotFoundError:
                if bound:
                    raise
            try:
                return self.create(documents.as_new(resource))
            except AlreadyExistsError:
                continue
        raise messages.conflict(id_of(resource), f"gave up after {UPDATE_TRIES} tries")

    def replace(self, resource: R) -> R:
        """Replace an existing resource by a document that a person wrote.

        Stored metadata and status stay, but labels and annotations become those of the document.
        Fields that this version does not know stay, too: no document of ours can name them. A
        document with a resourceVersion must be of the stored revision; one without wins over
        concurrent changes.

        Raises:
            ValidationError: it breaks a rule.
            NotFoundError: it does not exist.
            ConflictError: it was changed since the document's resourceVersion.
        """
        given = resource.metadata.resource_version
        which = id_of(with_defaults(resource))

        def replaced(stored: R) -> R:
            latest = stored.metadata.resource_version
            if given and given != latest:
                raise messages.outdated(which, given, latest)
            return documents.replacement(resource, stored)

        return self.modify(which.name, replaced, which.namespace)

    def modify(self, name: str, change: Callable[[R], R], namespace: str = "") -> R:
        """Read, change and update a resource; again if another writer was faster.

        Args:
            name: of the resource.
            change: read resource → resource to store. May be called several times. An error that it
                raises is passed on.
            namespace: of the resource.

        Raises:
            NotFoundError: it does not exist.
            ConflictError: the race was lost too often.
        """
        for attempt in range(UPDATE_TRIES):
            if attempt:
                self._client.pause(_random_pause_s(attempt))
            changed = change(self.get(name, namespace))
            try:
                return self.update(changed)
            except ConflictError:
                continue
        which = self._which(name, namespace)
        raise messages.conflict(which, f"gave up after {UPDATE_TRIES} tries")

    def delete(self, name: str, namespace: str = "", *, resource_version: str = "") -> None:
        """Delete a resource, and what cannot live without it.

        Args:
            name: of the resource.
            namespace: of the resource.
            resource_version: delete only if it is unchanged since that version; "" is whatever is stored.

        Raises:
            NotFoundError: it does not exist.
            ConflictError: it was changed since.
            UnsupportedOperationError: it may not be deleted, or not yet.
        """
        which = self._which(name, namespace)
        self._refuse_synthetic("delete", which)
        version = self._behaviour.before_delete(self._client, which, resource_version)
        self._delete_key(which, version)

    def stored_form(self, resource: R) -> bytes:
        """Return what is stored for a resource as it is read: no version, and an identity if it has none."""
        metadata = _with_identity(resource.metadata.with_(resource_version=""))
        return _encode(resource.with_(metadata=metadata))

    def _delete_key(self, which: ResourceId, resource_version: str) -> None:
        revision = _revision(resource_version) if resource_version else None
        try:
            self._backend.delete(keys.path_of(which), revision)
        except NotFoundError as problem:
            raise messages.not_found(which) from problem
        except ConflictError as problem:
            raise messages.conflict(which) from problem

    def _which(self, name: str, namespace: str) -> ResourceId:
        if not name:
            raise ValidationError("resource name may not be empty")
        if bool(namespace) != self._class.INFO.namespaced:
            need = "needs a" if self._class.INFO.namespaced else "has no"
            raise ValidationError(f"{self._kind}({name}) {need} namespace, got {namespace!r}")
        return ResourceId(self._kind, namespace, name)

    def _complete(self, resource: R) -> R:
        from libcalico.resources.validate import validate  # noqa: PLC0415 - readers need no rules

        complete = with_defaults(resource)
        validate(complete)
        return complete

    def _refuse_synthetic(self, operation: str, which: ResourceId) -> None:
        if all(id_of(synthetic) != which for synthetic in self._behaviour.synthetic):
            return
        if operation == "create":
            raise messages.already_exists(which)
        raise messages.unsupported(operation, which, "it is built in and cannot be changed")

    def read_stored(self, stored: KeyValue) -> R | None:
        """Return the resource that a key holds; None, and a line in the log, if it cannot be read."""
        which = keys.parse_resource(stored.key)
        if which is None:
            return None
        try:
            return self._read(stored, which)
        except ValidationError as problem:
            _log.warning("stored resource cannot be read key=%s problem=%s", stored.key, problem)
            return None

    def _read(self, stored: KeyValue, which: ResourceId) -> R:
        """Decode a stored value; its key decides kind, namespace and (but for policies) name."""
        try:
            resource = codec.decode(stored.value, kind=self._kind)
        except ValidationError as problem:
            raise ValidationError(
                *(f"stored at {stored.key}: {text}" for text in problem.problems)
            ) from problem
        metadata = resource.metadata.with_(name=which.name, namespace=which.namespace)
        return _at(_as_shown(cast(R, resource.with_(metadata=metadata))), stored.revision)


def _as_shown(resource: R) -> R:
    if isinstance(resource, TieredPolicy):
        return cast(R, policynames.as_shown(resource))
    return with_defaults(resource) if isinstance(resource, IPPool) else resource


def _encode(resource: Resource) -> bytes:
    if isinstance(resource, TieredPolicy):
        return codec.encode(policynames.as_stored(resource))
    return codec.encode(resource)


def _at(resource: R, revision: Revision) -> R:
    return resource.with_(metadata=resource.metadata.with_(resource_version=str(revision)))


def _with_identity(metadata: ObjectMeta) -> ObjectMeta:
    import uuid  # noqa: PLC0415 - only what is new needs one

    now = dt.datetime.now(dt.UTC)
    return metadata.with_(
        uid=metadata.uid or str(uuid.uuid4()),
        creation_timestamp=metadata.creation_timestamp or f"{now:%Y-%m-%dT%H:%M:%SZ}",
    )


def _require_identity(metadata: ObjectMeta) -> None:
    fields = {
        "resourceVersion": metadata.resource_version,
        "creationTimestamp": metadata.creation_timestamp,
        "uid": metadata.uid,
    }
    missing = [
        f"metadata.{field}: insufficient identifiers, missing '{field}'; update what get returned"
        for field, value in fields.items()
        if not value
    ]
    if missing:
        raise ValidationError(*missing)


def _revision(resource_version: str) -> Revision:
    if not resource_version.isdecimal():
        raise ValidationError(
            f"metadata.resourceVersion: {resource_version!r} is no version; use what get returned"
        )
    return Revision(int(resource_version))


def _random_pause_s(attempt: int) -> float:
    """Return how long to wait before a further attempt (from 1), so that many writers get out of step."""
    longest_s = _PAUSE_S * 2 ** (attempt - 1)
    return random.uniform(longest_s / 2, longest_s)
