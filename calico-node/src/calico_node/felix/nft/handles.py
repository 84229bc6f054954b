"""The rules of chains with the kernel's handles, so that a rewritten chain costs the rules that changed.

A rule has no name: the kernel gives it a handle, and tells it in its echo of the request. A chain of which as
many rules are wanted as it has keeps those that stay, and the others are exchanged one by one. A handle
that somebody else made invalid is refused by the kernel, like everything else that is not there any more.

Source: net/netfilter/nf_tables_api.c (nf_tables_newrule, nf_tables_commit_notify).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from calico_node.felix.nft.model import Rule
from calico_node.felix.nft.operations import (
    AddRule,
    DeleteChain,
    DeleteSet,
    DestroyTable,
    FlushChain,
    Operation,
    ReplaceRule,
)

#: A chain's table and name.
_Place: TypeAlias = tuple[str, str]
#: What is sent: operations, some of them shortened.
Request: TypeAlias = Operation | ReplaceRule


@dataclass(slots=True)
class _Chain:
    """Rules of a chain, and the handle of each."""

    rules: list[Rule] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)


class Handles:
    """What is known of the chains that one socket wrote."""

    def __init__(self) -> None:
        self._chains: dict[_Place, _Chain] = {}

    def shorten(self, operations: Sequence[Operation]) -> list[Request]:
        """Return operations of the same effect that exchange rules in place of whole chains, where they can.

        A set that goes wants the rules that refer to it gone before it: then nothing is shortened.
        """
        if any(isinstance(operation, DeleteSet | DestroyTable) for operation in operations):
            return list(operations)
        rewritten = self._exchangeable(operations)
        return [
            request for operation in operations for request in self._shortened(operation, rewritten)
        ]

    def learn(self, requests: Sequence[Request], handle_by_index: Mapping[int, int]) -> None:
        """Note what was done.

        Args:
            requests: what :meth:`shorten` returned; the kernel did all of it.
            handle_by_index: the handles that it gave, by the index of the request; those that were not told
                make their chain unknown.
        """
        emptied: set[str] = set()
        for index, request in enumerate(requests):
            match request:
                case DestroyTable(table=table):
                    emptied.add(table)
                    self._forget(table)
                case FlushChain(table=table, chain=chain):
                    self._chains[table, chain] = _Chain()
                case DeleteChain(table=table, chain=chain):
                    self._chains.pop((table, chain), None)
                case AddRule(table=table, chain=chain) if table in emptied:
                    self._chains.setdefault((table, chain), _Chain())
            if isinstance(request, AddRule | ReplaceRule) and index in handle_by_index:
                self._note(request, handle_by_index[index])
        for index, request in enumerate(requests):
            if isinstance(request, AddRule | ReplaceRule) and index not in handle_by_index:
                self._chains.pop((request.table, request.chain), None)

    def forget(self) -> None:
        """Nothing is known any more: whether the kernel did what was asked is not."""
        self._chains.clear()

    def _exchangeable(self, operations: Sequence[Operation]) -> dict[_Place, Iterator[int]]:
        """Return the places of chains that get as many rules as they have → the numbers of the rules.

        Not where no rule differs: whoever writes a chain anew then does not believe that it is as we know it.
        """
        flushed = {(o.table, o.chain) for o in operations if isinstance(o, FlushChain)}
        flushed -= {(o.table, o.chain) for o in operations if isinstance(o, DeleteChain)}
        wanted: defaultdict[_Place, list[Rule]] = defaultdict(list)
        for operation in operations:
            if isinstance(operation, AddRule):
                wanted[operation.table, operation.chain].append(operation.rule)
        return {
            place: iter(range(len(wanted[place])))
            for place in flushed & self._chains.keys()
            if len(wanted[place]) == len(self._chains[place].rules)
            and wanted[place] != self._chains[place].rules
        }

    def _shortened(
        self, operation: Operation, rewritten: Mapping[_Place, Iterator[int]]
    ) -> Iterator[Request]:
        match operation:
            case FlushChain(table=table, chain=chain) if (table, chain) in rewritten:
                return
            case AddRule(table=table, chain=chain, rule=rule) if (table, chain) in rewritten:
                known, number = self._chains[table, chain], next(rewritten[table, chain])
                if known.rules[number] != rule:
                    handle = known.handles[number]
                    yield ReplaceRule(table, chain, handle, rule, operation.owner)
            case _:
                yield operation

    def _note(self, request: AddRule | ReplaceRule, handle: int) -> None:
        known = self._chains.get((request.table, request.chain))
        if known is None:
            return
        if isinstance(request, ReplaceRule):
            number = known.handles.index(request.handle)
            known.rules[number], known.handles[number] = request.rule, handle
        else:
            known.rules.append(request.rule)
            known.handles.append(handle)

    def _forget(self, table: str) -> None:
        for place in [place for place in self._chains if place[0] == table]:
            del self._chains[place]
