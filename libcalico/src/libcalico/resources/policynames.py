"""How the names of policies are stored: the annotation that holds them, and names of older releases.

Since 3.32 a policy is stored under exactly the name its author gave, and carries that name in the
annotation ``projectcalico.org/metadata``. Earlier releases stored ``default.foo`` for the policy
``foo`` of tier ``default``. Source: ``calico-control-plane.md`` 1.6.
"""

from __future__ import annotations

import msgspec

from libcalico.resources.codec import encode_json
from libcalico.resources.defaults import with_labels
from libcalico.resources.names import DEFAULT_TIER, TIER_LABEL
from libcalico.resources.staged import TieredPolicy

NAME_ANNOTATION = "projectcalico.org/metadata"
_OLD_PREFIX = f"{DEFAULT_TIER}."


def as_stored(policy: TieredPolicy) -> TieredPolicy:
    """Return the policy with its name in the annotation."""
    metadata = policy.metadata
    name = encode_json({"name": metadata.name}).decode()
    annotations = {**metadata.annotations, NAME_ANNOTATION: name}
    return policy.with_(metadata=metadata.with_(annotations=annotations))


def as_shown(policy: TieredPolicy) -> TieredPolicy:
    """Return a stored policy as its author knows it: named as given, without the annotation.

    The label of its tier is added if an old release did not store it.
    """
    metadata, tier = policy.metadata, policy.spec.tier or DEFAULT_TIER
    annotations = dict(metadata.annotations)
    name = _annotated_name(annotations.pop(NAME_ANNOTATION, ""))
    if not name:
        is_old = tier == DEFAULT_TIER and metadata.name.startswith(_OLD_PREFIX)
        name = metadata.name.removeprefix(_OLD_PREFIX) if is_old else metadata.name
    shown = policy.with_(metadata=metadata.with_(name=name, annotations=annotations))
    return shown if TIER_LABEL in metadata.labels else with_labels(shown, {TIER_LABEL: tier})


def _annotated_name(text: str) -> str:
    """Return the name inside the annotation, "" if there is none that can be read."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return ""
    name = value.get("name") if isinstance(value, dict) else ""
    return name if isinstance(name, str) else ""
