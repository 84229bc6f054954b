"""A table that is there, of which little is known → the batches that make it the desired one.

Replacing the table as a whole would do, too, but the kernel hides the elements of maps that go from
packets on their way, which then find no chain for their interface. So maps stay, and only what differs
in them is changed; everything else is written anew.

Source: net/netfilter/nf_tables_api.c (nft_delset deactivates the elements of maps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calico_node.felix.nft.model import Table, Verdict, VerdictMap
from calico_node.felix.nft.operations import CreateTable, Operation
from calico_node.felix.nft.plan import Delta, changed_verdicts
from calico_node.felix.nft.stages import stages
from calico_node.felix.nft.wire import Place, key_shape, place_of


@dataclass(frozen=True, slots=True)
class FoundMap:
    """A verdict map in the kernel.

    Args:
        shape: of its key, see :func:`.wire.key_shape`.
        elements: key → verdict.
    """

    shape: tuple[int, int]
    elements: Mapping[bytes, Verdict]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What is known of a table in the kernel.

    Args:
        chains: name → where it hangs; None: on no hook.
        sets: names of all sets and maps.
        maps: name → verdict map.
    """

    chains: Mapping[str, Place | None]
    sets: frozenset[str]
    maps: Mapping[str, FoundMap]


def rebuild(found: Skeleton, wanted: Table) -> list[list[Operation]] | None:
    """Return the batches, or None where the table must be replaced: a chain hangs elsewhere."""
    if not _in_place(found, wanted):
        return None
    kept = {name for name, map_ in wanted.maps.items() if _is_kept(map_, found)}
    changes = [
        changed_verdicts(wanted.maps[name], found.maps[name].elements) for name in sorted(kept)
    ]
    delta = Delta(
        chains=tuple(wanted.chains[name] for name in sorted(wanted.chains)),
        created_chains=frozenset(wanted.chains.keys() - found.chains.keys()),
        removed_chains=frozenset(found.chains.keys() - wanted.chains.keys()),
        created_sets=(
            *(wanted.sets[name] for name in sorted(wanted.sets)),
            *(wanted.maps[name] for name in sorted(wanted.maps.keys() - kept)),
        ),
        removed_sets=found.sets - kept,
        map_changes=tuple(change for change in changes if change is not None),
    )
    first, *others = stages(wanted.name, delta) or [[]]
    return [[CreateTable(wanted.name), *first], *others]


def _in_place(found: Skeleton, wanted: Table) -> bool:
    return all(
        found.chains.get(name, place) == place
        for name, chain in wanted.chains.items()
        for place in [place_of(chain.hook) if chain.hook else None]
    )


def _is_kept(map_: VerdictMap, found: Skeleton) -> bool:
    there = found.maps.get(map_.name)
    return there is not None and there.shape == key_shape(map_.key)
