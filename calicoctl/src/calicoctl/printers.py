"""Resources → text: tables, YAML, JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from calicoctl import gotext
from calicoctl.columns import COLUMNS, Context
from libcalico.resources import codec
from libcalico.resources.model import API_VERSION, Resource
from libcalico.resources.registry import KINDS

_UNEXPORTED = ("namespace", "uid", "resourceVersion", "creationTimestamp", "generation")


class _Dumper(yaml.SafeDumper):
    """Writes lists inside mappings indented as kubectl does, and never aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


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
    rows = columns.rows(_ordered(kind, resources), headings, context)
    return gotext.table(headings, rows) + "\n"


def _ordered(kind: str, resources: Sequence[Resource]) -> list[Resource]:
    if kind != "Tier":
        return list(resources)

    def position(tier: Any) -> tuple[float, str]:
        order = tier.spec.order
        return (float("inf") if order is None else order, tier.name)

    return sorted(resources, key=position)


def listing(kind: str, resources: Sequence[Resource]) -> dict[str, Any]:
    """Return the List object that a listing of a kind prints in YAML and JSON."""
    return {
        "apiVersion": API_VERSION,
        "items": [codec.to_mapping(resource) for resource in resources],
        "kind": f"{kind}List",
        "metadata": {},
    }


def exported(resource: Resource) -> dict[str, Any]:
    """Return the manifest form without what belongs to this cluster."""
    document = codec.to_mapping(resource)
    metadata = document["metadata"]
    kept = {k: v for k, v in metadata.items() if k not in _UNEXPORTED}
    if KINDS[resource.kind].INFO.namespaced:
        kept.pop("namespace", None)
    return {**document, "metadata": kept}


def as_yaml(document: Any) -> str:
    """Return YAML with sorted keys."""
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True
    )


def as_json(document: Any) -> str:
    """Return JSON indented by two, without a line end, as Go's calicoctl prints it."""
    return json.dumps(document, indent=2, sort_keys=False, ensure_ascii=False)
