"""Many resources, one outcome: the words that calicoctl ends a batch with.

Source of the wording: calico-control-plane reference, section 6.3; but where Go Calico speaks of "the
first N" resources, whichever they were, only their number is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verb = Literal["create", "apply", "replace", "delete", "validate"]
_PAST = {
    "create": "created",
    "apply": "applied",
    "replace": "replaced",
    "delete": "deleted",
    "validate": "validated",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        kinds: kind of each resource of the batch, in order.
        done: how many were handled.
        errors: texts of the failures.
    """

    verb: Verb
    kinds: Sequence[str]
    done: int
    errors: Sequence[str]

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not self.errors

    def text(self) -> str:
        """Return the closing message."""
        past, one_kind = _PAST[self.verb], len(set(self.kinds)) == 1
        subject = f"'{self.kinds[0]}' resource" if one_kind else "resource"
        listed = f"[{', '.join(self.errors)}]"
        failed = "Failed" if self.verb == "delete" else "failed"
        if self.succeeded:
            return f"Successfully {past} {self.done} {subject}(s)"
        if self.done:
            return (
                f"Partial success: {past} {self.done} out of {len(self.kinds)} {subject}s:\n"
                f"hit error(s): {listed}"
            )
        if len(self.kinds) == 1:
            return f"{failed} to {self.verb} {subject}: {listed}"
        return f"{failed} to {self.verb} any {subject}s: {listed}"
