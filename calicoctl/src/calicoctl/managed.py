"""What calicoctl shows but never changes, because others manage it.

Source: calico-control-plane reference, section 6.3.
"""

from __future__ import annotations

from libcalico.client import messages
from libcalico.resources.model import ResourceId

#: Policies that Kubernetes' controllers copy; they would overwrite any change.
_PREFIX = "knp.default."


def is_of_kubernetes(which: ResourceId) -> bool:
    """Whether Kubernetes' controllers made the object, and would make it anew."""
    return which.kind == "NetworkPolicy" and which.name.startswith(_PREFIX)


def refuse(operation: str, which: ResourceId) -> None:
    """Refuse to change an object that is not the user's to change.

    Raises:
        UnsupportedOperationError: says why.
    """
    if which.kind == "ClusterInformation":
        raise messages.unsupported(operation, which, "resource is readonly")
    if is_of_kubernetes(which):
        raise messages.unsupported(
            operation,
            which,
            "kubernetes network policies must be managed through the kubernetes API",
        )
