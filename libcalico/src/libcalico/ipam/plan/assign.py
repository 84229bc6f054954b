"""Giving out addresses: automatically, or one that is asked for.

Source: ``calico-control-plane.md`` 5.4, 5.6. Fill order: the host's own blocks, then a new block,
then an empty block of another host, then - unless affinity is strict - any free address of the pools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from libcalico.errors import AddressInUseError, IpamError, NoPoolError, PoolExhaustedError
from libcalico.ipam.model import Attribute, Block, Handle, host_owner
from libcalico.ipam.plan import claim
from libcalico.ipam.plan import pools as pools_plan
from libcalico.ipam.plan.pools import Pool, PoolQuery, Use
from libcalico.ipam.plan.view import (
    CONFIG_KEY,
    POOLS,
    RESERVATIONS,
    View,
    affinities_prefix,
    block_key,
    blocks_prefix,
    handle_key,
)
from libcalico.net.addresses import Cidr, parse_address, parse_cidr

#: How many blocks are asked for by name before all blocks of the family are read.
_PROBES = 8
#: Give up looking for a free block after so many; only huge pools that are wholly reserved reach it.
_MAX_CANDIDATES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignRequest:
    """What a workload or tunnel wants.

    Attributes:
        host: the node that the addresses are for.
        num4: how many IPv4 addresses.
        num6: how many IPv6 addresses.
        handle: names the owner; addresses without one can only be released one by one.
        attributes: what to write about the owner (``node``, ``pod``, ``namespace``, ``timestamp``).
        pools4: CIDRs or names of pools to use; None: those that select the node.
        pools6: likewise.
        within4: part of a pool, which alone is used, and of it only this range.
        within6: likewise.
        namespace_labels: labels of the workload's namespace.
        max_blocks: limit of blocks of one family for the host; the smaller of this and the setting, if
            that is set.
        max_per_handle: addresses of a family that the handle may own; it is given those it owns
            already first, so that a request that is repeated gets the same answer.
        partial: give fewer addresses than asked for rather than none.
    """

    host: str
    num4: int = 0
    num6: int = 0
    handle: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    pools4: Sequence[str] | None = None
    pools6: Sequence[str] | None = None
    within4: Cidr | None = None
    within6: Cidr | None = None
    use: Use = "Workload"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    max_blocks: int | None = None
    max_per_handle: int | None = None
    partial: bool = False

    def query(self, version: int) -> PoolQuery:
        """Return what the request demands of pools of a family."""
        return PoolQuery(
            version=version,
            host=self.host,
            use=self.use,
            named=self.pools4 if version == 4 else self.pools6,
            namespace_labels=self.namespace_labels,
        )


@dataclass(frozen=True, slots=True)
class Assigned:
    """One address that was given out. ``pool`` is empty if no pool holds it any more."""

    address: str
    block: str
    pool: str
    pool_cidr: str


@dataclass(frozen=True, slots=True)
class AssignResult:
    """Addresses by family, in the order assigned, and why there are not more."""

    ipv4: tuple[Assigned, ...] = ()
    ipv6: tuple[Assigned, ...] = ()
    messages: tuple[str, ...] = ()


def auto_assign(view: View, request: AssignRequest) -> AssignResult:
    """Assign addresses of either family.

    Raises:
        NoPoolError: no pool may be used.
        PoolExhaustedError: there are fewer addresses than asked for, and the request is not partial.
    """
    _require_facts(view, request)
    found: dict[int, tuple[Assigned, ...]] = {4: (), 6: ()}
    messages: list[str] = []
    for version, wanted in _wanted(request):
        family = _Family(view, request, version)
        found[version] = family.assign(wanted)
        short = wanted - len(found[version])
        if short > 0 and not request.partial:
            raise PoolExhaustedError(_shortage(version, wanted, short, family.messages))
        messages += family.messages
    return AssignResult(found[4], found[6], tuple(messages))


def _wanted(request: AssignRequest) -> list[tuple[int, int]]:
    wanted: list[tuple[int, int]] = [(4, request.num4), (6, request.num6)]
    return [(version, number) for version, number in wanted if number > 0]


def _require_facts(view: View, request: AssignRequest) -> None:
    """Have everything that any assignment looks at read in one go."""
    handles = [handle_key(request.handle)] if request.handle else []
    affinities = [affinities_prefix(request.host, v) for v, _ in _wanted(request)]
    view.require(CONFIG_KEY, *handles, prefixes=[POOLS, RESERVATIONS, *affinities])


def _shortage(version: int, wanted: int, short: int, messages: Sequence[str]) -> str:
    text = f"Assigned {wanted - short} out of {wanted} requested IPv{version} addresses"
    return "; ".join([text, *messages])


def _narrowed(pools: list[Pool], within: Cidr | None) -> list[Pool]:
    """Return the pools, or what holds the range ``within`` of the one that has it.

    Raises:
        NoPoolError: none of them has it.
    """
    if within is None:
        return pools
    found = [pool.narrowed(within) for pool in pools if pool.cidr.contains(within)]
    if not found:
        raise NoPoolError(f"the range {within} is in no pool that may be used")
    return found


class _Family:
    """The assignment of addresses of one family; collects why it fell short."""

    def __init__(self, view: View, request: AssignRequest, version: int) -> None:
        self._view = view
        self._request = request
        self._version = version
        self._host = request.host
        self._attribute = Attribute(request.handle, dict(request.attributes))
        self._all_pools = pools_plan.pools(view)
        within = request.within4 if version == 4 else request.within6
        self._pools = _narrowed(pools_plan.choose(view, request.query(version)), within)
        self._searched = [within] if within else [pool.cidr for pool in self._pools]
        self._reservations = pools_plan.reservations(view, within)
        self._config = view.config()
        self.messages: list[str] = []

    def assign(self, number: int) -> tuple[Assigned, ...]:
        """Assign up to ``number`` addresses."""
        found = self._held(number)
        if len(found) >= number:
            return tuple(found)
        affine = self._affine_blocks()
        owned = 0
        for cidr in affine:
            block = claim.own(self._view, self._host, cidr) if len(found) < number else None
            if block is not None:
                owned += 1
                found += self._take(block, number - len(found))
        if len(found) < number:
            self._view.require(*map(block_key, affine), fresh=True)
            found += self._from_elsewhere(number - len(found), owned)
        return tuple(found)

    def _held(self, number: int) -> list[Assigned]:
        """Return what the handle owns already, if the request is bounded by that."""
        request = self._request
        if request.max_per_handle is None or request.handle is None:
            return []
        held = addresses_of(self._view, request.handle, self._version)
        if len(held) >= min(number, request.max_per_handle):
            return [self._describe(block, n) for block, n in held[:number]]
        return []

    def _affine_blocks(self) -> list[Cidr]:
        """Return the host's blocks in usable pools; those that no pool selects any more are given up."""
        affine = self._view.affine_blocks(self._host, self._version)
        usable, strange = [], []
        for cidr in affine:
            if pools_plan.pool_of(self._pools, cidr):
                usable.append(cidr)
            elif not self._selected(cidr):
                strange.append(cidr)
        self._view.require(*map(block_key, [*usable, *strange]))
        for cidr in strange:
            give_up_if_unselected(self._view, self._host, cidr, self._all_pools)
        return usable

    def _selected(self, cidr: Cidr) -> bool:
        return selected(self._view, self._host, cidr, self._all_pools)

    def _from_elsewhere(self, number: int, owned: int) -> list[Assigned]:
        limit = self._config.block_limit(self._request.max_blocks)
        if not self._config.auto_allocate_blocks:
            self.messages.append("failed to find or claim a block (block allocation is disabled)")
            return []
        found: list[Assigned] = []
        while len(found) < number:
            if owned >= limit:
                self.messages.append(
                    "cannot allocate new block due to per host block limit: "
                    f"limit of {limit} blocks reached for node {self._host}"
                )
                return found
            block = self._claim_new()
            if block is None:
                break
            owned += 1
            found += self._take(block, number - len(found))
        return found + self._borrow(number - len(found))

    def _claim_new(self) -> Block | None:
        for candidate in self._unclaimed():
            block = claim.own(self._view, self._host, candidate)
            if block is not None and self._reservations.free(block):
                return block
        for existing in self._existing():
            if self._reservations.free(existing):
                ours = claim.take_over(self._view, self._host, existing)
                if ours is not None:
                    return ours
        return None

    def _unclaimed(self) -> Iterator[Cidr]:
        """Yield blocks that nobody has claimed, reading few of them first, then all."""
        for pool in self._pools:
            for index, cidr in enumerate(pool.blocks(self._host)):
                if index == _MAX_CANDIDATES:
                    break
                if self._reservations.cover(cidr):
                    continue
                if index == 0:
                    self._probe(pool)
                elif index >= _PROBES:
                    self._view.require(prefixes=[blocks_prefix(self._version)])
                if self._view.get(block_key(cidr)) is None:
                    yield cidr

    def _probe(self, pool: Pool) -> None:
        first = [cidr for cidr, _ in zip(pool.blocks(self._host), range(_PROBES), strict=False)]
        self._view.require(*map(block_key, first), fresh=True)

    def _existing(self) -> Iterator[Block]:
        """Yield all blocks of the pools that exist, each pool from the host's own starting place."""
        stored = all_blocks(self._view, self._version)
        for pool in self._pools:
            yield from pool.existing(stored, self._host)

    def _borrow(self, number: int) -> list[Assigned]:
        """Take free addresses wherever the pools have some, whoever owns the block."""
        if number <= 0:
            return []
        if self._config.strict_affinity:
            self.messages.append("No more free affine blocks and strict affinity enabled")
            return []
        found: list[Assigned] = []
        for block in self._existing():
            if len(found) == number:
                return found
            found += self._take(block, number - len(found))
        if len(found) < number:
            names = ", ".join(map(str, self._searched))
            self.messages.append(f"No IPs available in pools: [{names}]")
        return found

    def _take(self, block: Block, number: int) -> list[Assigned]:
        """Assign up to ``number`` addresses of a block."""
        chosen = self._reservations.free(block)[:number]
        if not chosen:
            return []
        self._view.put_block(block.assign(chosen, self._attribute))
        count(self._view, self._request.handle, block.cidr, len(chosen))
        return [self._describe(block, n) for n in chosen]

    def _describe(self, block: Block, ordinal: int) -> Assigned:
        return describe(block, ordinal, self._all_pools)


def describe(block: Block, ordinal: int, all_pools: Sequence[Pool]) -> Assigned:
    """Return an assigned address with where it comes from."""
    pool = pools_plan.pool_of(all_pools, block.cidr)
    name, cidr = (pool.name, str(pool.cidr)) if pool else ("", "")
    return Assigned(block.address(ordinal), str(block.cidr), name, cidr)


def count(view: View, handle: str | None, cidr: Cidr, number: int) -> None:
    """Write into the handle that it owns more addresses of a block."""
    if handle is None:
        return
    held = view.handle(handle) or Handle()
    view.put(handle_key(handle), held.add(cidr, number))


def all_blocks(view: View, version: int) -> list[Block]:
    """Return every block of a family that can be read."""
    listed = view.listing(blocks_prefix(version))
    return [value for _, value in listed if isinstance(value, Block)]


def addresses_of(view: View, handle: str, version: int | None = None) -> list[tuple[Block, int]]:
    """Return what a handle owns as (block, ordinal), blocks in order."""
    held = view.handle(handle)
    cidrs = sorted(parse_cidr(cidr, strict=False) for cidr in held.blocks) if held else []
    wanted = [cidr for cidr in cidrs if version in (None, cidr.version)]
    view.require(*map(block_key, wanted), fresh=True)
    blocks = [block for block in map(view.block, wanted) if block is not None]
    return [(block, n) for block in blocks for n in block.ordinals_of(handle)]


def selected(view: View, host: str, cidr: Cidr, all_pools: Sequence[Pool]) -> bool:
    """Whether an enabled pool that selects the host holds the block."""
    pool = pools_plan.pool_of(all_pools, cidr)
    return pool is not None and not pool.disabled and pools_plan.selects_node(view, pool, host)


def give_up_if_unselected(view: View, host: str, cidr: Cidr, all_pools: Sequence[Pool]) -> None:
    """Release the affinity to an empty block that no pool selects for the host any more."""
    if selected(view, host, cidr, all_pools):
        return
    block = view.block(cidr)
    if block is None or (block.empty and block.owner == host_owner(host)):
        claim.give_up(view, host, cidr)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRequest:
    """One particular address that is asked for. Fields as in :class:`AssignRequest`."""

    address: str
    host: str
    handle: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def assign_address(view: View, request: AddressRequest) -> Assigned:
    """Assign one particular address; selectors, uses and reservations of pools do not matter.

    Raises:
        NoPoolError: the address is in no enabled pool.
        AddressInUseError: it is assigned already.
        IpamError: affinity is strict and the block is another host's.
    """
    address = parse_address(request.address)
    handles = [handle_key(request.handle)] if request.handle else []
    view.require(CONFIG_KEY, *handles, prefixes=[POOLS])
    all_pools = pools_plan.pools(view)
    pool = pools_plan.pool_of([p for p in all_pools if not p.disabled], address)
    if pool is None:
        raise NoPoolError(f"The provided IP address {request.address} is not in a configured pool")
    block = _block_for(view, request.host, pool.block_of(address))
    ordinal = address.first - block.cidr.first
    if block.allocations[ordinal] is not None:
        view.require(block_key(block.cidr), fresh=True)
        raise AddressInUseError(f"Address {request.address} already assigned in block {block.cidr}")
    view.put_block(block.assign([ordinal], Attribute(request.handle, dict(request.attributes))))
    count(view, request.handle, block.cidr, 1)
    return describe(block, ordinal, all_pools)


def _block_for(view: View, host: str, cidr: Cidr) -> Block:
    """Return the block to assign a given address from, claimed for the host if nobody has it."""
    block = view.block(cidr)
    if block is None:
        block = claim.own(view, host, cidr)
    elif view.config().strict_affinity and block.owner != host_owner(host):
        raise IpamError(_why_not_ours(block, host))
    if block is None:
        raise IpamError(f"block {cidr} cannot be claimed for {host}")
    return block


def _why_not_ours(block: Block, host: str) -> str:
    """Return why strict affinity forbids a host to assign from a block. Words as in Go."""
    if block.owner is None:
        return f"Attempt to assign from block {block.cidr} with no affinity"
    return f"Block host affinity does not match: block {block.cidr} belongs to {block.owner}, not to {host}"
