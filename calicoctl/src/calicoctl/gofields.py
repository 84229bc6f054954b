"""Resources as templates see them: with the names that Go gives to fields (``.Spec.CIDR``).

Go's name of a field is its name in manifests in other letter cases, with a few exceptions that
Kubernetes' conventions make: ``ObjectMeta`` is ``metadata``, and its fields count as fields of the
object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from libcalico.resources.model import API_VERSION, Model, Resource


def as_list(kind: str, resources: Sequence[Resource], revision: str) -> dict[str, Any]:
    """Return what a listing of a kind is to a template: an object with ``Items``."""
    return {
        "Items": list(resources),
        "Kind": f"{kind}List",
        "APIVersion": API_VERSION,
        "ListMeta": {"ResourceVersion": revision},
        "ResourceVersion": revision,
    }


def field(value: Any, name: str) -> Any:
    """Return a field of a resource or of a part of it.

    Raises:
        KeyError: it has no such field; the argument is a sentence.
    """
    if not isinstance(value, Model):
        kind = "a list" if isinstance(value, list | tuple) else type(value).__name__
        hint = "; use range or index" if kind == "a list" else ""
        raise KeyError(f"can't evaluate field {name} in {kind}{hint}")
    if isinstance(value, Resource) and name in _OF_RESOURCE:
        return _OF_RESOURCE[name](value)
    known = _attributes(type(value))
    if name.lower() in known:
        return getattr(value, known[name.lower()])
    if isinstance(value, Resource) and name.lower() in _attributes(type(value.metadata)):
        return field(value.metadata, name)
    raise KeyError(
        f"can't evaluate field {name} in type {type(value).__name__}{_hint(value, name)}"
    )


def _hint(value: Model, name: str) -> str:
    import difflib  # noqa: PLC0415 - only errors pay for it

    names = {field.encode_name for field in msgspec.structs.fields(type(value))}
    folded = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[close[0]]}?" if close else ""


@lru_cache(maxsize=256)
def _attributes(model: type[Model]) -> Mapping[str, str]:
    """Return the field's name in manifests, in lower case → our attribute."""
    return {field.encode_name.lower(): field.name for field in msgspec.structs.fields(model)}


_OF_RESOURCE: Mapping[str, Callable[[Resource], Any]] = {
    "ObjectMeta": lambda resource: resource.metadata,
    "TypeMeta": lambda resource: {"Kind": resource.kind, "APIVersion": resource.api_version},
    "Kind": lambda resource: resource.kind,
    "APIVersion": lambda resource: resource.api_version,
}
