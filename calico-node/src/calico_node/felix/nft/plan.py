"""What changed → operations in an order the kernel accepts as one batch.

Within a batch nothing may dangle at any moment: a rule or a map element refers only to what exists,
and nothing is removed that is still referred to. Hence the order:

1. new chains, still empty, so that everything may refer to them;
2. rules and map elements that go, which frees what they refer to;
3. sets and maps that go, or return with another shape; then the new ones;
4. elements of sets, and of maps;
5. rules;
6. chains that go.

The batch is atomic: packets see the state before it or after it, never a chain flushed in between.

Source: net/netfilter/nf_tables_api.c; use counts are checked when a request is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from calico_node.felix.nft.model import (
    Chain,
    Match,
    Named,
    Rule,
    Set,
    Table,
    Verdict,
    VerdictLookup,
    VerdictMap,
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


@dataclass(frozen=True, slots=True)
class SetChange:
    """Elements of a set that come and go; ``set`` is the set as it shall be.

    Only its name, whether it is of intervals, and its owner are looked at, so that a caller
    who keeps elements elsewhere can pass a set without any.
    """

    set: Set
    added: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class MapChange:
    """Elements of a map that come, change, and go; of ``map`` name and owner are looked at.

    A key whose verdict changes is in ``changed`` alone.
    """

    map: VerdictMap
    added: Mapping[bytes, Verdict] = field(default_factory=dict)
    changed: Mapping[bytes, Verdict] = field(default_factory=dict)
    removed: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in one table. Names are of objects that exist before (removed) or after (others).

    Args:
        chains: new and rewritten chains, whole.
        created_chains: names of those of ``chains`` that are new.
        removed_chains: names; nothing that stays refers to them.
        created_sets: new sets and maps, with their elements.
        removed_sets: names of sets and maps; nothing that stays refers to them. A name that is also
            in ``created_sets`` is replaced; every chain that refers to it must be in ``chains``.
        set_changes: elements of sets that exist before and after.
        map_changes: elements of maps that exist before and after.
    """

    chains: tuple[Chain, ...] = ()
    created_chains: frozenset[str] = frozenset()
    removed_chains: frozenset[str] = frozenset()
    created_sets: tuple[Set | VerdictMap, ...] = ()
    removed_sets: frozenset[str] = frozenset()
    set_changes: tuple[SetChange, ...] = ()
    map_changes: tuple[MapChange, ...] = ()


def plan(table: str, delta: Delta) -> list[Operation]:
    """Return the operations that bring a delta into an existing table; none for an empty delta."""
    return [
        *(CreateChain(table, chain.name, chain.hook, chain.owner) for chain in delta.chains),
        *(FlushChain(table, chain.name, chain.owner) for chain in delta.chains),
        *(FlushChain(table, name, "") for name in sorted(delta.removed_chains)),
        *_vanishing_verdicts(table, delta.map_changes),
        *(DeleteSet(table, name, "") for name in sorted(delta.removed_sets)),
        *(CreateSet(table, new, new.owner) for new in delta.created_sets),
        *_set_elements(table, delta.set_changes),
        *(operation for new in delta.created_sets for operation in _content(table, new)),
        *_appearing_verdicts(table, delta.map_changes),
        *(operation for chain in delta.chains for operation in _rules(table, chain)),
        *(DeleteChain(table, name, "") for name in sorted(delta.removed_chains)),
    ]


def replace_table(table: Table) -> list[Operation]:
    """Return the operations that make the table exactly this, whatever it was before.

    Old rules hold until the new ones do, and conntrack is kept; yet a packet that is on its way then can
    be dropped, see :mod:`.rebuild`.
    """
    chains = [table.chains[name] for name in sorted(table.chains)]
    sets = [table.sets[name] for name in sorted(table.sets)]
    maps = [table.maps[name] for name in sorted(table.maps)]
    everything = Delta(chains=tuple(chains), created_sets=(*sets, *maps))
    fresh = [o for o in plan(table.name, everything) if not isinstance(o, FlushChain)]
    return [DestroyTable(table.name), CreateTable(table.name), *fresh]


def diff(before: Table, after: Table) -> Delta:
    """Return what changed between two contents of one table, sorted by name.

    It compares everything, so it is for small tables, tests and audits; a program that knows what
    changed makes its :class:`Delta` itself.
    """
    old_sets, new_sets = _sets_by_name(before), _sets_by_name(after)
    replaced = {
        name
        for name in old_sets.keys() & new_sets.keys()
        if _shape(old_sets[name]) != _shape(new_sets[name])
    }
    rehooked = {
        name
        for name in before.chains.keys() & after.chains.keys()
        if not _same_place(before.chains[name], after.chains[name])
    }
    if rehooked:
        raise ValueError(f"chains cannot change their hook: {sorted(rehooked)}; replace the table")
    return Delta(
        chains=tuple(
            chain
            for name, chain in sorted(after.chains.items())
            if before.chains.get(name) != chain or replaced & references(chain)
        ),
        created_chains=frozenset(after.chains.keys() - before.chains.keys()),
        removed_chains=frozenset(before.chains.keys() - after.chains.keys()),
        created_sets=tuple(
            new_sets[name] for name in sorted((new_sets.keys() - old_sets.keys()) | replaced)
        ),
        removed_sets=frozenset((old_sets.keys() - new_sets.keys()) | replaced),
        set_changes=tuple(_set_changes(before, after, replaced)),
        map_changes=tuple(_map_changes(before, after, replaced)),
    )


def references(chain: Chain) -> frozenset[str]:
    """Return the names of the sets and maps that the rules of a chain refer to."""
    return frozenset(name for rule in chain.rules for name in _rule_references(rule))


def _rule_references(rule: Rule) -> Iterator[str]:
    for statement in rule.statements:
        match statement:
            case Match(value=Named(set=name)) | VerdictLookup(map=name):
                yield name


def _vanishing_verdicts(table: str, changes: Iterable[MapChange]) -> Iterator[Operation]:
    for change in changes:
        if keys := sorted(change.removed | change.changed.keys()):
            yield DeleteElements(
                table, change.map.name, keys, interval=False, owner=change.map.owner
            )


def _appearing_verdicts(table: str, changes: Iterable[MapChange]) -> Iterator[Operation]:
    for change in changes:
        if change.added or change.changed:
            verdicts = {**change.added, **change.changed}
            yield AddVerdicts(table, change.map.name, verdicts, change.map.owner)


def _set_elements(table: str, changes: Iterable[SetChange]) -> Iterator[Operation]:
    for change in changes:
        name, interval, owner = change.set.name, change.set.interval, change.set.owner
        if change.removed:
            yield DeleteElements(table, name, change.removed, interval, owner)
        if change.added:
            yield AddElements(table, name, change.added, interval, owner)


def _content(table: str, new: Set | VerdictMap) -> Iterator[Operation]:
    if not new.elements:
        return
    match new:
        case Set(name=name, elements=elements, interval=interval, owner=owner):
            yield AddElements(table, name, elements, interval, owner)
        case VerdictMap(name=name, elements=verdicts, owner=owner):
            yield AddVerdicts(table, name, verdicts, owner)


def _rules(table: str, chain: Chain) -> Iterator[Operation]:
    for rule in chain.rules:
        yield AddRule(table, chain.name, rule, rule.owner or chain.owner)


def _sets_by_name(table: Table) -> dict[str, Set | VerdictMap]:
    return {**table.sets, **table.maps}


def _shape(of: Set | VerdictMap) -> tuple[object, ...]:
    """Return what a set cannot change while it lives."""
    return type(of), of.key, isinstance(of, Set) and of.interval, of.size


def _same_place(before: Chain, after: Chain) -> bool:
    if before.hook is None or after.hook is None:
        return before.hook is after.hook
    old, new = before.hook, after.hook
    return (old.type, old.hook, old.priority) == (new.type, new.hook, new.priority)


def _set_changes(before: Table, after: Table, replaced: set[str]) -> Iterator[SetChange]:
    for name in sorted((before.sets.keys() & after.sets.keys()) - replaced):
        old, new = before.sets[name].elements, after.sets[name].elements
        if old != new:
            yield SetChange(after.sets[name], added=new - old, removed=old - new)


def _map_changes(before: Table, after: Table, replaced: set[str]) -> Iterator[MapChange]:
    for name in sorted((before.maps.keys() & after.maps.keys()) - replaced):
        if change := changed_verdicts(after.maps[name], before.maps[name].elements):
            yield change


def changed_verdicts(wanted: VerdictMap, old: Mapping[bytes, Verdict]) -> MapChange | None:
    """Return what leads a map from old elements to those that are wanted; None: nothing."""
    new = wanted.elements
    if old == new:
        return None
    return MapChange(
        wanted,
        added={key: new[key] for key in new.keys() - old.keys()},
        changed={key: new[key] for key in new.keys() & old.keys() if new[key] != old[key]},
        removed=frozenset(old.keys() - new.keys()),
    )
