"""get: fetch resources and print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from calicoctl import namespaces, printers
from calicoctl.columns import Context
from libcalico.client import Client
from libcalico.errors import NotFoundError, ValidationError
from libcalico.resources import codec
from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.registry import KINDS

Format = Literal["ps", "wide", "yaml", "json"]
_DEFAULT_AS = 64512


@dataclass(frozen=True, slots=True)
class Found:
    """What a get came up with.

    Attributes:
        listed: the kind whose listing this is, or empty when objects were asked for by name.
        missing: texts for what does not exist.
    """

    resources: Sequence[Resource]
    missing: Sequence[str] = ()
    listed: str = ""


def by_kind(
    client: Client, kind: str, names: Sequence[str], namespace: str | None, *, everywhere: bool
) -> Found:
    """Return the named objects of a kind, or all of them."""
    if names and everywhere:
        raise ValidationError("cannot use --all-namespace flag for getting a single resource")
    where = namespaces.of_listing(kind, namespace, everywhere=everywhere)
    if not names:
        return Found(client.resource(kind).list(where), listed=kind)
    return by_id(client, [ResourceId(kind, where, name) for name in names])


def by_id(client: Client, ids: Sequence[ResourceId]) -> Found:
    """Return the objects that exist, and a text for each that does not."""
    found: list[Resource] = []
    missing: list[str] = []
    for wanted in ids:
        try:
            found.append(client.resource(wanted.kind).get(wanted.name, wanted.namespace))
        except NotFoundError as error:
            missing.append(str(error))
    return Found(found, missing)


def by_manifest(client: Client, resources: Sequence[Resource]) -> Found:
    """Return the stored objects that manifests name."""
    return by_id(client, [id_of(resource) for resource in resources])


def render(
    client: Client, found: Found, form: Format, *, show_namespace: bool, export: bool
) -> str:
    """Return the output of get."""
    if form in ("yaml", "json"):
        document = _document(found, export=export)
        return printers.as_yaml(document) if form == "yaml" else printers.as_json(document)
    context = _context(client, found.resources)
    if found.listed:
        groups = [(found.listed, list(found.resources))]
    else:
        groups = [(k, list(g)) for k, g in groupby(found.resources, key=lambda r: r.kind)]
    return "".join(
        printers.table(
            kind, members, wide=form == "wide", namespaced=show_namespace, context=context
        )
        for kind, members in groups
    )


def _document(found: Found, *, export: bool) -> object:
    if found.listed:
        return printers.listing(found.listed, found.resources)
    show = printers.exported if export else codec.to_mapping
    documents = [show(resource) for resource in found.resources]
    if not documents:
        return None
    return documents[0] if len(documents) == 1 else documents


def _context(client: Client, resources: Sequence[Resource]) -> Context:
    """Read the AS number that nodes inherit, only when nodes are shown."""
    if not any(resource.kind == "Node" for resource in resources):
        return Context()
    try:
        configuration = client.resource("BGPConfiguration").get("default")
    except NotFoundError:
        return Context()
    if isinstance(configuration, BGPConfiguration) and configuration.spec.as_number is not None:
        return Context(configuration.spec.as_number)
    return Context(_DEFAULT_AS)


def kinds() -> str:
    """Return the kinds and the words for them, for help texts."""
    lines = []
    for kind, cls in KINDS.items():
        others = ", ".join((cls.INFO.plural, *cls.INFO.aliases))
        lines.append(f"  {kind.lower():24}{others}")
    return "\n".join(lines)
