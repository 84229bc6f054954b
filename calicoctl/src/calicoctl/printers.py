"""Resources → text: tables, YAML, JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from calicoctl import gotext
from calicoctl.columns import COLUMNS, Context
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.model import API_VERSION, Resource

#: Metadata that an object has in this cluster only.
OF_CLUSTER = ("uid", "resourceVersion", "creationTimestamp", "generation")


def table(
    kind: str, resources: Sequence[Resource], *, wide: bool, namespaced: bool, context: Context
) -> str:
    """Return the table of one kind, with a blank line after it.

    Args:
        namespaced: whether a NAMESPACE column comes first (for kinds that have one).
    """
    columns = COLUMNS[kind]
    headings = columns.wide if wide else columns.ps
    if namespaced and "NAMESPACE" in columns.cells:
        headings = ("NAMESPACE", *headings)
    return chosen(kind, resources, headings, context)


def chosen(
    kind: str, resources: Sequence[Resource], headings: tuple[str, ...], context: Context
) -> str:
    """Return the table of one kind with these columns.

    Raises:
        ValidationError: the kind has no such column.
    """
    columns = COLUMNS[kind]
    for heading in headings:
        if heading not in columns.cells:
            known = ", ".join(columns.cells)
            raise ValidationError(f"unknown heading {heading}, valid values are: {known}")
    rows = columns.rows(list(resources), headings, context)
    return gotext.table(headings, rows) + "\n"


def ordered(kind: str, resources: Sequence[Resource]) -> list[Resource]:
    """Return the resources in the order in which tables list them: tiers as they are evaluated."""
    if kind != "Tier":
        return list(resources)

    def position(tier: Any) -> tuple[float, str]:
        order = tier.spec.order
        return (float("inf") if order is None else order, tier.name)

    return sorted(resources, key=position)


def document(resource: Resource, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the manifest form, ``without`` the named metadata."""
    whole = codec.to_mapping(resource)
    metadata = whole["metadata"]
    return {**whole, "metadata": {k: v for k, v in metadata.items() if k not in without}}


def listing(kind: str, documents: Sequence[dict[str, Any]], revision: str) -> dict[str, Any]:
    """Return the List object that a listing of a kind prints in YAML and JSON."""
    return {
        "kind": f"{kind}List",
        "apiVersion": API_VERSION,
        "metadata": {"resourceVersion": revision} if revision else {},
        "items": list(documents),
    }


def by_template(source: str, results: Sequence[Any], context: Context) -> str:
    """Return what a Go template prints of results: objects, and lists of a kind.

    Raises:
        TemplateError: the template is wrong, or asks for what the results have not.
    """
    from calicoctl import gofields, gotemplate  # noqa: PLC0415 - few outputs are templates
    from calicoctl.gotemplate.functions import join, join_and_truncate  # noqa: PLC0415 - as above

    functions: Mapping[str, Callable[..., Any]] = {
        "join": join,
        "joinAndTruncate": join_and_truncate,
        "config": lambda name: str(context.global_as) if str(name).lower() == "asnumber" else "",
    }
    return gotemplate.render(source, list(results), fields=gofields.field, extra=functions)


def as_yaml(value: Any) -> str:
    """Return YAML with sorted keys."""
    from libcalico import yamlform  # noqa: PLC0415 - loads PyYAML

    return yamlform.dump(value)


def as_json(value: Any) -> str:
    """Return JSON indented by two, without a line end, as Go's calicoctl prints it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
