"""node remove: a node with all that hangs on it. Source: python-era reference, section 1.3."""

from __future__ import annotations

import os
from collections.abc import Iterable

from calicoctl.commands import endpoints
from calicoctl.privileges import require_root
from libcalico.client import Client
from libcalico.errors import CalicoError
from libcalico.net.ifnames import first_prefix
from libcalico.workload import interface


def remove(client: Client, name: str, *, with_endpoints: bool, is_here: bool) -> str:
    """Remove a node from the datastore; of this host, also its workloads' interfaces.

    Raises:
        NotFoundError: there is no such node.
        CalicoError: it has workload endpoints, and those are not to be removed.
    """
    client.nodes.get(name)
    found = endpoints.matching(client, endpoints.Filter(host=name))
    if found and not with_endpoints:
        raise CalicoError(
            f"{name} has {len(found)} workload endpoint(s); remove them, or give --remove-endpoints"
        )
    if found and is_here:
        require_root("node remove --remove-endpoints")
        _remove_interfaces(stored.spec.interface_name for stored in found)
    client.nodes.delete(name)
    return "Node configuration removed"


def _remove_interfaces(names: Iterable[str]) -> None:
    """Remove host ends, before their addresses are given away; whatever else was stored there stays."""
    prefix = first_prefix(os.environ.get("FELIX_INTERFACEPREFIX", ""))
    for name in names:
        if name.startswith(prefix):
            interface.remove(name)
