"""Which pools a request may take addresses from, and which addresses are reserved.

Source: ``calico-control-plane.md`` 2.2 (pool fields and defaults), 5.4 step 3, 5.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from libcalico.datastore import keys
from libcalico.errors import NoPoolError, SelectorSyntaxError, ValidationError
from libcalico.ipam.model import Block
from libcalico.ipam.plan.view import POOLS, RESERVATIONS, View
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import ResourceId
from libcalico.resources.nodes import Node
from libcalico.resources.reservations import IPReservation
from libcalico.selector.parse import parse as parse_selector

Use = Literal["Workload", "Tunnel", "LoadBalancer"]
_DEFAULT_BLOCK_PREFIX: dict[int, int] = {4: 26, 6: 122}
_DEFAULT_USES = ("Workload", "Tunnel")
#: Selectors that select everything; they need no labels.
_EVERYTHING = frozenset({"", "all()"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An IP pool with its defaults filled in.

    Attributes:
        block_prefix: prefix length of its blocks.
        automatic: whether requests that name no pool may use it.
        disabled: nothing more may be assigned.
    """

    name: str
    cidr: Cidr
    block_prefix: int
    node_selector: str = ""
    namespace_selector: str = ""
    uses: Sequence[str] = _DEFAULT_USES
    automatic: bool = True
    disabled: bool = False

    def block_of(self, address: Cidr) -> Cidr:
        """Return the block that holds the address."""
        return address.supernet(self.block_prefix)

    def narrowed(self, within: Cidr) -> Pool:
        """Return the pool as if it had only the blocks that a range of it needs."""
        return replace(self, cidr=within.supernet(min(within.prefix, self.block_prefix)))

    def blocks(self, host: str) -> Iterator[Cidr]:
        """Yield all blocks; each host starts elsewhere, always at the same place.

        Hosts that claim at the same time so seldom want the same block.
        """
        start, count = self._start(host), self._count
        version, shift = self.cidr.version, self.cidr.bits - self.block_prefix
        for index in range(start, start + count):
            yield Cidr(version, self.cidr.first + (index % count << shift), self.block_prefix)

    def existing(self, stored: Sequence[Block], host: str) -> list[Block]:
        """Return the stored blocks of the pool, in the order of :meth:`blocks`."""
        start, count = self._start(host), self._count
        shift = self.cidr.bits - self.block_prefix

        def place(block: Block) -> int:
            return (((block.cidr.first - self.cidr.first) >> shift) - start) % count

        return sorted((b for b in stored if self.cidr.contains(b.cidr)), key=place)

    @property
    def _count(self) -> int:
        return 1 << (self.block_prefix - self.cidr.prefix)

    def _start(self, host: str) -> int:
        seed = hashlib.blake2b(host.encode(), digest_size=16).digest()
        return int.from_bytes(seed) % self._count


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolQuery:
    """What a request demands of a pool.

    Attributes:
        named: CIDRs or names of pools to use, in this order; None means those that select the node.
        namespace_labels: labels of the workload's namespace, for pools with a namespace selector.
    """

    version: int
    host: str
    use: Use
    named: Sequence[str] | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


def pools(view: View) -> list[Pool]:
    """Return all pools, in order of their names; those that cannot be read are left out."""
    found = (_pool(value) for _, value in view.listing(POOLS) if isinstance(value, IPPool))
    return [pool for pool in found if pool is not None]


def _pool(resource: IPPool) -> Pool | None:
    spec = resource.spec
    try:
        cidr = parse_cidr(spec.cidr, strict=False)
    except ValidationError:
        return None
    prefix = spec.block_size or _DEFAULT_BLOCK_PREFIX[cidr.version]
    if not cidr.prefix <= prefix <= (32 if cidr.version == 4 else 128):
        return None
    return Pool(
        name=resource.name,
        cidr=cidr,
        block_prefix=prefix,
        node_selector=spec.node_selector,
        namespace_selector=spec.namespace_selector,
        uses=tuple(spec.allowed_uses) or _DEFAULT_USES,
        automatic=spec.assignment_mode != "Manual",
        disabled=not resource.is_enabled,
    )


def choose(view: View, query: PoolQuery) -> list[Pool]:
    """Return the pools a request may use, in the order to try them.

    Raises:
        NoPoolError: there is none; the text says why.
    """
    enabled = [p for p in pools(view) if p.cidr.version == query.version and not p.disabled]
    if query.named is not None:
        candidates = [_named(text, enabled) for text in query.named]
    else:
        candidates = [
            pool
            for pool in enabled
            if pool.automatic
            and selects_node(view, pool, query.host)
            and _matches(pool.namespace_selector, query.namespace_labels)
        ]
    if not candidates:
        raise NoPoolError(
            f"no configured Calico pools for node {query.host} (IPv{query.version}); "
            "create an IPPool, or check disabled, nodeSelector and assignmentMode of the existing ones"
        )
    usable = [pool for pool in candidates if query.use in pool.uses]
    if not usable:
        raise NoPoolError(
            f"cannot find a qualified ippool, no pools match the required use ({query.use})"
        )
    return usable


def _named(text: str, enabled: Sequence[Pool]) -> Pool:
    try:
        cidr = parse_cidr(text, strict=False) if "/" in text else None
    except ValidationError:
        cidr = None
    for pool in enabled:
        if pool.cidr == cidr or pool.name == text:
            return pool
    raise NoPoolError(f"the given pool ({text}) does not exist, or is not enabled")


def selects_node(view: View, pool: Pool, host: str) -> bool:
    """Whether the pool's node selector matches the host. A host without Node object has no labels."""
    if pool.node_selector in _EVERYTHING:
        return True
    node = view.get(keys.path_of(ResourceId("Node", "", host)))
    return _matches(pool.node_selector, node.metadata.labels if isinstance(node, Node) else {})


def _matches(selector: str, labels: Mapping[str, str]) -> bool:
    """A selector that does not parse matches nothing: the pool is not used by mistake."""
    if selector in _EVERYTHING:
        return True
    try:
        return bool(parse_selector(selector).evaluate(labels))
    except SelectorSyntaxError:
        return False


def pool_of(all_pools: Sequence[Pool], cidr: Cidr) -> Pool | None:
    """Return the pool that holds a block or an address, None if none does."""
    return next((pool for pool in all_pools if pool.cidr.contains(cidr)), None)


class Reservations:
    """Addresses that automatic assignment leaves alone. Source: 5.7."""

    def __init__(self, ranges: Sequence[Cidr], within: Cidr | None = None) -> None:
        """Take the ranges that are reserved, and the one range that alone may be used, if there is one."""
        self._ranges = tuple(ranges)
        self._within = within

    def reserved(self, block: Block, ordinal: int) -> bool:
        """Whether an address of the block is reserved."""
        value = block.cidr.first + ordinal
        if self._within is not None and not self._within.first <= value <= self._within.last:
            return True
        return any(
            r.version == block.cidr.version and r.first <= value <= r.last for r in self._ranges
        )

    def free(self, block: Block) -> list[int]:
        """Return the free ordinals that may be assigned, next one first."""
        if not self._ranges and self._within is None:
            return list(block.unallocated)
        return [n for n in block.unallocated if not self.reserved(block, n)]

    def cover(self, cidr: Cidr) -> bool:
        """Whether one reservation takes the whole range."""
        return any(r.contains(cidr) for r in self._ranges)


def reservations(view: View, within: Cidr | None = None) -> Reservations:
    """Return the reservations of the cluster; entries that cannot be read are left out.

    Args:
        view: of the store.
        within: all that is not in this range counts as reserved, too.
    """
    ranges = []
    for _, value in view.listing(RESERVATIONS):
        for text in value.spec.reserved_cidrs if isinstance(value, IPReservation) else ():
            try:
                ranges.append(
                    parse_cidr(text, strict=False) if "/" in text else parse_address(text)
                )
            except ValidationError:
                continue
    return Reservations(ranges, within)
