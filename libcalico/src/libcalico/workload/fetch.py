"""Reads several resources in one round trip; a container start waits for each of those."""

from __future__ import annotations

from libcalico.datastore import keys
from libcalico.datastore.backend import Backend
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.model import Resource, ResourceId


def fetch(backend: Backend, *wanted: ResourceId) -> dict[ResourceId, Resource]:
    """Return those of the resources that exist and can be read."""
    ids = {keys.path_of(which): which for which in wanted}
    found = {}
    for item in backend.read(*ids).items:
        which = ids.get(item.key)  # a name that begins like one of ours is read too
        if which is not None:
            try:
                found[which] = codec.decode(item.value, kind=which.kind, keep_unknown=False)
            except ValidationError:
                continue
    return found
