"""Documents that people write → what is stored of them.

Source: calico-control-plane reference, section 6.3.
"""

from __future__ import annotations

from typing import TypeVar

from libcalico.resources.model import ObjectMeta, Resource
from libcalico.resources.shape import with_unknown_of

R = TypeVar("R", bound=Resource)


def as_new(document: R) -> R:
    """Return a document without what only a stored object has: uid, times, finalizers and the like."""
    given = document.metadata
    kept = ObjectMeta(
        name=given.name,
        namespace=given.namespace,
        labels=given.labels,
        annotations=given.annotations,
    )
    return document.with_(metadata=kept)


def replacement(document: R, stored: R) -> R:
    """Return what replaces a stored object: the document with the stored metadata and status.

    Labels and annotations are those of the document. Fields that this version does not know stay: no
    document of ours can name them.
    """
    metadata = stored.metadata.with_(
        labels=document.metadata.labels, annotations=document.metadata.annotations
    )
    new = document.with_(metadata=metadata)
    if hasattr(document, "status") and document.status == type(document)().status:
        new = new.with_(status=stored.status)  # type: ignore[attr-defined]
    return with_unknown_of(new, stored)
