"""Giving addresses back, and telling who has them. Source: ``calico-control-plane.md`` 5.8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libcalico.datastore import keys
from libcalico.errors import ConflictError, NotFoundError
from libcalico.ipam.model import HOST_PREFIX, Attribute, Block, Handle, host_owner
from libcalico.ipam.plan import assign
from libcalico.ipam.plan import pools as pools_plan
from libcalico.ipam.plan.view import (
    POOLS,
    View,
    affinities_prefix,
    block_key,
    blocks_prefix,
    handle_key,
)
from libcalico.net.addresses import Cidr, parse_address, parse_cidr

#: Blocks that one transaction frees; a release of more goes on with the next.
_BLOCKS_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """An address to free, if it is still owned as expected.

    Attributes:
        handle: the handle that must own it; None accepts any.
        sequence: the block sequence at which it was assigned; None accepts any.
    """

    address: str
    handle: str | None = None
    sequence: int | None = None


def find_block(view: View, address: Cidr) -> Block | None:
    """Return the block that holds an address, whatever became of its pool."""
    view.require(prefixes=[POOLS])
    pool = pools_plan.pool_of(pools_plan.pools(view), address)
    block = view.block(pool.block_of(address)) if pool else None
    if block is not None:
        return block
    blocks = assign.all_blocks(view, address.version)
    return next((block for block in blocks if block.cidr.contains(address)), None)


def release_in_block(view: View, cidr: Cidr, requests: Sequence[ReleaseRequest]) -> list[str]:
    """Free addresses of one block.

    Returns:
        Those that were not assigned.

    Raises:
        ConflictError: an address is owned otherwise than expected; nothing is freed.
    """
    view.require(block_key(cidr), prefixes=[POOLS], fresh=True)
    block = view.block(cidr)
    if block is None:
        return [request.address for request in requests]
    idle, freed = [], []
    for request in requests:
        ordinal = parse_address(request.address).first - cidr.first
        owner = block.attribute_of(ordinal)
        if owner is None:
            idle.append(request.address)
            continue
        _check_owner(block, ordinal, owner, request)
        freed.append(ordinal)
    _free(view, block, freed)
    return idle


def _check_owner(block: Block, ordinal: int, owner: Attribute, request: ReleaseRequest) -> None:
    if request.handle is not None and owner.handle_id != request.handle:
        raise ConflictError(
            f"{request.address}: bad handle: owned by {owner.handle_id!r}, not {request.handle!r}"
        )
    held = block.sequence_by_ordinal.get(ordinal, 0)
    if request.sequence is not None and request.sequence != held:
        raise ConflictError(
            f"{request.address}: bad sequence number: {held}, not {request.sequence}"
        )


def _free(view: View, block: Block, ordinals: Sequence[int]) -> None:
    """Write a block without these allocations, and count them off their handles."""
    if not ordinals:
        return
    owners = [block.attribute_of(n) for n in ordinals]
    counts = Counter(owner.handle_id for owner in owners if owner and owner.handle_id)
    view.require(*(handle_key(handle) for handle in counts))
    _store(view, block.release(ordinals))
    for handle, number in counts.items():
        uncount(view, handle, block.cidr, number)


def _store(view: View, block: Block) -> None:
    """Write a block; an empty one that nobody owns, or that its owner may not use, disappears."""
    if block.empty and block.owner is None:
        view.delete(block_key(block.cidr))
        return
    view.put_block(block)
    if block.empty and block.owner is not None and block.owner.startswith(HOST_PREFIX):
        host = block.owner.removeprefix(HOST_PREFIX)
        assign.give_up_if_unselected(view, host, block.cidr, pools_plan.pools(view))


def uncount(view: View, handle_id: str, cidr: Cidr, number: int | None) -> None:
    """Write into a handle that it owns fewer addresses of a block (None: no more); delete it at none."""
    held = view.handle(handle_id)
    if held is None:
        return
    left = held.remove(cidr, number)
    if left.blocks:
        view.put(handle_key(handle_id), left)
    else:
        view.delete(handle_key(handle_id))


def release_by_handle(view: View, handle_id: str) -> bool:
    """Free what a handle owns, up to a number of blocks.

    Returns:
        Whether the handle owns more, in further blocks.

    Raises:
        NotFoundError: there is no such handle.
    """
    view.require(handle_key(handle_id), prefixes=[POOLS])
    held = view.handle(handle_id)
    if held is None:
        raise NotFoundError(f"handle {handle_id!r} does not exist")
    cidrs = sorted(parse_cidr(cidr, strict=False) for cidr in held.blocks)
    now, later = cidrs[:_BLOCKS_AT_ONCE], cidrs[_BLOCKS_AT_ONCE:]
    view.require(*map(block_key, now))
    for cidr in now:
        block = view.block(cidr)
        ordinals = block.ordinals_of(handle_id) if block else []
        if block is not None and ordinals:
            _store(view, block.release(ordinals))
        else:
            view.require(block_key(cidr), fresh=True)
        uncount(view, handle_id, cidr, None)
    if not cidrs:
        view.delete(handle_key(handle_id))
    return bool(later)


def addresses_by_handle(view: View, handle_id: str) -> list[str]:
    """Return the addresses that a handle owns.

    Raises:
        NotFoundError: there is no such handle.
    """
    if view.handle(handle_id) is None:
        raise NotFoundError(f"handle {handle_id!r} does not exist")
    return [block.address(n) for block, n in assign.addresses_of(view, handle_id)]


def owners(view: View, prefix: str) -> dict[str, Mapping[str, str]]:
    """Return handle → what its owner wrote about itself; empty for handles that own nothing."""
    handles = [
        (key.removeprefix(keys.HANDLES), value)
        for key, value in view.listing(handle_key(prefix))
        if isinstance(value, Handle)
    ]
    cidrs = {cidr for _, handle in handles for cidr in handle.blocks}
    view.require(*(block_key(parse_cidr(cidr, strict=False)) for cidr in sorted(cidrs)), fresh=True)
    found: dict[str, Mapping[str, str]] = {}
    for handle_id, _ in handles:
        owned = assign.addresses_of(view, handle_id)
        owner = owned[0][0].attribute_of(owned[0][1]) if owned else None
        found[handle_id] = owner.secondary if owner else {}
    return found


def attribute_of(view: View, address: str) -> tuple[Attribute, int]:
    """Return who owns an address, and the block sequence at which it was assigned.

    Raises:
        NotFoundError: nobody owns it.
    """
    wanted = parse_address(address)
    block = find_block(view, wanted)
    if block is not None:
        view.require(block_key(block.cidr), fresh=True)
        ordinal = wanted.first - block.cidr.first
        owner = block.attribute_of(ordinal)
        if owner is not None:
            return owner, block.sequence_by_ordinal.get(ordinal, 0)
    raise NotFoundError(f"IP is unassigned: {address}")


def affine_hosts(view: View, cidr: Cidr) -> list[tuple[str, Cidr]]:
    """Return (host, block) for each block within a range that a host owns."""
    return [
        (block.owner.removeprefix(HOST_PREFIX), block.cidr)
        for block in assign.all_blocks(view, cidr.version)
        if cidr.contains(block.cidr) and block.owner and block.owner.startswith(HOST_PREFIX)
    ]


def blocks_of_host(view: View, host: str) -> list[Cidr]:
    """Return the blocks that a host has an affinity to, or that name it as their owner, in order."""
    view.require(prefixes=[prefix for v in (4, 6) for prefix in _of_host(host, v)])
    found: set[Cidr] = set()
    for version in (4, 6):
        found.update(view.affine_blocks(host, version))
        blocks = assign.all_blocks(view, version)
        found.update(block.cidr for block in blocks if block.owner == host_owner(host))
    return sorted(found)


def _of_host(host: str, version: int) -> tuple[str, str]:
    return affinities_prefix(host, version), blocks_prefix(version)


def forget_host(view: View, host: str) -> None:
    """Delete the legacy mark of a host."""
    key = keys.path_of(keys.IpamHostKey(host))
    if view.get(key) is not None:
        view.delete(key)
