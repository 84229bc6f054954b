"""endpoint show and endpoint profile: workload endpoints of all hosts, and the profiles that they have.

Source of the words: python-era reference, section 1.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calicoctl import endpointprofiles
from calicoctl.grid import grid
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.keys import NO_REGION, WorkloadStatusKey
from libcalico.errors import NotFoundError, ValidationError
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.names import name_prefix, parse_name

_SUMMARY = ("Hostname", "Orchestrator ID", "Number of Workloads", "Number of Endpoints")
_DETAILED = (
    *("Hostname", "Orchestrator ID", "Workload ID", "Endpoint ID"),
    *("Addresses", "MAC", "Profiles", "State"),
)
_NAMESPACE = "default"
#: State of an endpoint that no Felix reports.
_UNREPORTED = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which endpoints are meant; what is empty does not count.

    Attributes:
        endpoint: name of the interface, or of the whole WorkloadEndpoint.
    """

    host: str = ""
    orchestrator: str = ""
    workload: str = ""
    endpoint: str = ""

    def matches(self, stored: WorkloadEndpoint) -> bool:
        """Whether an endpoint is meant."""
        spec = stored.spec
        has = (
            (self.host, (spec.node,)),
            (self.orchestrator, (spec.orchestrator,)),
            (self.workload, (spec.pod, spec.container_id, spec.workload)),
            (self.endpoint, (spec.endpoint, stored.name)),
        )
        return all(not wanted or wanted in texts for wanted, texts in has)


def matching(client: Client, wanted: Filter) -> list[WorkloadEndpoint]:
    """Return the endpoints that are meant, by host, orchestrator, workload and endpoint."""
    found = [e for e in client.workloadendpoints.list() if wanted.matches(e)]
    return sorted(found, key=lambda e: (e.spec.node, e.spec.orchestrator, workload_of(e), e.name))


def of_workload(
    client: Client, node: str, orchestrator: str, workload: str
) -> list[WorkloadEndpoint]:
    """Return the endpoints of one workload in the namespace ``default``, read by their names alone."""
    where = keys.resource_prefix("WorkloadEndpoint", _NAMESPACE)
    items = client.backend.read(where + name_prefix(node, orchestrator, workload)).items
    read = (client.workloadendpoints.read_stored(item) for item in items)
    return [e for e in read if e is not None and parse_name(e.name).workload == workload]


def workload_of(stored: WorkloadEndpoint) -> str:
    """Return what a workload is called: its pod, its container, or what its orchestrator says."""
    return stored.spec.pod or stored.spec.container_id or stored.spec.workload


def summary(found: Iterable[WorkloadEndpoint]) -> str:
    """Return how many workloads and endpoints there are by host and orchestrator."""
    groups: dict[tuple[str, str], list[str]] = {}
    for stored in found:
        key = (stored.spec.node, stored.spec.orchestrator)
        groups.setdefault(key, []).append(f"{stored.namespace}/{workload_of(stored)}")
    rows = [(*key, str(len({*names})), str(len(names))) for key, names in groups.items()]
    return grid(_SUMMARY, rows)


def detailed(client: Client, found: Sequence[WorkloadEndpoint]) -> str:
    """Return the endpoints, each with its addresses, profiles and the state that Felix reports."""
    told = states(client, found)
    rows = [_row(stored, state) for stored, state in zip(found, told, strict=True)]
    return grid(_DETAILED, rows, between=True)


def _row(stored: WorkloadEndpoint, state: str) -> Sequence[str]:
    spec = stored.spec
    return (
        *(spec.node, spec.orchestrator, workload_of(stored), spec.endpoint),
        "\n".join(spec.ip_networks),
        spec.mac,
        "\n".join(spec.profiles),
        state,
    )


def _status_key(stored: WorkloadEndpoint) -> str:
    try:
        name = parse_name(stored.name)
    except ValidationError:
        return ""
    workload = f"{stored.namespace}/{name.workload}"
    key = WorkloadStatusKey(NO_REGION, name.node, name.orchestrator, workload, name.endpoint)
    return keys.path_of(key)


def states(client: Client, found: Sequence[WorkloadEndpoint]) -> list[str]:
    """Return the state of each endpoint, as the Felix of its host reports it."""
    prefixes = [keys.status_prefix(host) for host in sorted({e.spec.node for e in found})]
    items = client.backend.read(*prefixes).items if prefixes else ()
    reported = {item.key: _state(item.value) for item in items}
    return [reported.get(_status_key(stored), _UNREPORTED) for stored in found]


def _state(value: bytes) -> str:
    try:
        told = json.loads(value)
    except ValueError:
        return _UNREPORTED
    state = told.get("status") if isinstance(told, dict) else None
    return state if isinstance(state, str) else _UNREPORTED


def only(client: Client, wanted: Filter) -> WorkloadEndpoint:
    """Return the one endpoint that is meant.

    Raises:
        NotFoundError: there is none.
        ValidationError: there are several; the text says how to tell them apart.
    """
    found = matching(client, wanted)
    if not found:
        raise NotFoundError(f"there is no endpoint {wanted.endpoint} (see calicoctl endpoint show)")
    if len(found) > 1:
        names = ", ".join(stored.name for stored in found[:3])
        raise ValidationError(
            f"{len(found)} endpoints are called {wanted.endpoint}, such as {names}; use such a name,"
            " or --host, --orchestrator and --workload"
        )
    return found[0]


def change_profiles(
    client: Client, stored: WorkloadEndpoint, action: str, names: Sequence[str], whose: str
) -> str:
    """Append, remove or set the profiles of an endpoint; return what to say.

    Raises:
        NotFoundError: a profile that it is to get does not exist; nothing is changed.
        ValidationError: a profile is named twice; nothing is changed.
    """
    endpointprofiles.check(names)
    if action != "remove":
        _require_profiles(client, names)
    change = endpointprofiles.CHANGES[action]
    before: list[str] = []

    def changed(now: WorkloadEndpoint) -> WorkloadEndpoint:
        before[:] = now.spec.profiles
        return now.with_(spec=now.spec.with_(profiles=change(now.spec.profiles, names)))

    client.workloadendpoints.modify(stored.name, changed, stored.namespace)
    return endpointprofiles.told(action, before, names, whose)


def _require_profiles(client: Client, names: Sequence[str]) -> None:
    if names:
        known = {profile.name for profile in client.profiles.list()}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise NotFoundError(
                f"there is no profile {', '.join(unknown)}; make it: calicoctl profile add"
                " (nothing was changed)"
            )


def profiles_table(stored: WorkloadEndpoint) -> str:
    """Return the profiles of an endpoint, in order."""
    return grid(("Profile",), [(name,) for name in stored.spec.profiles])
