"""What every resource is made of: metadata, a spec, a kind, and the fields that we do not know.

A resource is a :class:`msgspec.Struct`; outside names are camelCase as in Calico's manifests,
inside names are snake_case. Fields that a stored object carries and that this version does not know
are kept beside the struct that they belong to (``unknown_fields``), so that reading an object and
writing it back changes nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import msgspec

API_VERSION = "projectcalico.org/v3"
#: The release of Go Calico whose data model this is; nodes store it as the cluster's version.
DATA_MODEL_VERSION = "v3.32.1"
_UNKNOWN = "_unknown"


class Model(
    msgspec.Struct,
    kw_only=True,
    omit_defaults=True,
    rename="camel",
    dict=True,
    forbid_unknown_fields=True,
):
    """Base of every value inside a resource. Treat it as immutable; change with :meth:`with_`.

    Decoding fails on a field that this version does not know; :mod:`.codec` then keeps it apart.

    Attributes:
        WRITTEN_FIRST: fields (snake_case) that are written in front of those of the base classes.
    """

    WRITTEN_FIRST: ClassVar[tuple[str, ...]] = ()

    @property
    def unknown_fields(self) -> dict[str, Any]:
        """Fields that this version does not know: outside name → JSON value."""
        kept: dict[str, Any] = self.__dict__.get(_UNKNOWN, {})
        return kept

    def keep_unknown(self, fields: dict[str, Any]) -> None:
        """Remember fields of the stored object that this version does not know (for the codec)."""
        if fields:
            self.__dict__[_UNKNOWN] = fields

    def with_(self, **changes: Any) -> Self:
        """Return a copy with the named (snake_case) fields changed; unknown fields stay."""
        copy = msgspec.structs.replace(self, **changes)
        copy.keep_unknown(self.unknown_fields)
        return copy


class ObjectMeta(Model):
    """Metadata of a resource. ``resource_version`` is the mod revision as text, "" if not stored."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[dict[str, Any]] = []
    finalizers: list[str] = []


class KindInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of all objects of a kind.

    Attributes:
        plural: last part of the key prefix, lower case (``ippools``).
        aliases: further names that calicoctl accepts beside the lower-case kind and its plural.
        namespaced: whether objects live in a namespace.
    """

    kind: str
    plural: str
    namespaced: bool = False
    aliases: tuple[str, ...] = ()


class Resource(Model, tag_field="kind"):
    """An object of Calico's v3 API. Subclasses add ``spec`` and set ``INFO``."""

    INFO: ClassVar[KindInfo]

    api_version: str = API_VERSION
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)

    @property
    def kind(self) -> str:
        """The kind's name, e.g. ``IPPool``."""
        return self.INFO.kind

    @property
    def name(self) -> str:
        """Shorthand for ``metadata.name``."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Shorthand for ``metadata.namespace``; empty for cluster-scoped kinds."""
        return self.metadata.namespace


class ResourceId(msgspec.Struct, frozen=True, order=True):
    """Names one resource: kind, namespace (empty for cluster-scoped kinds), name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Text as in Calico's messages: ``Kind(ns/name)`` or ``Kind(name)``."""
        return (
            f"{self.kind}({self.namespace}/{self.name})"
            if self.namespace
            else f"{self.kind}({self.name})"
        )


def id_of(resource: Resource) -> ResourceId:
    """Return the resource's identity."""
    return ResourceId(resource.kind, resource.namespace, resource.name)
