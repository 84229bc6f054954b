"""patch and label: small changes of one stored object.

Only the change is read strictly. What the stored object holds that this version does not know stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calicoctl import managed
from libcalico.client import Client, messages
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
    except (ValueError, RecursionError) as error:
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


def patched(stored: Resource, changes: Mapping[str, Any]) -> Resource:
    """Return the stored object with the patch merged in.

    Raises:
        ValidationError: the patch holds unknown fields or wrong values, or would make it another object.
        ConflictError: the patch names a resourceVersion that is not the stored one.
    """
    asked = codec.from_manifest(merged(codec.to_known_mapping(stored), changes))
    if id_of(asked) != id_of(stored):
        raise ValidationError("patch: kind, name and namespace cannot be changed")
    given, latest = asked.metadata.resource_version, stored.metadata.resource_version
    if given != latest:
        raise messages.outdated(id_of(stored), given, latest)
    changed = codec.decode(merged(codec.to_mapping(stored), changes), kind=stored.kind)
    metadata = changed.metadata.with_(
        uid=stored.metadata.uid,
        creation_timestamp=stored.metadata.creation_timestamp,
        resource_version=latest,
    )
    return changed.with_(metadata=metadata)


def patch(client: Client, wanted: ResourceId, changes: Mapping[str, Any]) -> None:
    """Merge a patch into a stored object; see :func:`patched`.

    Raises:
        NotFoundError: it does not exist.
        ValidationError: the result breaks a rule.
        UnsupportedOperationError: it is not the user's to change.
    """
    managed.refuse("patch", wanted)
    client.resource(wanted.kind).modify(
        wanted.name, lambda stored: patched(stored, changes), wanted.namespace
    )


def label(
    client: Client,
    wanted: ResourceId,
    key: str,
    value: str | None,
    *,
    overwrite: bool,
    word: str = "",
) -> str:
    """Set a label, or remove it (``value`` None); return what was done.

    The texts are Go Calico's, and call the kind by the word that the user has for it.

    Raises:
        NotFoundError: the object does not exist.
        ValidationError: the label is there and may not be overwritten, or is not there to remove.
        UnsupportedOperationError: the object is not the user's to change.
    """
    managed.refuse("label", wanted)
    done, subject = "", f"{word or wanted.kind} {wanted.name}"

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
    """Change the labels in place, and return what was done."""
    there = labels.get(key)
    if value is None:
        if there is None:
            raise ValidationError(f"cannot remove label of {subject}, key {key} does not exist")
        del labels[key]
        return f"Successfully removed label {key} from {subject}"
    if there is not None and there != value and not overwrite:
        raise ValidationError(
            f"failed to update label of {subject}, key {key} is already present."
            " please use '--overwrite' to set a new value."
        )
    labels[key] = value
    return f"Successfully {'set' if there is None else 'updated'} label {key} on {subject}"
