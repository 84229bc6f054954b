"""What the datastore told so far → the cluster that BGP is planned from. Pure.

An object that cannot be read, or that breaks a rule, does not replace its last good version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from calico_node.bgp.cluster import Cluster
from calico_node.bgp.model import Problem
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.bgp import BGPConfiguration, BGPPeer
from libcalico.resources.bgpfilter import BGPFilter
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import Resource, ResourceId
from libcalico.resources.nodes import Node
from libcalico.resources.validate import validate

R = TypeVar("R", bound=Resource)
_KINDS: tuple[type[Resource], ...] = (Node, BGPPeer, BGPFilter, BGPConfiguration, IPPool)
#: Kinds that people write; their rules are checked before they replace what is in force.
_CHECKED = (BGPPeer, BGPFilter, BGPConfiguration)


def prefixes(node_name: str) -> tuple[str, ...]:
    """Return what must be watched: five kinds, and the affinities of this host only."""
    kinds = (keys.resource_prefix(kind.INFO.kind) for kind in _KINDS)
    return (*kinds, keys.affinity_prefix(node_name))


class State:
    """The last good version of every object."""

    def __init__(self, node_name: str) -> None:
        self._node_name = node_name
        self._resources: dict[str, dict[str, Resource]] = {kind.INFO.kind: {} for kind in _KINDS}
        self._affinities: dict[str, str] = {}
        self._problems: dict[str, Problem] = {}

    def on_update(self, path: str, value: bytes | None) -> None:
        """Take a change of one key; None: it is deleted. Keys of others are ignored."""
        key = keys.parse(path)
        self._problems.pop(path, None)
        try:
            match key:
                case ResourceId(kind=kind) if kind in self._resources:
                    _replace(self._resources[kind], key.name, value, _reader(key))
                case AffinityKey(host=host) if host == self._node_name:
                    _replace(self._affinities, key.cidr, value, _affinity_state)
        except ValidationError as error:
            self._problems[path] = Problem(str(key), f"{error}; its last good version is kept")

    @property
    def knows_own_node(self) -> bool:
        """Whether this node's resource exists."""
        return self._node_name in self._resources["Node"]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The objects whose stored version is not in force."""
        return tuple(sorted(self._problems.values()))

    def cluster(self, passwords: Mapping[tuple[str, str], str], **settings: str) -> Cluster:
        """Return everything as of now; ``settings`` are those of :class:`Cluster`."""
        return Cluster(
            node_name=self._node_name,
            nodes=self._of(Node),
            peers=self._of(BGPPeer),
            filters=self._of(BGPFilter),
            configurations=self._of(BGPConfiguration),
            pools=self._of(IPPool),
            affinities=dict(self._affinities),
            passwords=passwords,
            **settings,
        )

    def _of(self, kind: type[R]) -> dict[str, R]:
        return cast("dict[str, R]", dict(self._resources[kind.INFO.kind]))


def _replace(
    known: dict[str, Any], name: str, value: bytes | None, read: Callable[[bytes], Any]
) -> None:
    if value is None:
        known.pop(name, None)
    else:
        known[name] = read(value)


def _reader(which: ResourceId) -> Callable[[bytes], Resource]:
    def read(value: bytes) -> Resource:
        resource = codec.decode(value, kind=which.kind, keep_unknown=False)
        if isinstance(resource, _CHECKED):
            validate(resource)
        return resource

    return read


def _affinity_state(value: bytes) -> str:
    """Return an affinity's state; "" for the form without one, which counts as confirmed."""
    if not value:
        return ""
    try:
        document = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise ValidationError(f"is not JSON: {error}") from None
    state = document.get("state", "") if isinstance(document, dict) else None
    if not isinstance(state, str):
        raise ValidationError("holds no state; it is pending, confirmed or pendingDeletion")
    return state
