"""Key path ⇄ typed key, both ways, from one table (:data:`LAYOUT`). Paths are Calico v3's.

Resource keys are :class:`~libcalico.resources.model.ResourceId`; every other key has a class here.
A path that is none of ours, or that cannot be taken apart, parses to None: readers skip it, as Go
does. Source: ``calico-control-plane.md`` 1.1 and 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import astuple

from libcalico.errors import ValidationError
from libcalico.resources.model import ResourceId
from libcalico.resources.registry import KIND_BY_PLURAL, KINDS, class_of

#: Everything that Calico stores is below this.
ROOT = "/calico/"
RESOURCES = "/calico/resources/v3/projectcalico.org/"
IPAM = "/calico/ipam/v2/"
BLOCKS = "/calico/ipam/v2/assignment/"
HANDLES = "/calico/ipam/v2/handle/"
#: The region of every deployment that sets none (only OpenStack does).
NO_REGION = "no-region"

IpVersion = Literal[4, 6]


class BlockKey(Struct, frozen=True):
    """An IPAM block. ``cidr`` is canonical text."""

    cidr: str


class AffinityKey(Struct, frozen=True):
    """The affinity of a host to a block."""

    host: str
    cidr: str


class VirtualAffinityKey(Struct, frozen=True):
    """The affinity of an owner that is no host (``load-balancer``) to a block."""

    owner: str
    cidr: str


class HandleKey(Struct, frozen=True):
    """An IPAM handle: what one owner was assigned, by block."""

    handle_id: str


class IpamConfigKey(Struct, frozen=True):
    """The settings of IPAM."""


class IpamHostKey(Struct, frozen=True):
    """Legacy mark of a host in IPAM; only ever deleted."""

    host: str


class FelixStatusKey(Struct, frozen=True):
    """Felix is alive; kept by a lease."""

    region: str
    host: str


class FelixLastStatusKey(Struct, frozen=True):
    """When Felix last reported; outlives the lease."""

    region: str
    host: str


class WorkloadStatusKey(Struct, frozen=True):
    """Whether a workload endpoint is programmed. ``workload`` is ``<namespace>/<name>``."""

    region: str
    host: str
    orchestrator: str
    workload: str
    endpoint: str


class HostEndpointStatusKey(Struct, frozen=True):
    """Whether a host endpoint is programmed."""

    host: str
    endpoint: str


Key = (
    ResourceId
    | BlockKey
    | AffinityKey
    | VirtualAffinityKey
    | HandleKey
    | IpamConfigKey
    | IpamHostKey
    | FelixStatusKey
    | FelixLastStatusKey
    | WorkloadStatusKey
    | HostEndpointStatusKey
)


class Layout(Struct, frozen=True):
    """How one class of keys is written.

    Attributes:
        template: ``{field}`` stands for a field of the class; ``{cidr}`` for ``ipv4/block/10.0.0.0-26``.
        value: what the value is, for documentation.
        escaped: fields in which ``%`` and ``/`` are written ``%25`` and ``%2f``.
    """

    key: type[Any]
    template: str
    value: str
    escaped: frozenset[str] = frozenset()


#: Every key that is no resource.
LAYOUT: tuple[Layout, ...] = (
    Layout(BlockKey, BLOCKS + "{cidr}", "JSON block: allocations, attributes, affinity"),
    Layout(AffinityKey, IPAM + "host/{host}/{cidr}", "JSON affinity: state"),
    Layout(VirtualAffinityKey, IPAM + "virtual/{owner}/{cidr}", "JSON affinity: state"),
    Layout(HandleKey, HANDLES + "{handle_id}", "JSON handle: addresses by block"),
    Layout(IpamConfigKey, IPAM + "config", "JSON settings"),
    Layout(IpamHostKey, IPAM + "host/{host}", "nothing; legacy, only deleted"),
    Layout(
        FelixStatusKey,
        "/calico/felix/v2/{region}/host/{host}/status",
        "JSON time, uptime, first_update; with a lease",
    ),
    Layout(
        FelixLastStatusKey,
        "/calico/felix/v2/{region}/host/{host}/last_reported_status",
        "JSON time, uptime, first_update",
    ),
    Layout(
        WorkloadStatusKey,
        "/calico/felix/v2/{region}/host/{host}/workload/{orchestrator}/{workload}/endpoint/{endpoint}",
        "JSON status: up, down or error",
        frozenset({"orchestrator", "workload", "endpoint"}),
    ),
    Layout(
        HostEndpointStatusKey,
        "/calico/felix/v1/host/{host}/endpoint/{endpoint}",
        "JSON status: up, down or error",
        frozenset({"endpoint"}),
    ),
)
_LAYOUT_BY_KEY = {row.key: row for row in LAYOUT}


def path_of(key: Key) -> str:
    """Return the key's path."""
    if isinstance(key, ResourceId):
        return resource_prefix(key.kind, key.namespace) + key.name
    row = _LAYOUT_BY_KEY[type(key)]
    parts = zip(key.__struct_fields__, astuple(key), strict=True)
    return row.template.format_map({name: _written(row, name, part) for name, part in parts})


def parse(path: str) -> Key | None:
    """Return the typed key of a path, or None if it is no path of ours."""
    if path.startswith(RESOURCES):
        return parse_resource(path)
    for key_class, pattern, readers in _patterns():
        if match := pattern.fullmatch(path):
            values = [read(match) for read in readers]
            return None if None in values else key_class(*values)
    return None


def parse_resource(path: str) -> ResourceId | None:
    """Return the identity of a resource's path, or None if its kind or its form is unknown."""
    plural, *names = path[len(RESOURCES) :].split("/")
    kind = KIND_BY_PLURAL.get(plural)
    if kind is None or "" in names or len(names) != 1 + KINDS[kind].INFO.namespaced:
        return None
    if "%" in path:
        names = [unescape(name) for name in names]
    return ResourceId(kind, names[0] if len(names) == 2 else "", names[-1])


def resource_prefix(kind: str, namespace: str = "") -> str:
    """Return the prefix of all resources of a kind, or of those in one namespace.

    Raises:
        ValidationError: the kind is unknown, or has no namespaces.
    """
    described = class_of(kind).INFO
    if namespace and not described.namespaced:
        raise ValidationError(f"{kind} is not namespaced, but the namespace {namespace!r} is given")
    prefix = f"{RESOURCES}{described.plural}/"
    return f"{prefix}{namespace}/" if namespace else prefix


def block_prefix(version: IpVersion) -> str:
    """Return the prefix of all blocks of an address family."""
    return f"{BLOCKS}ipv{version}/block/"


def affinity_prefix(host: str, version: IpVersion | None = None) -> str:
    """Return the prefix of all affinities of a host, or of those of one address family."""
    prefix = f"{IPAM}host/{host}/"
    return f"{prefix}ipv{version}/block/" if version else prefix


def status_prefix(host: str, region: str = NO_REGION) -> str:
    """Return the prefix of the statuses of all workload endpoints of a host."""
    return f"/calico/felix/v2/{region}/host/{host}/workload/"


def escape(text: str) -> str:
    """Return the text as one part of a status key: ``%`` → ``%25``, ``/`` → ``%2f``."""
    return text.replace("%", "%25").replace("/", "%2f")


def unescape(part: str) -> str:
    """Undo :func:`escape`."""
    return part.replace("%2f", "/").replace("%25", "%")


def _written(row: Layout, name: str, part: str) -> str:
    if name == "cidr":
        return f"ipv{6 if ':' in part else 4}/block/{part.replace('/', '-', 1)}"
    return escape(part) if name in row.escaped else part


@cache
def _patterns() -> tuple[
    tuple[type[Any], re.Pattern[str], list[Callable[[re.Match[str]], Any]]], ...
]:
    return tuple(map(_compile, LAYOUT))


def _compile(
    row: Layout,
) -> tuple[type[Any], re.Pattern[str], list[Callable[[re.Match[str]], Any]]]:
    pattern = re.sub(r"\\{(\w+)\\}", _group, re.escape(row.template))
    readers = [_reader(row, name) for name in row.key.__struct_fields__]
    return row.key, re.compile(pattern), readers


def _group(match: re.Match[str]) -> str:
    if match[1] == "cidr":
        return r"ipv(?P<version>[46])/block/(?P<cidr>[^/]+)"
    return f"(?P<{match[1]}>[^/]+)"


def _reader(row: Layout, name: str) -> Callable[[re.Match[str]], Any]:
    if name == "cidr":
        return _read_cidr
    if name in row.escaped:
        return lambda match: unescape(match[name])
    return lambda match: match[name]


def _read_cidr(match: re.Match[str]) -> str | None:
    """Return the CIDR, or None if it contradicts the family that the path names."""
    cidr = match["cidr"].replace("-", "/", 1)
    return cidr if (":" in cidr) == (match["version"] == "6") else None
