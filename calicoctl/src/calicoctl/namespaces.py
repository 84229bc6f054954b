"""Which namespace a resource is in, given ``-n``, ``-A`` and the resource itself.

Source of rules and texts: calico-control-plane reference, section 6.3.
"""

from __future__ import annotations

from typing import TypeVar

from libcalico.errors import ValidationError
from libcalico.resources.model import Resource
from libcalico.resources.registry import KINDS

DEFAULT = "default"
_R = TypeVar("_R", bound=Resource)


def place(resource: _R, option: str | None) -> _R:
    """Return the resource with its namespace filled in.

    Raises:
        ValidationError: the option and the resource contradict, or the kind has no namespace.
    """
    metadata, info = resource.metadata, resource.INFO
    if not info.namespaced:
        if metadata.namespace:
            raise ValidationError(
                "metadata.namespace: namespace should not be specified for a non-namespaced resource."
                f" {info.kind} is not a namespaced resource"
            )
        return resource
    if option and metadata.namespace and option != metadata.namespace:
        raise ValidationError(
            "metadata.namespace: resource namespace does not match client namespace."
            f" {metadata.namespace} != {option}"
        )
    namespace = metadata.namespace or option or DEFAULT
    return resource.with_(metadata=metadata.with_(namespace=namespace))


def of_listing(kind: str, option: str | None, *, everywhere: bool) -> str:
    """Return the namespace to list; empty for all, and for kinds without namespaces.

    Raises:
        ValidationError: the options contradict, or the kind has no namespace.
    """
    if option and everywhere:
        raise ValidationError(
            "cannot use both --namespace and --all-namespaces flags at the same time"
        )
    if not KINDS[kind].INFO.namespaced:
        if option or everywhere:
            raise ValidationError(f"{kind} is not namespaced")
        return ""
    return "" if everywhere else option or DEFAULT
