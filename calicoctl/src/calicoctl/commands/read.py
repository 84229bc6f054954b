"""get: fetch resources and print them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from calicoctl import gofields, namespaces, printers
from calicoctl.columns import Context
from calicoctl.forms import Form
from libcalico.client import Client
from libcalico.errors import NotFoundError, ValidationError
from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.registry import kind_by_name


@dataclass(frozen=True, slots=True)
class Found:
    """What a get came up with.

    Attributes:
        missing: texts for what does not exist.
        listed: the kind whose listing this is, or empty when objects were asked for by name.
        revision: of the listing.
    """

    resources: Sequence[Resource]
    missing: Sequence[str] = ()
    listed: str = ""
    revision: str = ""


#: What a get asks the datastore; made before one is connected to.
Question = Callable[[Client], Found]


def by_kind(
    word: str, names: Sequence[str], namespace: str | None, *, everywhere: bool
) -> Question:
    """Ask for the named objects of a kind, or for all of them.

    Args:
        word: the kind as people call it.
        names: of objects; none means all.
        namespace: to look in; None is the default one.
        everywhere: look in all.

    Raises:
        ValidationError: there is no such kind, or the options contradict each other or the kind.
    """
    kind = kind_by_name(word)
    if names and everywhere:
        raise ValidationError("cannot use --all-namespace flag for getting a single resource")
    where = namespaces.of_listing(kind, namespace, everywhere=everywhere)
    if names:
        return partial(by_id, ids=[ResourceId(kind, where, name) for name in names])
    return partial(_listing, kind=kind, namespace=where)


def by_manifest(resources: Sequence[Resource]) -> Question:
    """Ask for the stored objects that manifests name."""
    return partial(by_id, ids=[id_of(resource) for resource in resources])


def _listing(client: Client, kind: str, namespace: str) -> Found:
    revision, resources = client.resource(kind).list_at(namespace)
    return Found(resources, listed=kind, revision=str(revision))


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


def render(client: Client, found: Found, form: Form, *, show_namespace: bool, export: bool) -> str:
    """Return the output of get.

    Raises:
        ValidationError: the columns or the template that the form names do not fit.
    """
    if form.name == "json":
        return printers.as_json(_document(found, export=export))
    if form.name == "yaml":
        return printers.as_yaml(_document(found, export=export))
    context = _context(client, found.resources)
    if form.name.startswith("go-template"):
        return printers.by_template(_template(form), _results(found), context)
    return "".join(
        printers.chosen(kind, members, form.columns, context)
        if form.name == "custom-columns"
        else printers.table(
            kind, members, wide=form.name == "wide", namespaced=show_namespace, context=context
        )
        for kind, members in _tables(found)
    )


def _template(form: Form) -> str:
    if form.name == "go-template":
        return form.detail
    try:
        return Path(form.detail).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValidationError(f"{form.detail}: is not UTF-8 text: {error.reason}") from error


def _results(found: Found) -> Sequence[object]:
    """Return what a template ranges over: the list of a kind, or the objects asked for."""
    if found.listed:
        return [gofields.as_list(found.listed, found.resources, found.revision)]
    return found.resources


def _tables(found: Found) -> Iterator[tuple[str, list[Resource]]]:
    if found.listed:
        yield found.listed, printers.ordered(found.listed, found.resources)
    else:
        for kind, members in groupby(found.resources, key=lambda resource: resource.kind):
            yield kind, list(members)


def _document(found: Found, *, export: bool) -> object:
    """Return what is printed; exported objects can be created elsewhere, a single one in any namespace."""
    without = printers.OF_CLUSTER if export else ()
    if export and not found.listed:
        without = (*without, "namespace")
    documents = [printers.document(resource, without=without) for resource in found.resources]
    if found.listed:
        return printers.listing(found.listed, documents, "" if export else found.revision)
    return documents if len(documents) > 1 else documents[0] if documents else None


def _context(client: Client, resources: Sequence[Resource]) -> Context:
    """Read the AS number that nodes inherit, only when nodes are shown."""
    kinds = {resource.kind for resource in resources}
    return context_of(client, "Node") if "Node" in kinds else Context()


def context_of(client: Client, kind: str) -> Context:
    """Return what the cells of a kind need beside their resource."""
    if kind != "Node":
        return Context()
    try:
        configuration: BGPConfiguration = client.bgpconfigurations.get("default")
    except NotFoundError:
        return Context()
    number = configuration.spec.as_number
    return Context() if number is None else Context(number)
