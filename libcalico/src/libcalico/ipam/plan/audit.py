"""Every assigned address with its owner, and the handles, as an inspection of IPAM needs them.

Source: calico-control-plane reference, sections 5.2 and 6.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from libcalico.datastore import keys
from libcalico.ipam.model import Block, Handle
from libcalico.ipam.plan.usage import stored_blocks
from libcalico.ipam.plan.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """An assigned address.

    Attributes:
        sequence: of the block when it was assigned; a release can demand it.
        attributes: what the owner wrote about itself (``node``, ``pod``, ``namespace``, ``type`` ...).
        alternate: what the second owner wrote, during a migration.
        block: CIDR of its block.
        block_owner: ``host:<name>``, ``virtual:<name>`` or None.
    """

    address: str
    handle: str | None = None
    sequence: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    alternate: Mapping[str, str] = field(default_factory=dict)
    block: str
    block_owner: str | None = None

    @property
    def node(self) -> str:
        """The node that uses it, "" if it does not say."""
        return self.attributes.get("node", "")

    @property
    def borrowed(self) -> bool:
        """Whether it was taken from a block of another owner."""
        return bool(self.node) and self.node != (self.block_owner or "").partition(":")[2]


@dataclass(frozen=True, slots=True)
class Audit:
    """What IPAM has stored, at one revision.

    Attributes:
        blocks: CIDR and owner of each block.
        handles: handle → whether an allocation names it.
        unstored: handles that allocations name and that are not stored.
        problems: contradictions, one sentence each.
    """

    blocks: Sequence[tuple[str, str | None]]
    allocations: Sequence[Allocation]
    handles: Mapping[str, bool]
    unstored: Sequence[str]
    problems: Sequence[str]


def audit(view: View, problems: Sequence[str]) -> Audit:
    """Return all blocks, allocations and handles."""
    view.require(prefixes=[keys.BLOCKS, keys.HANDLES])
    blocks = stored_blocks(view)
    found = [allocation for block in blocks for allocation in _of_block(block)]
    named = {allocation.handle for allocation in found if allocation.handle}
    stored = {
        key.removeprefix(keys.HANDLES)
        for key, handle in view.listing(keys.HANDLES)
        if isinstance(handle, Handle)
    }
    return Audit(
        blocks=[(str(block.cidr), block.owner) for block in blocks],
        allocations=found,
        handles={handle: handle in named for handle in sorted(stored)},
        unstored=sorted(named - stored),
        problems=problems,
    )


def _of_block(block: Block) -> Iterator[Allocation]:
    for ordinal in range(len(block.allocations)):
        owner = block.attribute_of(ordinal)
        if owner is not None:
            yield Allocation(
                address=block.address(ordinal),
                handle=owner.handle_id,
                sequence=block.sequence_by_ordinal.get(ordinal, 0),
                attributes=owner.secondary,
                alternate=owner.alternate or {},
                block=str(block.cidr),
                block_owner=block.owner,
            )
