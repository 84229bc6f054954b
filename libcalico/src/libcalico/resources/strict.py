"""Checks of untyped documents against the models: every mistake, with its path and what is allowed.

Knows shapes (names, types, enumerations), not rules; rules are in :mod:`.validate`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec import inspect

from libcalico.resources.model import Model, ObjectMeta
from libcalico.resources.shape import models_by_name

#: Metadata that Kubernetes tools write into manifests; accepted and left out.
_FOREIGN_METADATA = frozenset(
    {"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"}
)
_MISSING = object()
_SHOWN_CHARACTERS = 60


def show(value: Any) -> str:
    """Return a short text of a value for messages."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "an object"
        case list():
            return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def clean(document: Mapping[str, Any], model: type[Model], problems: list[str]) -> dict[str, Any]:
    """Return a copy fit for conversion to ``model``, without nulls; append every problem found."""
    cleaned: dict[str, Any] = _clean_struct(document, _struct_of(model), "", problems)
    return cleaned


def known_part(raw: Any, model: type[Model]) -> Any:
    """Return ``raw`` as Go reads it, less what we do not know.

    Null where a value cannot be null means "not there".
    """
    if not isinstance(raw, dict):
        return raw
    fields = models_by_name(model)
    tag = model.__struct_config__.tag_field
    return {
        name: _known_part_of_member(value, fields[name].model if name in fields else None)
        for name, value in raw.items()
        if value is not None and (name in fields or name == tag)
    }


def _known_part_of_member(value: Any, model: type[Model] | None) -> Any:
    if model is None:
        return value
    if isinstance(value, list):
        return [{} if item is None else known_part(item, model) for item in value]
    return known_part(value, model)


def explain(problem: Exception) -> str:
    """Turn msgspec's text (``... - at `$.spec.cidr```) into ``spec.cidr: ...``."""
    text, _, place = str(problem).partition(" - at `")
    text = text.replace("`", "")
    path = place.removesuffix("`").removeprefix("$").removeprefix(".")
    text = text[:1].lower() + text[1:]
    return f"{path}: {text}" if path else text


@cache
def _struct_of(model: type[Model]) -> inspect.StructType:
    described = inspect.type_info(model)
    if not isinstance(described, inspect.StructType):
        raise TypeError(f"{model} is no model")
    return described


def _clean_struct(value: Any, kind: inspect.StructType, path: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{path}: expected an object, got {show(value)}")
        return {}
    fields = {field.encode_name: field for field in kind.fields}
    cleaned: dict[str, Any] = {}
    for name, member in value.items():
        if name in fields:
            if member is not None:
                cleaned[name] = _clean(member, fields[name].type, _join(path, name), problems)
        elif name == kind.tag_field:
            cleaned[name] = member
        elif not (kind.cls is ObjectMeta and name in _FOREIGN_METADATA):
            problems.append(_unknown_field(name, list(fields), path))
    problems.extend(
        f"{_join(path, name)}: missing; {_expected(field.type)} is required"
        for name, field in fields.items()
        if field.required and name not in cleaned
    )
    return cleaned


def _unknown_field(name: object, known: list[str], path: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only errors pay for it

    close = get_close_matches(str(name), known, n=1, cutoff=0.6)
    folded = [field for field in known if field.lower() == str(name).lower()]
    hint = f"; did you mean {(folded or close)[0]!r}?" if folded or close else ""
    if not hint:
        hint = f"; known fields are {', '.join(known)}" if len(known) <= 20 else ""
    return f"{_join(path, name)}: unknown field{hint}"


def _clean(value: Any, kind: inspect.Type, path: str, problems: list[str]) -> Any:
    match kind:
        case inspect.UnionType():
            return _clean_union(value, kind, path, problems)
        case inspect.StructType():
            return _clean_struct(value, kind, path, problems)
        case inspect.ListType():
            return _clean_list(value, kind, path, problems)
        case inspect.DictType():
            return _clean_dict(value, kind, path, problems)
        case inspect.LiteralType():
            if value not in kind.values or isinstance(value, bool):
                problems.append(_not_allowed(value, kind, path))
            return value
    return _clean_scalar(value, kind, path, problems)


def _clean_union(value: Any, kind: inspect.UnionType, path: str, problems: list[str]) -> Any:
    choices = [choice for choice in kind.types if not isinstance(choice, inspect.NoneType)]
    if len(choices) == 1:
        return _clean(value, choices[0], path, problems)
    if not any(_is_scalar(value, choice) for choice in choices):
        problems.append(f"{path}: expected {_expected(kind)}, got {show(value)}")
    return value


def _clean_list(value: Any, kind: inspect.ListType, path: str, problems: list[str]) -> Any:
    if not isinstance(value, list):
        problems.append(
            f"{path}: expected a list, got {show(value)}; write one member per line after '-'"
        )
        return []
    return [
        _clean({} if item is None else item, kind.item_type, f"{path}[{index}]", problems)
        for index, item in enumerate(value)
    ]


def _clean_dict(value: Any, kind: inspect.DictType, path: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{path}: expected an object, got {show(value)}")
        return {}
    cleaned = {}
    for key, member in value.items():
        if not isinstance(key, str):
            problems.append(f"{path}: the key {show(key)} must be text; quote it")
            continue
        place = _join(path, key)
        cleaned[key] = _clean("" if member is None else member, kind.value_type, place, problems)
    return cleaned


def _clean_scalar(value: Any, kind: inspect.Type, path: str, problems: list[str]) -> Any:
    if isinstance(kind, inspect.StrType) and isinstance(value, dt.datetime):
        moment = value if value.tzinfo is None else value.astimezone(dt.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, str) and not _is_encodable(value):
        problems.append(
            f"{path}: {show(value)} holds half a surrogate pair, which no UTF-8 text has"
        )
    if not _is_scalar(value, kind):
        quote = f'; quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
        wants_quotes = isinstance(kind, inspect.StrType) and isinstance(value, bool | int | float)
        problems.append(
            f"{path}: expected {_expected(kind)}, got {show(value)}{quote if wants_quotes else ''}"
        )
    return value


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_scalar(value: Any, kind: inspect.Type) -> bool:
    match kind:
        case inspect.AnyType():
            return True
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            if not isinstance(value, int | float) or isinstance(value, bool):
                return False
            return abs(value) <= 1.7e308  # neither infinite nor "not a number"
    return False


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.UnionType():
            names = [_expected(t) for t in kind.types if not isinstance(t, inspect.NoneType)]
            return " or ".join(names)
        case inspect.LiteralType():
            return _one_of(kind)
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
    return "a value"


def _one_of(kind: inspect.LiteralType) -> str:
    return "one of " + ", ".join(str(choice) for choice in kind.values)


def _not_allowed(value: Any, kind: inspect.LiteralType, path: str) -> str:
    folded = [c for c in kind.values if str(c).lower() == str(value).lower()]
    hint = f"write {show(folded[0])}" if folded else f"use {_one_of(kind)}"
    return f"{path}: {show(value)} is not allowed; {hint}"


def _join(path: str, name: object) -> str:
    """Return the path of a member; names that are no plain word are bracketed."""
    text = str(name) if isinstance(name, str) else repr(name)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        return f"{path}[{text!r}]" if isinstance(name, str) else f"{path}[{text}]"
    return f"{path}.{text}" if path else text
