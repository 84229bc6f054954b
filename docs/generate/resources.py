"""Reference of the resources, from their structs, their defaults and their validation."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from generate.markdown import code, prose, table
from libcalico.errors import ValidationError
from libcalico.resources.codec import to_mapping
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import API_VERSION, Model, ObjectMeta, Resource
from libcalico.resources.registry import KINDS
from libcalico.resources.validate import validate

_WORDS = {int: "integer", str: "text", bool: "true or false", float: "number", type(None): "null"}
#: Defaults that depend on other fields.
_DEPENDS = {
    "types": "`Ingress`; `Egress` if there are only egress rules; both if there are both",
    "blockSize": "`26` for IPv4, `122` for IPv6",
    "order": "`1000000`",
}
#: What a resource needs so that its defaults can be filled in.
_SAMPLE_SPEC = {"IPPool": {"cidr": "192.0.2.0/24"}}


def pages(examples: Path) -> Iterator[tuple[str, str]]:
    """Yield path and text of each page; ``examples`` is a folder of manifests."""
    manifests = _manifests(examples)
    rows = []
    for kind, struct in KINDS.items():
        info = struct.INFO
        scope = "namespaced" if info.namespaced else "cluster"
        words = ", ".join(code(word) for word in (kind.lower(), info.plural, *info.aliases))
        rows.append((f"[{kind}]({kind.lower()}.md)", prose(struct), scope, words))
        yield f"{kind.lower()}.md", _page(struct, manifests.get(kind, ""))
    yield "index.md", _index(rows)


def _index(rows: list[tuple[str, str, str, str]]) -> str:
    head = ("kind", "what it is", "scope", "words for `calicoctl`")
    return f"""# Resources

Everything that an operator tells Calico is a resource. All have `apiVersion: {API_VERSION}`, a `kind`,
`metadata` and a `spec`. A field that is not listed here is an error in a manifest, and the error names it;
`calicoctl validate -f FILE` checks without a datastore. Fields that a stored object carries and that this
version does not know survive every change.

{table(head, rows)}

## Metadata

{_fields(ObjectMeta)}
"""


def _page(struct: type[Resource], example: str) -> str:
    parts = [f"# {struct.INFO.kind}", prose(struct)]
    if example:
        parts.append(f"```yaml\n{example}```")
    parts.append(_needed(struct))
    filled = _filled(struct)
    for model in _models(struct):
        parts += [f"## {model.__name__}", prose(model), _fields(model, filled.get(model, {}))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _models(struct: type[Resource]) -> list[type[Model]]:
    """The structs of a kind, from its spec downwards, each once."""
    found: list[type[Model]] = []
    waiting = [
        field.type for field in msgspec.structs.fields(struct) if field.name in {"spec", "status"}
    ]
    while waiting:
        for model in _structs_in(waiting.pop(0)):
            if model not in found:
                found.append(model)
                waiting += [field.type for field in msgspec.structs.fields(model)]
    return found


def _structs_in(kind: Any) -> Iterator[type[Model]]:
    if isinstance(kind, type) and issubclass(kind, Model):
        yield kind
    for argument in typing.get_args(kind):
        yield from _structs_in(argument)


def _fields(model: type[Model], filled: dict[str, Any] | None = None) -> str:
    rows = []
    for field in msgspec.structs.fields(model):
        default = _default(field)
        if filled and field.encode_name in filled:
            default = _DEPENDS.get(field.encode_name, filled[field.encode_name])
        rows.append((code(field.encode_name), _type(field.type), default))
    return table(("field", "type", "default"), rows)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default in (msgspec.NODEFAULT, None, "", 0, [], {}):
        return ""
    return code(_plain(field.default))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Model):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if origin is Literal:
        return ", ".join(code(_plain(value)) for value in arguments)
    if origin is list or origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map: {_type(arguments[0])} → {_type(arguments[1])}"
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(_type(part) for part in arguments if part is not type(None))
    return _WORDS.get(kind, "anything")


def _filled(struct: type[Resource]) -> dict[type[Model], dict[str, str]]:
    """The defaults that depend on nothing but the kind: what an almost empty object becomes."""
    spec = _SAMPLE_SPEC.get(struct.INFO.kind, {})
    plain = msgspec.convert(
        {"metadata": {"name": "x"}, "spec": spec, "kind": struct.INFO.kind}, struct
    )
    after = to_mapping(with_defaults(plain)).get("spec", {})
    values = {
        k: code(_plain(v)) for k, v in after.items() if k not in spec and not isinstance(v, dict)
    }
    return {_models(struct)[0]: values}


def _needed(struct: type[Resource]) -> str:
    """What validation says of an object that has a name and nothing else."""
    try:
        bare = msgspec.convert({"metadata": {"name": "x"}, "kind": struct.INFO.kind}, struct)
        validate(with_defaults(bare))
    except ValidationError as error:
        lines = "\n".join(error.problems)
        return f"An object with a name and no more is refused:\n\n```text\n{lines}\n```"
    except msgspec.ValidationError as error:
        return f"An object with a name and no more is refused:\n\n```text\n{error}\n```"
    return ""


def _manifests(folder: Path) -> dict[str, str]:
    """The first manifest of each kind in a folder, as written, without comments above it."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        for text in path.read_text(encoding="utf-8").split("---\n"):
            lines = [line for line in text.splitlines(keepends=True) if not line.startswith("#")]
            document = yaml.safe_load(text)
            if document:
                found.setdefault(document["kind"], "".join(lines))
    return found
