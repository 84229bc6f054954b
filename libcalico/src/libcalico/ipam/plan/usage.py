"""How full the pools are, and whether what is stored agrees with itself.

Source: ``calico-control-plane.md`` 5.9.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from libcalico.datastore import keys
from libcalico.ipam.model import HOST_PREFIX, Block, Handle
from libcalico.ipam.plan import assign
from libcalico.ipam.plan import pools as pools_plan
from libcalico.ipam.plan.view import POOLS, View, blocks_prefix

ORPHANS = "orphaned allocation blocks"


@dataclass(frozen=True, slots=True)
class BlockUsage:
    """A block: how many addresses it has, and how many of them are free (reserved ones included)."""

    cidr: str
    capacity: int
    available: int


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """A pool and its blocks; blocks outside every pool are in :data:`ORPHANS`."""

    name: str
    cidr: str
    blocks: tuple[BlockUsage, ...]


def utilization(view: View, names: Sequence[str] | None = None) -> list[PoolUsage]:
    """Return the use of all pools, or of those named (by name or CIDR), pools by name."""
    blocks = stored_blocks(view)
    found: dict[tuple[str, str], list[BlockUsage]] = defaultdict(list)
    all_pools = pools_plan.pools(view)
    for pool in all_pools:
        found[pool.name, str(pool.cidr)] = []
    for block in blocks:
        owner = pools_plan.pool_of(all_pools, block.cidr)
        key = (owner.name, str(owner.cidr)) if owner else (ORPHANS, "0.0.0.0/0")
        found[key].append(
            BlockUsage(str(block.cidr), len(block.allocations), len(block.unallocated))
        )
    return [
        PoolUsage(name, cidr, tuple(usages))
        for (name, cidr), usages in found.items()
        if names is None or name in names or cidr in names
    ]


def stored_blocks(view: View) -> list[Block]:
    """Return all blocks of both families, in order."""
    view.require(prefixes=[POOLS, *map(blocks_prefix, (4, 6))])
    found = [block for version in (4, 6) for block in assign.all_blocks(view, version)]
    return sorted(found, key=lambda block: block.cidr)


def problems(view: View) -> list[str]:
    """Return every contradiction in what is stored, one sentence each; empty if all is well.

    Checked: blocks do not overlap; every owned address with a handle is counted by that handle (a
    handle may count too much, as Go does); every handle exists for a reason; a block that names a
    host as owner has that host's affinity.
    """
    view.require(prefixes=[POOLS, keys.BLOCKS, keys.HANDLES, keys.IPAM + "host/"])
    blocks = stored_blocks(view)
    return [
        *_broken(view),
        *_overlaps(blocks),
        *_uncounted(view, blocks),
        *_without_affinity(view, blocks),
    ]


def _broken(view: View) -> list[str]:
    listed = [*view.listing(keys.BLOCKS), *view.listing(keys.HANDLES)]
    return [
        f"{key}: cannot be read" for key, value in listed if not isinstance(value, Block | Handle)
    ]


def _overlaps(blocks: Sequence[Block]) -> list[str]:
    return [
        f"blocks {one.cidr} and {two.cidr} overlap"
        for one, two in pairwise(blocks)
        if one.cidr.contains(two.cidr) or two.cidr.contains(one.cidr)
    ]


def _uncounted(view: View, blocks: Sequence[Block]) -> list[str]:
    owned: dict[tuple[str, str], int] = defaultdict(int)
    for block in blocks:
        for ordinal in range(len(block.allocations)):
            owner = block.attribute_of(ordinal)
            if owner is not None and owner.handle_id:
                owned[owner.handle_id, str(block.cidr)] += 1
    counted = {
        (key.removeprefix(keys.HANDLES), cidr): number
        for key, handle in view.listing(keys.HANDLES)
        if isinstance(handle, Handle)
        for cidr, number in handle.blocks.items()
    }
    missing = [
        f"handle {handle} counts {counted.get((handle, cidr), 0)} addresses in {cidr}, owns {number}"
        for (handle, cidr), number in owned.items()
        if counted.get((handle, cidr), 0) < number
    ]
    unused = [
        f"handle {handle} counts {number} addresses in {cidr}, owns none"
        for (handle, cidr), number in counted.items()
        if (handle, cidr) not in owned
    ]
    return missing + unused


def _without_affinity(view: View, blocks: Sequence[Block]) -> list[str]:
    found = []
    for block in blocks:
        if block.owner is None or not block.owner.startswith(HOST_PREFIX):
            continue
        host = block.owner.removeprefix(HOST_PREFIX)
        if view.affinity(host, block.cidr) is None:
            found.append(f"block {block.cidr} belongs to {host}, which has no affinity to it")
    return found
