"""What a kind needs beyond its own key, as functions that the kind's client calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from libcalico.resources.model import Resource, ResourceId

if TYPE_CHECKING:
    from libcalico.client.client import Client

R = TypeVar("R", bound=Resource)


def _nothing(client: Client, resource: Resource) -> None:
    del client, resource


def _keep_version(client: Client, which: ResourceId, resource_version: str) -> str:
    del client, which
    return resource_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour(Generic[R]):
    """Steps around the operations of one kind. Each may raise what the operation may raise.

    Attributes:
        before_create: gets the complete and valid resource that will be stored.
        before_update: gets the complete and valid resource that will be stored.
        before_delete: gets the resource's identity and the version it must have; returns the
            version that the deletion must then find.
        synthetic: objects that exist for every reader and are never stored.
    """

    before_create: Callable[[Client, R], None] = _nothing
    before_update: Callable[[Client, R], None] = _nothing
    before_delete: Callable[[Client, ResourceId, str], str] = _keep_version
    synthetic: tuple[R, ...] = ()
