"""Many resources, one outcome: the words that calicoctl ends a batch with.

Source of the wording: calico-control-plane reference, section 6.3; but where Go Calico speaks of "the
first N" resources, whichever they were, only their number is told. Deletions tell each failure in a
line of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from libcalico.resources.model import Resource, ResourceId, id_of

Verb = Literal["create", "apply", "replace", "delete", "validate"]
_PAST = {
    "create": "created",
    "apply": "applied",
    "replace": "replaced",
    "delete": "deleted",
    "validate": "validated",
}
#: Kinds whose objects need no other object of these kinds when they are written, and change none.
_INDEPENDENT = frozenset(
    {
        "GlobalNetworkPolicy",
        "GlobalNetworkSet",
        "HostEndpoint",
        "NetworkPolicy",
        "NetworkSet",
        "Profile",
        "StagedGlobalNetworkPolicy",
        "StagedKubernetesNetworkPolicy",
        "StagedNetworkPolicy",
        "WorkloadEndpoint",
    }
)
_MOST_IN_GROUP = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        kinds: kind of each resource of the batch, in order.
        done: how many were handled.
        errors: texts of the failures.
        refused: which resources failed.
    """

    verb: Verb
    kinds: Sequence[str]
    done: int
    errors: Sequence[str]
    refused: Collection[ResourceId] = ()

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not self.errors

    def news(self) -> str:
        """Return what went well, for standard output; "" if nothing did, or the complaint tells it."""
        if self.succeeded or (self.verb == "delete" and self.done):
            return f"Successfully {_PAST[self.verb]} {self.done} {self._subject}(s)"
        return ""

    @property
    def _subject(self) -> str:
        return f"'{self.kinds[0]}' resource" if len(set(self.kinds)) == 1 else "resource"

    def complaint(self) -> str:
        """Return what failed, for standard error; "" if nothing did."""
        past, subject, listed = _PAST[self.verb], self._subject, f"[{', '.join(self.errors)}]"
        if self.succeeded:
            return ""
        if self.verb == "delete":
            return "\n".join(f"Failed to delete {subject}: {error}" for error in self.errors)
        if self.done:
            return (
                f"Partial success: {past} {self.done} out of {len(self.kinds)} {subject}s:\n"
                f"hit error(s): {listed}"
            )
        if len(self.kinds) == 1:
            return f"failed to {self.verb} {subject}: {listed}"
        return f"failed to {self.verb} any {subject}s: {listed}"


def groups(resources: Sequence[Resource]) -> Iterator[list[Resource]]:
    """Yield the resources in groups, in order. Those of one group may be written in any order."""
    group: list[Resource] = []
    names: set[ResourceId] = set()
    for resource in resources:
        which = id_of(resource)
        alone = {which.kind, *(r.kind for r in group[:1])} - _INDEPENDENT
        if group and (alone or which in names or len(group) == _MOST_IN_GROUP):
            yield group
            group, names = [], set()
        group.append(resource)
        names.add(which)
    if group:
        yield group
