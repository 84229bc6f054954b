"""What calicoctl shows but never changes, because others manage it.

Source: calico-control-plane reference, section 6.3.
"""

from __future__ import annotations

from libcalico.client import messages
from libcalico.resources.model import ResourceId

#: Policies that Kubernetes' controllers copy; they would overwrite any change.
_PREFIX = "knp.default."


def refuse(operation: str, which: ResourceId) -> None:
    """Refuse to change an object that is not the user's to change.

    Raises:
        UnsupportedOperationError: says why.
    """
    if which.kind == "ClusterInformation":
        raise messages.unsupported(operation, which, "resource is readonly")
    if which.kind == "NetworkPolicy" and which.name.startswith(_PREFIX):
        raise messages.unsupported(
            operation,
            which,
            "kubernetes network policies must be managed through the kubernetes API",
        )
