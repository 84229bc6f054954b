"""The desired table as it stands, and what changed in it since the last commit.

Everything is addressed by name; writing what is there already is no change, and a change that is
taken back before the commit leaves nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from calico_node.felix.nft.model import Chain, Set, Table, Verdict, VerdictMap
from calico_node.felix.nft.plan import Delta, MapChange, SetChange


class TableSizes(NamedTuple):
    """Numbers of a table's objects; ``elements`` are those of all sets."""

    chains: int
    rules: int
    sets: int
    elements: int
    maps: int


class Pending:
    """A table under change. Elements are kept in mutable sets, so that a change costs its own size."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._chains: dict[str, Chain] = {}
        self._sets: dict[str, Set] = {}
        self._elements: dict[str, set[bytes]] = {}
        self._maps: dict[str, VerdictMap] = {}
        self._verdicts: dict[str, dict[bytes, Verdict]] = {}
        self._clear()

    def _clear(self) -> None:
        self._old_chains: dict[str, Chain | None] = {}
        self._old_sets: dict[str, Set | None] = {}
        self._added: dict[str, set[bytes]] = {}
        self._removed: dict[str, set[bytes]] = {}
        self._old_maps: dict[str, VerdictMap | None] = {}
        self._old_verdicts: dict[str, dict[bytes, Verdict | None]] = {}

    def put_chain(self, chain: Chain) -> None:
        """Add a chain, or replace its rules."""
        old = self._chains.get(chain.name)
        if old != chain:
            self._old_chains.setdefault(chain.name, old)
            self._chains[chain.name] = chain

    def drop_chain(self, name: str) -> None:
        """Remove a chain if it is there."""
        if (old := self._chains.pop(name, None)) is not None:
            self._old_chains.setdefault(name, old)

    def put_set(self, described: Set) -> None:
        """Add an empty set; its elements come by :meth:`add`."""
        if described.name in self._sets:
            return
        self._old_sets.setdefault(described.name, None)
        self._sets[described.name] = described
        self._elements[described.name] = set()

    def drop_set(self, name: str) -> None:
        """Remove a set with its elements if it is there."""
        if (old := self._sets.pop(name, None)) is not None:
            self._old_sets.setdefault(name, old)
            gone = self._elements.pop(name)
            self._removed.setdefault(name, set()).update(gone - self._added.pop(name, set()))

    def add(self, name: str, elements: Iterable[bytes]) -> None:
        """Add elements to a set."""
        self._move(name, set(elements) - self._elements[name], to=self._added, off=self._removed)
        self._elements[name].update(elements)

    def remove(self, name: str, elements: Iterable[bytes]) -> None:
        """Remove elements from a set."""
        there = self._elements[name].intersection(elements)
        self._move(name, there, to=self._removed, off=self._added)
        self._elements[name] -= there

    @staticmethod
    def _move(
        name: str, moved: set[bytes], *, to: dict[str, set[bytes]], off: dict[str, set[bytes]]
    ) -> None:
        taken_back = off.get(name, set()) & moved
        off.get(name, set()).difference_update(taken_back)
        if rest := moved - taken_back:
            to.setdefault(name, set()).update(rest)

    def put_map(self, described: VerdictMap) -> None:
        """Add an empty map; its elements come by :meth:`put_verdict`."""
        if described.name not in self._maps:
            self._old_maps.setdefault(described.name, None)
            self._maps[described.name] = described
            self._verdicts[described.name] = {}

    def drop_map(self, name: str) -> None:
        """Remove a map with its elements if it is there."""
        if name in self._maps:
            for key in list(self._verdicts[name]):
                self.put_verdict(name, key, None)
            self._old_maps.setdefault(name, self._maps.pop(name))
            del self._verdicts[name]

    def put_verdict(self, name: str, key: bytes, verdict: Verdict | None) -> None:
        """Set or, with None, remove one element of a map."""
        verdicts = self._verdicts[name]
        old = verdicts.get(key)
        if old == verdict:
            return
        self._old_verdicts.setdefault(name, {}).setdefault(key, old)
        if verdict is None:
            del verdicts[key]
        else:
            verdicts[key] = verdict

    def elements(self, name: str) -> frozenset[bytes]:
        """Return the elements of a set; none if there is no such set."""
        return frozenset(self._elements.get(name, ()))

    def table(self) -> Table:
        """Return the whole desired table."""
        return Table(
            self._name,
            dict(self._chains),
            {name: self._filled(s) for name, s in self._sets.items()},
            {name: self._filled_map(m) for name, m in self._maps.items()},
        )

    def _filled(self, empty: Set) -> Set:
        elements = frozenset(self._elements[empty.name])
        return Set(empty.name, empty.key, elements, empty.interval, empty.size, empty.owner)

    def _filled_map(self, empty: VerdictMap) -> VerdictMap:
        verdicts = dict(self._verdicts[empty.name])
        return VerdictMap(empty.name, empty.key, verdicts, empty.size, empty.owner)

    def sizes(self) -> TableSizes:
        """Return how much there is."""
        rules = sum(len(chain.rules) for chain in self._chains.values())
        elements = sum(map(len, self._elements.values()))
        return TableSizes(len(self._chains), rules, len(self._sets), elements, len(self._maps))

    def forget(self) -> None:
        """Take what changed so far for committed: somebody committed the whole table."""
        self._clear()

    def take(self) -> Delta:
        """Return what changed since the last call, and start anew."""
        created = {n for n, old in self._old_sets.items() if old is None and n in self._sets}
        new_maps = {n for n, old in self._old_maps.items() if old is None and n in self._maps}
        delta = Delta(
            chains=tuple(
                self._chains[name]
                for name, old in sorted(self._old_chains.items())
                if name in self._chains and self._chains[name] != old
            ),
            created_chains=frozenset(
                name
                for name, old in self._old_chains.items()
                if old is None and name in self._chains
            ),
            removed_chains=frozenset(
                name
                for name, old in self._old_chains.items()
                if old is not None and name not in self._chains
            ),
            created_sets=(
                *(self._filled(self._sets[name]) for name in sorted(created)),
                *(self._filled_map(self._maps[name]) for name in sorted(new_maps)),
            ),
            removed_sets=frozenset(
                name
                for name, old in (*self._old_sets.items(), *self._old_maps.items())
                if old is not None and name not in self._sets and name not in self._maps
            ),
            set_changes=tuple(self._set_changes(created)),
            map_changes=tuple(self._map_changes(new_maps)),
        )
        self._clear()
        return delta

    def _set_changes(self, created: set[str]) -> Iterator[SetChange]:
        for name in sorted((self._added.keys() | self._removed.keys()) - created):
            added, removed = self._added.get(name), self._removed.get(name)
            if name in self._sets and (added or removed):
                yield SetChange(self._sets[name], frozenset(added or ()), frozenset(removed or ()))

    def _map_changes(self, created: set[str]) -> Iterator[MapChange]:
        for name, before in sorted(self._old_verdicts.items()):
            if name in created or name not in self._maps:
                continue
            now = self._verdicts[name]
            differing = {key: old for key, old in before.items() if now.get(key) != old}
            if differing:
                yield MapChange(
                    self._maps[name],
                    added={k: now[k] for k, old in differing.items() if old is None},
                    changed={k: now[k] for k, old in differing.items() if old and k in now},
                    removed=frozenset(k for k in differing if k not in now),
                )
