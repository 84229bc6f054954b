"""Stored JSON and manifests ⇄ resources.

Three doors: :func:`decode` reads what some writer stored and is tolerant (fields that we do not know
are kept), :func:`encode` writes the bytes that Go Calico would write, :func:`from_manifest` reads
what a person wrote and is strict (every mistake is reported, with its path). Decoding changes no
meaning: ``encode(decode(x))`` holds all that ``x`` held.

Source: ``calico-control-plane.md`` 1.4 (serializer, field order, what is omitted).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec

from libcalico.errors import ValidationError
from libcalico.resources import strict
from libcalico.resources.model import API_VERSION, Model, Resource
from libcalico.resources.registry import KINDS, class_of
from libcalico.resources.shape import ALWAYS, FieldShape, fields_of, models_by_name

#: Bytes that Go's serializer escapes inside strings; outside of strings they do not occur.
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
_INT64 = range(-(2**63), 2**63)


def decode(
    data: bytes | Mapping[str, Any], *, kind: str | None = None, keep_unknown: bool = True
) -> Resource:
    """Read a stored resource.

    Args:
        data: the JSON text, or the object it holds (which is not changed).
        kind: the kind as the key tells it; it wins over a ``kind`` inside. None: the value tells.
        keep_unknown: whether the resource will be written back. Readers that never write pass False
            and are faster where there are unknown fields.

    Raises:
        ValidationError: no resource of that kind can be made of it; the text names the place.
    """
    try:
        if kind and isinstance(data, bytes):
            resource = _decode_fast(data, kind)
            if resource is not None:
                return resource
        return _decode_whole(_json_object(data), kind, keep_unknown=keep_unknown)
    except RecursionError:
        raise ValidationError("the object is nested too deeply") from None


def encode(resource: Resource) -> bytes:
    """Return the JSON that Go Calico stores for the resource, ``resourceVersion`` blanked.

    Raises:
        ValidationError: a text holds a lone surrogate, or values are nested too deeply.
    """
    document = _plain(resource, omit_empty_structs=False)
    for volatile in ("resourceVersion", "selfLink"):
        document["metadata"].pop(volatile, None)
    return encode_json(document)


def encode_json(value: Any) -> bytes:
    """Return JSON as Go's serializer prints it: compact, HTML characters escaped, plain numbers."""
    try:
        text = msgspec.json.encode(_go_numbers(value))
    except (UnicodeEncodeError, RecursionError, TypeError) as problem:
        raise ValidationError(f"cannot be stored as JSON: {problem}") from problem
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text


def to_mapping(resource: Resource) -> dict[str, Any]:
    """Return the manifest form (for output to people): as stored, without empty nested structs.

    ``metadata.resourceVersion`` is kept. The values are fresh; floats that are whole are ints.
    """
    document = _plain(resource, omit_empty_structs=True)
    return cast(dict[str, Any], _go_numbers(document, raw=False))


def to_known_mapping(resource: Resource) -> dict[str, Any]:
    """Return the stored form without the fields that this version does not know."""
    return _plain(resource, omit_empty_structs=False, keep_unknown=False)


def is_well_formed(resource: Resource) -> bool:
    """Tell whether all values have the types that the models say.

    True is certain. False is not: :func:`.strict.clean` of :func:`to_known_mapping` knows, and says why.
    """
    decoder = _decoder(type(resource))
    try:
        text = msgspec.json.encode(resource)
        same = decoder.decode(text)
        return same == resource and msgspec.json.encode(same) == text
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return False


def from_manifest(document: Any) -> Resource:
    """Read a resource that a person wrote: unknown fields and wrong values are errors.

    Args:
        document: the parsed YAML or JSON document; not changed.

    Raises:
        ValidationError: ``problems`` holds every mistake, each with its path in document terms
            (``spec.ingress[0].sorce: unknown field; did you mean 'source'?``).
    """
    if not isinstance(document, Mapping):
        raise ValidationError(
            f"expected an object with kind and apiVersion, got {strict.show(document)}"
        )
    cls = _class_of_manifest(document)
    problems: list[str] = []
    cleaned = strict.clean(document, cls, problems)
    if problems:
        raise ValidationError(*problems)
    return _convert(cleaned, cls)


def _class_of_manifest(document: Mapping[str, Any]) -> type[Resource]:
    kind, version = document.get("kind"), document.get("apiVersion")
    if not kind:
        raise ValidationError(f"kind: missing; known kinds are {', '.join(KINDS)}")
    if not isinstance(kind, str) or kind not in KINDS or version != API_VERSION:
        raise ValidationError(
            f"unknown resource type ({kind}) and/or version ({version or ''}); "
            f"apiVersion must be {API_VERSION}, known kinds are {', '.join(KINDS)}"
        )
    return KINDS[kind]


#: Kind → decoder, made when it is first needed. By one thread at a time: msgspec learns a class's fields
#: then, and a second thread that comes meanwhile crashes the process.
_DECODERS: dict[str, msgspec.json.Decoder[Resource]] = {}
_LEARNING = threading.Lock()


def _decoder(cls: type[Resource]) -> msgspec.json.Decoder[Resource]:
    """Return the class's decoder; from then on msgspec knows its fields."""
    kind = cls.INFO.kind
    if kind not in _DECODERS:
        with _LEARNING:
            _DECODERS.setdefault(kind, msgspec.json.Decoder(cls))
    return _DECODERS[kind]


def _decode_fast(data: bytes, kind: str) -> Resource | None:
    """Decode a value that holds nothing but what we know; None if it needs the tolerant way."""
    if kind not in KINDS:
        return None
    try:
        resource = _decoder(KINDS[kind]).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return resource if resource.api_version == API_VERSION else None


def _json_object(data: bytes | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ValidationError(f"not JSON: {problem}") from problem
    if not isinstance(value, dict):
        raise ValidationError(f"expected a JSON object, got {strict.show(value)}")
    return value


def _decode_whole(raw: dict[str, Any], kind: str | None, *, keep_unknown: bool) -> Resource:
    if kind is None:
        kind = raw.get("kind")
        if not isinstance(kind, str):
            raise ValidationError(f"kind: expected a kind's name, got {strict.show(kind)}")
    cls = class_of(kind)
    raw["kind"], raw["apiVersion"] = kind, API_VERSION
    resource = _convert(strict.known_part(raw, cls), cls)
    if keep_unknown:
        _keep_unknown(resource, raw)
    return resource


def _convert(raw: Any, cls: type[Resource]) -> Resource:
    _decoder(cls)
    try:
        return msgspec.convert(raw, cls)
    except (msgspec.ValidationError, OverflowError) as problem:
        raise ValidationError(strict.explain(problem)) from problem


def _keep_unknown(model: Model, raw: Any) -> None:
    """Give every struct the fields of ``raw`` that it does not know, down into lists."""
    if not isinstance(raw, Mapping):
        return
    known = models_by_name(type(model))
    unknown = {}
    for name, value in raw.items():
        field = known.get(name)
        if field is None:
            unknown[name] = value
        elif field.model is not None:
            _keep_unknown_in(getattr(model, field.attribute), value)
    if isinstance(model, Resource):
        unknown.pop("kind", None)
    model.keep_unknown(unknown)


def _keep_unknown_in(value: Any, raw: Any) -> None:
    if isinstance(value, Model):
        _keep_unknown(value, raw)
    elif isinstance(value, list) and isinstance(raw, list):
        for member, raw_member in zip(value, raw, strict=True):
            _keep_unknown(member, raw_member)


def _plain(model: Model, *, omit_empty_structs: bool, keep_unknown: bool = True) -> dict[str, Any]:
    """Return outside name → value in Go's order, unknown fields last."""
    document: dict[str, Any] = {"kind": model.kind} if isinstance(model, Resource) else {}
    for field in fields_of(type(model)):
        value = getattr(model, field.attribute)
        if field.unset is not ALWAYS and value == field.unset and type(value) is type(field.unset):
            continue
        if field.model is not None and value is not None:
            value = _plain_nested(value, omit_empty_structs, keep_unknown)
        elif field.is_map and isinstance(value, Mapping):
            value = dict(sorted(value.items()))
        if omit_empty_structs and value == {} and _is_left_out_empty(field):
            continue
        document[field.name] = value
    if keep_unknown:
        for name, value in model.unknown_fields.items():
            document.setdefault(name, value)
    return document


def _is_left_out_empty(field: FieldShape) -> bool:
    """Tell whether an empty struct says nothing; one that might have been absent says that it is there."""
    return field.unset is ALWAYS and field.name not in ("metadata", "spec")


def _plain_nested(value: Any, omit_empty_structs: bool, keep_unknown: bool) -> Any:
    members = value if isinstance(value, list) else [value]
    plain = [
        _plain(member, omit_empty_structs=omit_empty_structs, keep_unknown=keep_unknown)
        for member in members
    ]
    return plain if isinstance(value, list) else plain[0]


def _go_numbers(value: Any, *, raw: bool = True) -> Any:
    """Return a copy in which numbers print as Go prints them."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: _go_numbers(member, raw=raw) for key, member in value.items()}
    if isinstance(value, list):
        return [_go_numbers(member, raw=raw) for member in value]
    if isinstance(value, float):
        return _go_float(value, raw=raw)
    if isinstance(value, int) and raw and value not in _INT64:
        return msgspec.Raw(str(value).encode())
    return value


def _go_float(value: float, *, raw: bool) -> Any:
    """Return the number as Go's ``strconv`` chooses its form: plain from 1e-6 up to 1e21."""
    text = repr(value)
    if value.is_integer() and abs(value) < 1e21:
        return _go_numbers(int(Decimal(text)), raw=raw)
    if not raw or "e" not in text:
        return value
    if 1e-6 <= abs(value) < 1e21:
        return msgspec.Raw(format(Decimal(text), "f").encode())
    return msgspec.Raw(text.replace("e-0", "e-").encode())
