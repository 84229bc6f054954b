"""Names that Calico gives: reserved ones, labels, and those of workload endpoints.

An endpoint is named by its identifiers:
``<node>-<orchestrator>-<workload>-<endpoint>``, where every ``-`` inside a part is doubled.
Source: ``libcalico-go/lib/names/workloadendpoint.go``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from libcalico.errors import ValidationError
from libcalico.resources.endpoints import WorkloadEndpointSpec

#: Name of the profile that every reader sees and that is never stored.
DEFAULT_ALLOW_PROFILE = "projectcalico-default-allow"
DEFAULT_TIER = "default"
NAMESPACE_LABEL = "projectcalico.org/namespace"
ORCHESTRATOR_LABEL = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT_LABEL = "projectcalico.org/serviceaccount"
TIER_LABEL = "projectcalico.org/tier"
_SINGLE_DASH = re.compile(r"(?<!-)-(?!-)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointName:
    """The identifiers inside a workload endpoint's name.

    Attributes:
        workload: the pod (k8s), the container id (cni), ``libnetwork``, or the orchestrator's name.
    """

    node: str
    orchestrator: str
    workload: str
    endpoint: str

    def __str__(self) -> str:
        parts = (self.node, self.orchestrator, self.workload, self.endpoint)
        return "-".join(part.replace("-", "--") for part in parts)


def name_of(spec: WorkloadEndpointSpec) -> str:
    """Compute the name that an endpoint with this spec must have.

    Raises:
        ValidationError: an identifier is missing, or begins or ends with ``-``.
    """
    field, workload = _workload_of(spec)
    identifiers = {
        "node": spec.node,
        "orchestrator": spec.orchestrator,
        field: workload,
        "endpoint": spec.endpoint,
    }
    problems = [
        f"spec.{name}: insufficient identifiers, missing '{name}'"
        if not part
        else f"spec.{name}: {part!r} must not begin or end with '-'"
        for name, part in identifiers.items()
        if not part or part[0] == "-" or part[-1] == "-"
    ]
    if problems:
        raise ValidationError(*problems)
    return str(
        EndpointName(
            node=spec.node,
            orchestrator=spec.orchestrator,
            workload=workload,
            endpoint=spec.endpoint,
        )
    )


def name_prefix(node: str, orchestrator: str = "", workload: str = "") -> str:
    """Return the prefix of all names that begin with the identifiers given.

    It ends with ``-``; a longer identifier may share it (``pod-`` and ``pod-1-``), so compare the
    parsed name of what a prefix finds.
    """
    prefix = ""
    for part in (node, orchestrator, workload):
        if not part:
            break
        prefix += part.replace("-", "--") + "-"
    return prefix


def parse_name(name: str) -> EndpointName:
    """Take a name apart.

    Raises:
        ValidationError: it has not four parts.
    """
    parts = [part.replace("--", "-") for part in _SINGLE_DASH.split(name)]
    if len(parts) != 4 or not all(parts):
        raise ValidationError(
            f"{name!r} is no workload endpoint's name: expected "
            "<node>-<orchestrator>-<workload>-<endpoint> with every '-' inside a part doubled"
        )
    return EndpointName(node=parts[0], orchestrator=parts[1], workload=parts[2], endpoint=parts[3])


def _workload_of(spec: WorkloadEndpointSpec) -> tuple[str, str]:
    """Return which field names the workload for the orchestrator, and its value."""
    match spec.orchestrator:
        case "k8s":
            return "pod", spec.pod
        case "cni":
            return "containerID", spec.container_id
        case "libnetwork":
            return "workload", "libnetwork"
    return "workload", spec.workload
