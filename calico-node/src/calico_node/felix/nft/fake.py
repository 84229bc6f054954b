"""A kernel in memory: takes the same batches as :class:`.apply.Nftables` and refuses the same ones.

It keeps what rules, chains, sets and maps there are and who refers to whom; packets it knows not.
The contract tests run against it and against the real kernel.

Source: net/netfilter/nf_tables_api.c for the checks, their order and error numbers; nft_set_rbtree.c
for overlapping intervals.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from calico_node.felix.nft import apply, wire
from calico_node.felix.nft.apply import Refusal, RefusedError
from calico_node.felix.nft.keys import KeyType, pad
from calico_node.felix.nft.model import (
    BaseHook,
    Chain,
    Field,
    Match,
    Named,
    Rule,
    Set,
    Table,
    Verdict,
    VerdictLookup,
    VerdictMap,
    fields_of,
)
from calico_node.felix.nft.operations import (
    AddElements,
    AddRule,
    AddVerdicts,
    CreateChain,
    CreateSet,
    CreateTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DestroyTable,
    FlushChain,
    Operation,
)
from calico_node.felix.nft.rebuild import FoundMap, Skeleton

_MAX_JUMPS: Final = 16
"""NFT_JUMP_STACK_SIZE: chains on one path from a base chain."""


class FakeNftables:
    """The tables of one network namespace, in memory."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._generation = 1

    def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations at once; nothing if the list is empty.

        Raises:
            RefusedError: one could not be done or encoded; nothing was changed.
        """
        apply.encode(operations)
        tables = {name: table.copy() for name, table in self._tables.items()}
        refusals = [
            Refusal(operation, number)
            for operation in operations
            if (number := _attempt(tables, operation))
        ]
        if not refusals and any(table.has_endless_jumps() for table in tables.values()):
            refusals = self._endless_jumps(operations)
        if refusals:
            raise RefusedError(refusals)
        self._tables = tables
        self._generation += bool(operations)

    def generation(self) -> int:
        """Return the number of the last commit."""
        return self._generation

    def read_elements(self, table: str, set_: str, *, interval: bool = False) -> frozenset[bytes]:
        """Return the elements of a set."""
        found = self._tables[table].sets[set_]
        assert isinstance(found, Set)
        assert found.interval == interval
        return found.elements

    def read_verdicts(self, table: str, map_: str) -> dict[bytes, Verdict]:
        """Return the elements of a map."""
        found = self._tables[table].sets[map_]
        assert isinstance(found, VerdictMap)
        return dict(found.elements)

    def skeleton(self, table: str) -> Skeleton | None:
        """Return what there is of a table; None if it is absent, or empty."""
        held = self._tables.get(table, _Table())
        if not held.chains and not held.sets:
            return None
        chains = {
            name: wire.place_of(chain.hook) if chain.hook else None
            for name, chain in held.chains.items()
        }
        maps = {
            name: FoundMap(wire.key_shape(map_.key), dict(map_.elements))
            for name, map_ in held.sets.items()
            if isinstance(map_, VerdictMap)
        }
        return Skeleton(chains, frozenset(held.sets), maps)

    def table(self, name: str) -> Table | None:
        """Return all that a table holds; None if there is no such table."""
        if name not in self._tables:
            return None
        held = self._tables[name]
        chains = {name: replace(chain, owner="") for name, chain in held.chains.items()}
        sets = {name: set_ for name, set_ in held.sets.items() if isinstance(set_, Set)}
        maps = {name: map_ for name, map_ in held.sets.items() if isinstance(map_, VerdictMap)}
        return Table(name, chains, sets, maps)

    def _endless_jumps(self, operations: Sequence[Operation]) -> list[Refusal]:
        """Do it again step by step, as the kernel does, to find whom to blame."""
        tables = {name: table.copy() for name, table in self._tables.items()}
        for operation in operations:
            _attempt(tables, operation)
            if any(table.has_endless_jumps() for table in tables.values()):
                return [Refusal(operation, errno.EMLINK)]
        raise AssertionError("no operation makes the endless jumps")


class _RefusedOperationError(Exception):
    """Ends the attempt of one operation."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(slots=True)
class _Table:
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, Set | VerdictMap] = field(default_factory=dict)

    def copy(self) -> _Table:
        return _Table(dict(self.chains), dict(self.sets))

    def chain(self, name: str) -> Chain:
        if name not in self.chains:
            raise _RefusedOperationError(errno.ENOENT)
        return self.chains[name]

    def set(self, name: str) -> Set | VerdictMap:
        if name not in self.sets:
            raise _RefusedOperationError(errno.ENOENT)
        return self.sets[name]

    def check_target(self, verdict: Verdict) -> None:
        """Refuse a jump to a chain that is absent or hangs on a hook."""
        if verdict.chain and self.chain(verdict.chain).hook is not None:
            raise _RefusedOperationError(errno.EOPNOTSUPP)

    def verdicts(self) -> Iterator[Verdict]:
        for chain in self.chains.values():
            yield from _jumps(chain)
        for map_ in self.sets.values():
            if isinstance(map_, VerdictMap):
                yield from map_.elements.values()

    def has_endless_jumps(self) -> bool:
        bases = {name for name, chain in self.chains.items() if chain.hook}
        reached = bases
        for _ in range(_MAX_JUMPS):
            reached = {target for name in reached for target in self._targets(self.chains[name])}
        return bool(reached)

    def _targets(self, chain: Chain) -> Iterator[str]:
        for rule in chain.rules:
            for statement in rule.statements:
                match statement:
                    case Verdict(chain=target) if target:
                        yield target
                    case VerdictLookup(map=name):
                        map_ = self.sets[name]
                        assert isinstance(map_, VerdictMap)
                        yield from (v.chain for v in map_.elements.values() if v.chain)


def _attempt(tables: dict[str, _Table], operation: Operation) -> int:
    """Do one operation; return 0, or the number of the error that left everything as it was."""
    if isinstance(operation, CreateTable):
        tables.setdefault(operation.table, _Table())
        return 0
    if isinstance(operation, DestroyTable):
        tables.pop(operation.table, None)
        return 0
    if operation.table not in tables:
        return errno.ENOENT
    try:
        _DO[type(operation)](tables[operation.table], operation)
    except _RefusedOperationError as refused:
        return refused.number
    return 0


def _create_chain(table: _Table, operation: CreateChain) -> None:
    old = table.chains.get(operation.chain)
    if old is None:
        table.chains[operation.chain] = Chain(operation.chain, (), operation.hook)
    elif operation.hook is not None:
        if old.hook is None or _place(old.hook) != _place(operation.hook):
            other_type = old.hook is not None and old.hook.type != operation.hook.type
            raise _RefusedOperationError(errno.EEXIST if other_type else errno.EOPNOTSUPP)
        table.chains[operation.chain] = replace(old, hook=operation.hook)


def _place(hook: BaseHook) -> tuple[str, str, int]:
    return hook.type, hook.hook, hook.priority


def _flush_chain(table: _Table, operation: FlushChain) -> None:
    table.chains[operation.chain] = replace(table.chain(operation.chain), rules=())


def _add_rule(table: _Table, operation: AddRule) -> None:
    chain = table.chain(operation.chain)
    for statement in operation.rule.statements:
        match statement:
            case Verdict():
                table.check_target(statement)
            case Match(field=field_, value=Named(set=name)):
                _check_lookup(table.set(name), fields_of(field_), verdict=False)
            case VerdictLookup(field=field_, map=name):
                _check_lookup(table.set(name), fields_of(field_), verdict=True)
    table.chains[operation.chain] = replace(chain, rules=(*chain.rules, operation.rule))


def _check_lookup(found: Set | VerdictMap, fields: Iterable[Field], *, verdict: bool) -> None:
    """Refuse a key that is not all loaded, and a verdict from what is no map.

    As the kernel, accept a longer key, and a map in which the key alone is looked for.
    """
    if _width([field.type for field in fields]) < _width(found.key):
        raise _RefusedOperationError(errno.ENODATA)
    if verdict and isinstance(found, Set):
        raise _RefusedOperationError(errno.EINVAL)


def _width(key: Sequence[KeyType]) -> int:
    return sum(len(pad(bytes(type_.size))) for type_ in key)


def _delete_chain(table: _Table, operation: DeleteChain) -> None:
    chain = table.chain(operation.chain)
    del table.chains[operation.chain]
    if any(verdict.chain == operation.chain for verdict in table.verdicts()):
        table.chains[operation.chain] = chain
        raise _RefusedOperationError(errno.EBUSY)


def _jumps(chain: Chain) -> Iterator[Verdict]:
    for rule in chain.rules:
        yield from (s for s in rule.statements if isinstance(s, Verdict))


def _create_set(table: _Table, operation: CreateSet) -> None:
    new = operation.set
    old = table.sets.get(new.name)
    if old is None:
        table.sets[new.name] = _empty(new)
    elif (type(old), old.key, _is_interval(old)) != (type(new), new.key, _is_interval(new)):
        raise _RefusedOperationError(errno.EEXIST)
    elif new.size:
        table.sets[new.name] = replace(old, size=new.size)


def _empty(set_: Set | VerdictMap) -> Set | VerdictMap:
    if isinstance(set_, Set):
        return replace(set_, elements=frozenset(), owner="")
    return replace(set_, elements={}, owner="")


def _is_interval(set_: Set | VerdictMap) -> bool:
    return isinstance(set_, Set) and set_.interval


def _delete_set(table: _Table, operation: DeleteSet) -> None:
    table.set(operation.set)
    if any(operation.set in _references(rule) for c in table.chains.values() for rule in c.rules):
        raise _RefusedOperationError(errno.EBUSY)
    del table.sets[operation.set]


def _references(rule: Rule) -> Iterator[str]:
    for statement in rule.statements:
        match statement:
            case Match(value=Named(set=name)) | VerdictLookup(map=name):
                yield name


def _add_elements(table: _Table, operation: AddElements) -> None:
    found = table.set(operation.set)
    if not isinstance(found, Set):
        raise _RefusedOperationError(errno.EINVAL)
    _check_keys(found, operation.keys)
    elements = found.elements | frozenset(operation.keys)
    if found.interval and _overlap(elements):
        raise _RefusedOperationError(errno.EEXIST)
    if found.size and not found.interval and len(elements) > found.size:
        raise _RefusedOperationError(errno.ENFILE)
    table.sets[operation.set] = replace(found, elements=elements)


def _check_keys(found: Set | VerdictMap, keys: Iterable[bytes]) -> None:
    width = found.key[0].size if len(found.key) == 1 else _width(found.key)
    if any(len(key) != width * (2 if _is_interval(found) else 1) for key in keys):
        raise _RefusedOperationError(errno.EINVAL)


def _overlap(intervals: Iterable[bytes]) -> bool:
    ordered = sorted(intervals)
    half = len(ordered[0]) // 2 if ordered else 0
    return any(second[:half] <= first[half:] for first, second in pairwise(ordered))


def _delete_elements(table: _Table, operation: DeleteElements) -> None:
    found = table.set(operation.set)
    gone = frozenset(operation.keys)
    _check_keys(found, gone)
    match found:
        case Set(elements=elements):
            table.sets[operation.set] = replace(found, elements=elements - gone)
        case VerdictMap(elements=verdicts):
            kept = {key: verdict for key, verdict in verdicts.items() if key not in gone}
            table.sets[operation.set] = replace(found, elements=kept)


def _add_verdicts(table: _Table, operation: AddVerdicts) -> None:
    found = table.set(operation.map)
    if not isinstance(found, VerdictMap):
        raise _RefusedOperationError(errno.EINVAL)
    _check_keys(found, operation.verdicts)
    elements = dict(found.elements)
    for key, verdict in operation.verdicts.items():
        table.check_target(verdict)
        if elements.setdefault(key, verdict) != verdict:
            raise _RefusedOperationError(errno.EEXIST)
    if found.size and len(elements) > found.size:
        raise _RefusedOperationError(errno.ENFILE)
    table.sets[operation.map] = replace(found, elements=elements)


_DO: Final[dict[type[Operation], Callable[[_Table, Any], None]]] = {
    CreateChain: _create_chain,
    FlushChain: _flush_chain,
    AddRule: _add_rule,
    DeleteChain: _delete_chain,
    CreateSet: _create_set,
    DeleteSet: _delete_set,
    AddElements: _add_elements,
    DeleteElements: _delete_elements,
    AddVerdicts: _add_verdicts,
}
