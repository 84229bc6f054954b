"""The rules of policies and profiles in use; the sets that they name are held as long as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from calico_node.felix.calc.ipsets import IpSets
from calico_node.felix.calc.rules import DENY_ALL, Compiled, SetSpec
from calico_node.felix.messages import ActivePolicy, SetId

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a policy or profile says, compiled.

    ``everywhere``: it is told also while nobody uses it, so that it decides at once when somebody does.
    """

    tier: str
    ingress: Compiled
    egress: Compiled
    everywhere: bool = False

    @property
    def sets(self) -> dict[SetId, SetSpec]:
        """The sets that its rules name."""
        return {**self.ingress.sets, **self.egress.sets}

    def active(self) -> ActivePolicy:
        """Return what the dataplane is told."""
        rules = tuple(self.ingress.rules), tuple(self.egress.rules)
        return ActivePolicy(self.tier, *rules, everywhere=self.everywhere)


def denying(tier: str) -> Definition:
    """Return the definition that stands for what cannot be read."""
    return Definition(tier, Compiled([DENY_ALL]), Compiled([DENY_ALL]))


class Users(Generic[_K]):
    """Counts who uses a definition, so that it is in use as long as anybody does."""

    def __init__(self, active: Active[_K]) -> None:
        self._active = active
        self._users: Counter[_K] = Counter()

    def change(self, old: Iterable[_K], new: Iterable[_K]) -> None:
        """One user uses the new ones in place of the old ones."""
        before, after = dict.fromkeys(old), dict.fromkeys(new)
        for name in after:
            if name not in before:
                self._users[name] += 1
                self._active.use(name, is_used=True)
        for name in before:
            if name not in after:
                self._users[name] -= 1
                if not self._users[name]:
                    del self._users[name]
                    self._active.use(name, is_used=False)


class Active(Generic[_K]):
    """Definitions by name, of which those in use are told."""

    def __init__(self, sets: IpSets, missing: ActivePolicy | None) -> None:
        """Begin empty.

        Args:
            sets: where to ask for the sets that rules name.
            missing: told for what is in use and not defined; None: nothing is told.
        """
        self._sets = sets
        self._missing = missing
        self._definitions: dict[_K, Definition] = {}
        self._in_use: set[_K] = set()
        self._held: dict[_K, dict[SetId, SetSpec]] = {}
        self._told: dict[_K, ActivePolicy] = {}
        self._dirty: dict[_K, None] = {}

    @property
    def size(self) -> int:
        """How many are defined."""
        return len(self._definitions)

    def define(self, name: _K, definition: Definition | None) -> None:
        """The policy or profile says this, or, None, is gone."""
        if definition is None:
            self._definitions.pop(name, None)
        else:
            self._definitions[name] = definition
        self._dirty[name] = None

    def use(self, name: _K, *, is_used: bool) -> None:
        """Some local endpoint uses it, or none does any more."""
        (self._in_use.add if is_used else self._in_use.discard)(name)
        self._dirty[name] = None

    def settle(self) -> dict[_K, ActivePolicy | None]:
        """Hold and release sets, and return what is to be told anew since the last call."""
        changes: dict[_K, ActivePolicy | None] = {}
        for name in self._dirty:
            now = self._now(name)
            if now == self._told.get(name):
                continue
            changes[name] = now
            if now is None:
                del self._told[name]
            else:
                self._told[name] = now
        self._dirty.clear()
        return changes

    def _now(self, name: _K) -> ActivePolicy | None:
        definition = self._definitions.get(name)
        if name not in self._in_use and not (definition and definition.everywhere):
            self._hold(name, {})
            return None
        self._hold(name, definition.sets if definition else {})
        return definition.active() if definition else self._missing

    def _hold(self, name: _K, wanted: dict[SetId, SetSpec]) -> None:
        held = self._held.get(name, {})
        for set_id in sorted(wanted.keys() - held.keys()):
            self._sets.use(wanted[set_id])
        for set_id in sorted(held.keys() - wanted.keys()):
            self._sets.release(set_id)
        if wanted:
            self._held[name] = wanted
        else:
            self._held.pop(name, None)
