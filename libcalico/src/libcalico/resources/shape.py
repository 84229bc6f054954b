"""How each model class is laid out outside: names, order, what is left out when it is unset.

Derived once from the struct definitions, so that codec and manifest checks need no second list.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from libcalico.resources.durations import GO_DURATION, canonical_duration
from libcalico.resources.model import Model, Resource

#: Marks a field that is written whatever its value.
ALWAYS: Final = object()
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One field of a model.

    Attributes:
        attribute: inside name (snake_case).
        name: outside name (camelCase).
        unset: the value that is not written, or ALWAYS.
        model: class of the value, or of the members of the list, if it is a model.
        is_map: the value maps text to text; Go writes such maps sorted.
        is_duration: the value is a Go duration.
    """

    attribute: str
    name: str
    unset: Any
    model: type[Model] | None
    is_map: bool
    is_duration: bool


@cache
def fields_of(model: type[Model]) -> tuple[FieldShape, ...]:
    """Return the fields in the order in which Go writes them."""
    writes_all = not model.__struct_config__.omit_defaults
    fields = msgspec.structs.fields(model)
    ordered = sorted(fields, key=lambda field: field.name not in model.WRITTEN_FIRST)
    return tuple(
        FieldShape(
            field.name,
            field.encode_name,
            ALWAYS if writes_all else _unset_value(model, field),
            _model_in(field.type),
            field.type in (dict[str, str], dict[str, str] | None),
            _is_duration(field.type),
        )
        for field in ordered
    )


@cache
def models_by_name(model: type[Model]) -> dict[str, FieldShape]:
    """Return outside name → field."""
    return {field.name: field for field in fields_of(model)}


@cache
def _holds_durations(model: type[Model]) -> bool:
    return any(
        field.is_duration or (field.model is not None and _holds_durations(field.model))
        for field in fields_of(model)
    )


def with_canonical_durations(model: M) -> M:
    """Return the model with all its durations, also nested ones, as Go writes them."""
    if not _holds_durations(type(model)):
        return model
    changes: dict[str, Any] = {}
    for field in fields_of(type(model)):
        value = getattr(model, field.attribute)
        if field.is_duration and isinstance(value, str) and value:
            changes[field.attribute] = canonical_duration(value)
        elif isinstance(value, Model):
            changes[field.attribute] = with_canonical_durations(value)
        elif field.model is not None and isinstance(value, list):
            changes[field.attribute] = [
                with_canonical_durations(member) if isinstance(member, Model) else member
                for member in value
            ]
    return model.with_(**changes)


def with_unknown_of(new: M, old: Model) -> M:
    """Return ``new`` with the fields of ``old`` that this version does not know, down into structs.

    What a person writes cannot name such fields, so replacing an object must not lose them. A member
    of a list that was changed is a new one: an unknown field of the old one could give it another
    meaning than its writer sees (a condition of a rule, say).
    """
    changes: dict[str, Any] = {}
    for field in fields_of(type(new)):
        value, before = getattr(new, field.attribute), getattr(old, field.attribute, None)
        if isinstance(value, Model) and isinstance(before, Model):
            changes[field.attribute] = with_unknown_of(value, before)
        elif field.model is not None and isinstance(value, list) and isinstance(before, list):
            changes[field.attribute] = _members_with_unknown(value, before)
    changed = new.with_(**changes)
    changed.keep_unknown({**old.unknown_fields, **new.unknown_fields})
    return changed


def _members_with_unknown(members: list[M], before: list[M]) -> list[M]:
    """Return the members, each with the unknown fields of one that was the same as far as we know."""
    left = list(before)
    result = []
    for member in members:
        same = next((old for old in left if old == member), None)
        if same is None:
            result.append(member)
        else:
            left = [old for old in left if old is not same]
            result.append(with_unknown_of(member, same))
    return result


def _unset_value(model: type[Model], field: msgspec.structs.FieldInfo) -> Any:
    """Return what is left out: the default, except that Go never omits a nested struct.

    The top level of a resource is always complete, but for a status that may be absent (None).
    """
    if issubclass(model, Resource) and field.default is not None:
        return ALWAYS
    if field.default_factory in (list, dict):
        return field.default_factory()
    return ALWAYS if field.default is msgspec.NODEFAULT else field.default


def _is_duration(hint: Any) -> bool:
    """Tell whether a type is ``GoDuration`` or ``GoDuration | None``."""
    if get_origin(hint) is Annotated:
        return GO_DURATION in get_args(hint)
    return get_origin(hint) in (Union, types.UnionType) and any(map(_is_duration, get_args(hint)))


def _model_in(hint: Any) -> type[Model] | None:
    """Return the model class in ``M``, ``M | None``, ``list[M]`` or ``list[M] | None``."""
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint
    if get_origin(hint) in (list, Union, types.UnionType):
        return next(filter(None, map(_model_in, get_args(hint))), None)
    return None
