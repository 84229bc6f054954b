"""The kinds as people name them on the command line."""

from __future__ import annotations

from collections.abc import Iterator

from calicoctl import namespaces
from libcalico.resources.model import ResourceId
from libcalico.resources.registry import KINDS, kind_by_name


def located(word: str, namespace: str | None) -> tuple[str, str]:
    """Return the exact kind, and the namespace that its objects are looked for in.

    Raises:
        ValidationError: there is no such kind, or it has no namespaces and one is given.
    """
    kind = kind_by_name(word)
    return kind, namespaces.of_listing(kind, namespace, everywhere=False)


def identity(word: str, name: str, namespace: str | None) -> ResourceId:
    """Return which object a person means; raises as :func:`located`."""
    return ResourceId(*located(word, namespace), name)


def words() -> Iterator[tuple[str, str]]:
    """Yield each kind with the other words for it, for help texts."""
    for kind, resource_class in KINDS.items():
        info = resource_class.INFO
        yield kind.lower(), ", ".join((info.plural, *info.aliases))
