"""``calico-node felix render``: reads a datastore, or files in its place, and renders a node's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from calico_node import paths
from calico_node.felix import local
from calico_node.felix.calc.graph import prefixes
from calico_node.felix.config import Source
from calico_node.felix.render import Rendering, render
from libcalico import manifests
from libcalico.datastore import config as datastore
from libcalico.datastore import keys
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import Resource, id_of
from libcalico.resources.validate import validate

_NAMESPACE = "default"


def preview(environ: Mapping[str, str], node: str | None, files: Sequence[str]) -> Rendering:
    """Return what Felix on a node would program; neither kernel nor datastore is touched.

    Args:
        environ: says where the datastore is and, for this host, what overrides it.
        node: the node's name; this host when None.
        files: manifests, folders of them or ``-``, to be read in place of the datastore.

    Raises:
        ConfigError: the node is not known, or there is no datastore to ask.
        ManifestError: a file cannot be read or is not valid.
        UnavailableError: the datastore does not answer.
    """
    places = paths.from_environ(environ)
    hostname = node or local.hostname(environ, places)
    own = _own_settings(environ, places, hostname)
    stored = _from_files(files) if files else _from_datastore(environ, hostname)
    return render(hostname, stored, own)


def _own_settings(
    environ: Mapping[str, str], places: paths.Paths, hostname: str
) -> Sequence[Source]:
    """Return the settings of this host's file and environment; another host's are not known here."""
    try:
        here = local.hostname(environ, places)
    except local.UnknownHostnameError:
        here = ""
    return local.sources(environ, places) if hostname == here else ()


def _from_files(files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        for resource in manifests.load(file, _complete):
            yield keys.path_of(id_of(resource)), codec.encode(resource)


def _complete(resource: Resource) -> Resource:
    """Return a resource as ``calicoctl apply`` would store it."""
    metadata = resource.metadata
    if resource.INFO.namespaced and not metadata.namespace:
        resource = resource.with_(metadata=metadata.with_(namespace=_NAMESPACE))
    elif metadata.namespace and not resource.INFO.namespaced:
        raise ValidationError(
            f"metadata.namespace: {resource.kind} is not namespaced; leave it out"
        )
    complete = with_defaults(resource)
    validate(complete)
    return complete


def _from_datastore(environ: Mapping[str, str], hostname: str) -> list[tuple[str, bytes]]:
    wanted = [prefix for group in prefixes(hostname) for prefix in group]
    with datastore.connect(datastore.from_felix_environment(environ)) as backend:
        return [(entry.key, entry.value) for entry in backend.read(*wanted).items]
