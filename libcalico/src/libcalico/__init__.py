"""The shared library: resources, datastore, selectors, IPAM, policy, netlink.

A tour, from what stands on nothing to what stands on everything:

* :mod:`libcalico.errors` - every error, sorted by what the caller can do about it;
* :mod:`libcalico.net` - addresses, CIDRs, ports, MACs, interface names;
* :mod:`libcalico.selector` - the label selector language;
* :mod:`libcalico.resources` - the kinds, their defaults, rules and JSON;
* :mod:`libcalico.manifests` - files that people write → resources;
* :mod:`libcalico.datastore` - the port to the store, its two implementations, keys, Syncer;
* :mod:`libcalico.client` - typed create, read, update, delete;
* :mod:`libcalico.ipam` - blocks, affinities, handles;
* :mod:`libcalico.policy` - the reference evaluator: packet → verdict, and why;
* :mod:`libcalico.netlink` - links, routes, namespaces, sysctls;
* :mod:`libcalico.workload` - attaching workloads to the network;
* :mod:`libcalico.session` - from settings to a client: how scripts begin.

Importing this module costs nothing; the public names below are loaded when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without the cost of importing it
if TYPE_CHECKING:
    from libcalico.client import Client
    from libcalico.errors import (
        AlreadyExistsError,
        CalicoError,
        ConflictError,
        DatastoreError,
        NotFoundError,
        UnavailableError,
        ValidationError,
    )
    from libcalico.resources.codec import from_manifest
    from libcalico.session import connect

__all__ = [
    "AlreadyExistsError",
    "CalicoError",
    "Client",
    "ConflictError",
    "DatastoreError",
    "NotFoundError",
    "UnavailableError",
    "ValidationError",
    "connect",
    "from_manifest",
]
_HOMES = {
    "Client": "libcalico.client",
    "connect": "libcalico.session",
    "from_manifest": "libcalico.resources.codec",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - paid for by those who ask

    found: object = getattr(import_module(_HOMES.get(name, "libcalico.errors")), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
