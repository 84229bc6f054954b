"""patch and label: small changes of one stored object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from libcalico.client import Client
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.model import Resource, ResourceId, id_of


def parse_patch(text: str) -> dict[str, Any]:
    """Return the patch.

    Raises:
        ValidationError: it is no JSON object.
    """
    try:
        patch = json.loads(text)
    except ValueError as error:
        raise ValidationError(f"patch: not JSON: {error}") from error
    if not isinstance(patch, dict):
        raise ValidationError('patch: expected a JSON object such as \'{"spec":{"order":10}}\'')
    return patch


def merged(document: Any, patch: Any) -> Any:
    """Return the document with the patch merged in: null removes, lists are replaced (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patch(client: Client, wanted: ResourceId, changes: Mapping[str, Any]) -> None:
    """Merge a patch into a stored object.

    Raises:
        ValidationError: the result is no valid resource, or would be another object.
    """

    def patched(stored: Resource) -> Resource:
        changed = codec.from_manifest(merged(codec.to_mapping(stored), changes))
        if id_of(changed) != id_of(stored):
            raise ValidationError("patch: kind, name and namespace cannot be changed")
        return _as_next_version(changed, stored)

    client.resource(wanted.kind).modify(wanted.name, patched, wanted.namespace)


def label(
    client: Client, wanted: ResourceId, key: str, value: str | None, *, overwrite: bool
) -> str:
    """Set a label, or remove it (``value`` None); return what was done.

    Raises:
        ValidationError: the label is there and may not be overwritten, or is not there to remove.
    """
    subject = f"{wanted.kind} {wanted.name}"
    done = ""

    def labelled(stored: Resource) -> Resource:
        nonlocal done
        labels = dict(stored.metadata.labels)
        done = _change_label(labels, key, value, subject, overwrite=overwrite)
        return stored.with_(metadata=stored.metadata.with_(labels=labels))

    client.resource(wanted.kind).modify(wanted.name, labelled, wanted.namespace)
    return done


def _change_label(
    labels: dict[str, str], key: str, value: str | None, subject: str, *, overwrite: bool
) -> str:
    there = labels.get(key)
    if value is None:
        if there is None:
            raise ValidationError(f"cannot remove label {key} of {subject}: it is not set")
        del labels[key]
        return f"Successfully removed label {key} from {subject}"
    if there is not None and there != value and not overwrite:
        raise ValidationError(
            f"label {key} of {subject} is set already, to {there!r}; use --overwrite to change it"
        )
    labels[key] = value
    return f"Successfully {'set' if there is None else 'updated'} label {key} on {subject}"


def _as_next_version(changed: Resource, stored: Resource) -> Resource:
    metadata = changed.metadata.with_(
        uid=stored.metadata.uid,
        creation_timestamp=stored.metadata.creation_timestamp,
        resource_version=stored.metadata.resource_version,
    )
    return changed.with_(metadata=metadata)
