"""States → keys and values in the datastore, and what to write so that it has them. Pure.

Source: calico-control-plane reference, section 1.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from calico_node.felix.dataplane.states import State, Subject
from libcalico.datastore import keys
from libcalico.datastore.keys import (
    FelixLastStatusKey,
    FelixStatusKey,
    HostEndpointStatusKey,
    WorkloadStatusKey,
)
from libcalico.datastore.model import Delete, Put, Write
from libcalico.errors import ValidationError
from libcalico.resources.names import parse_name

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def region_of(openstack_region: str) -> str:
    """Return the region's part of a key."""
    return f"region-{openstack_region}" if openstack_region else keys.NO_REGION


def prefixes(host: str, region: str) -> tuple[str, str]:
    """Return the prefixes of all endpoint states of a host."""
    return keys.status_prefix(host, region), keys.path_of(HostEndpointStatusKey(host, ""))


def wanted(states: Mapping[Subject, State], host: str, region: str) -> dict[str, bytes]:
    """Return key → value of endpoints' states; an endpoint with an unusual name has no key."""
    found = {}
    for subject, state in states.items():
        if (key := _key(subject, host, region)) is not None:
            found[key] = json.dumps({"status": state}, separators=(",", ":")).encode()
    return found


def _key(subject: Subject, host: str, region: str) -> str | None:
    if isinstance(subject, str):
        return keys.path_of(HostEndpointStatusKey(host, subject))
    try:
        name = parse_name(subject.name)
    except ValidationError:
        return None
    workload = f"{subject.namespace}/{name.workload}"
    return keys.path_of(WorkloadStatusKey(region, host, name.orchestrator, workload, name.endpoint))


def writes(wanted: Mapping[str, bytes], stored: Mapping[str, bytes]) -> list[Write]:
    """Return what to do so that what is wanted is stored, and nothing else."""
    changed: list[Write] = [
        Put(key, value) for key, value in sorted(wanted.items()) if stored.get(key) != value
    ]
    return changed + [Delete(key) for key in sorted(stored.keys() - wanted.keys())]


def alive(
    host: str, region: str, *, now_s: float, uptime_s: float, is_first: bool, ttl_s: int
) -> list[Write]:
    """Return what tells that Felix lives: until the lease ends, and when it last did.

    Args:
        now_s: since the epoch.
        is_first: whether this run of Felix tells it for the first time.
        ttl_s: of the lease.
    """
    told = {
        "time": datetime.fromtimestamp(int(now_s), UTC).strftime(_TIME),
        "uptime": round(uptime_s, 3),
        "first_update": is_first,
    }
    value = json.dumps(told, separators=(",", ":")).encode()
    return [
        Put(keys.path_of(FelixStatusKey(region, host)), value, ttl_s=ttl_s),
        Put(keys.path_of(FelixLastStatusKey(region, host)), value),
    ]
