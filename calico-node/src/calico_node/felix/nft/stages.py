"""What changed → batches, one after the other, so that a packet on its way sees no chain without its rules.

The kernel switches rules and elements at one moment, yet a packet in the middle of a base chain goes on
with the old rules and finds the new elements. An element that leads to a chain of the same batch would
lead it to a chain that, for the old rules, is empty: it would get no verdict there. Hence chains that new
elements lead to are there, filled, one batch earlier; nothing refers to them until the second.

Source: net/netfilter/nf_tables_core.c (nft_do_chain reads the generation once), nf_tables_api.c
(nf_tables_commit; a lookup reads it again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from calico_node.felix.nft.model import DROP, Chain, Rule, Verdict
from calico_node.felix.nft.operations import Operation
from calico_node.felix.nft.plan import Delta, plan, references


def stages(table: str, delta: Delta) -> list[list[Operation]]:
    """Return one or two batches that bring a delta into an existing table; none for an empty delta.

    Nothing refers to what the first of two creates; if the second is refused it is left over.
    """
    if delta.created_chains.isdisjoint(_new_targets(delta)):
        batches = [plan(table, delta)]
    else:
        early, late = _split(delta)
        batches = [plan(table, early), plan(table, late)]
    return [batch for batch in batches if batch]


def _new_targets(delta: Delta) -> Iterator[str]:
    """Yield the chains that elements which come or change lead to."""
    for change in delta.map_changes:
        for verdict in (*change.added.values(), *change.changed.values()):
            yield verdict.chain


def _split(delta: Delta) -> tuple[Delta, Delta]:
    """Return what nothing refers to yet, and the rest."""
    created = [
        chain for chain in delta.chains if chain.name in delta.created_chains and not chain.hook
    ]
    whole = _whole(delta, created)
    early = Delta(
        chains=tuple(chain if chain.name in whole else _closed(chain) for chain in created),
        created_chains=frozenset(chain.name for chain in created),
        created_sets=tuple(s for s in delta.created_sets if s.name not in delta.removed_sets),
    )
    late = replace(
        delta,
        chains=tuple(chain for chain in delta.chains if chain.name not in whole),
        created_chains=delta.created_chains - early.created_chains,
        created_sets=tuple(s for s in delta.created_sets if s.name in delta.removed_sets),
    )
    return early, late


def _whole(delta: Delta, created: Sequence[Chain]) -> set[str]:
    """Return which new chains can have their rules in the first batch: all that they lead to is there.

    The others drop everything until the second.
    """
    changing = delta.removed_sets | {change.map.name for change in delta.map_changes}
    unready = {chain.name for chain in delta.chains} - {chain.name for chain in created}
    whole = {chain.name: chain for chain in created}
    while not_whole := [
        name
        for name, chain in whole.items()
        if not references(chain).isdisjoint(changing) or not unready.isdisjoint(_jumps(chain))
    ]:
        unready.update(not_whole)
        for name in not_whole:
            del whole[name]
    return set(whole)


def _jumps(chain: Chain) -> Iterator[str]:
    for rule in chain.rules:
        for statement in rule.statements:
            if isinstance(statement, Verdict):
                yield statement.chain


def _closed(chain: Chain) -> Chain:
    return replace(chain, rules=(Rule((DROP,)),))
