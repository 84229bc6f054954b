"""Blocks, affinities, handles and settings: what IPAM stores, to the byte as Go Calico stores it.

A block is a CIDR of which each address has an *ordinal*, counted from the first. ``allocations``
says for each ordinal which entry of ``attributes`` owns it; ``unallocated`` is the queue of free
ordinals: assignment takes from the front, release appends to the back, so that an address rests as
long as possible before it is used again. Ordinals of one owner share one attribute.

Values are immutable; changes return a new value. ``extra`` keeps fields that this version does not
know. Sequence numbers exceed 2**53: they are integers everywhere, never floats.

Source: ``calico-control-plane.md`` 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import msgspec

from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, address_text, parse_cidr
from libcalico.resources import codec

HOST_PREFIX = "host:"
AffinityState = Literal["pending", "confirmed", "pendingDeletion"]
CONFIRMED: AffinityState = "confirmed"
DEFAULT_MAX_BLOCKS_PER_HOST = 20
#: Fields that hold no floating-point numbers, which Go prints in its own way.
_OUR_FIELDS = frozenset(
    {
        *("cidr", "affinity", "affinity_claim_time", "allocations", "unallocated", "attributes"),
        *("sequenceNumber", "sequenceNumberForAllocation", "deleted", "state", "block"),
    }
)


def host_owner(host: str) -> str:
    """Return how a block names the host that it has an affinity to."""
    return HOST_PREFIX + host


@dataclass(frozen=True, slots=True)
class Attribute:
    """Who owns addresses: a handle, and what the owner wrote about itself (both may be unset).

    Attributes:
        alternate: second owner, during a migration of a virtual machine; never shared.
    """

    handle_id: str | None = None
    secondary: Mapping[str, str] = field(default_factory=dict)
    alternate: Mapping[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one element of a block's ``attributes``."""
        known = ("handle_id", "secondary", "alternateOwnerAttrs")
        handle_id = raw.get("handle_id")
        return cls(
            handle_id.split("\r", 1)[0] if handle_id else handle_id,
            raw.get("secondary") or {},
            raw.get("alternateOwnerAttrs"),
            {name: value for name, value in raw.items() if name not in known},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the element as stored; unset parts are left out."""
        document: dict[str, Any] = {}
        if self.handle_id:
            document["handle_id"] = self.handle_id
        if self.secondary:
            document["secondary"] = dict(sorted(self.secondary.items()))
        if self.alternate:
            document["alternateOwnerAttrs"] = dict(sorted(self.alternate.items()))
        return document | dict(self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A CIDR and who owns each of its addresses.

    Attributes:
        owner: ``host:<name>``, ``virtual:<name>`` or None: who may assign from it by right.
        claim_time: RFC 3339 text, None if unset.
        allocations: by ordinal, index into ``attributes`` or None.
        unallocated: free ordinals, next one first.
        attributes: None before the first allocation ever.
        sequence: grows by one with every write.
        sequence_by_ordinal: block sequence before the write that assigned the ordinal.
    """

    cidr: Cidr
    owner: str | None
    claim_time: str | None = None
    allocations: tuple[int | None, ...]
    unallocated: tuple[int, ...]
    attributes: tuple[Attribute, ...] | None = None
    sequence: int = 0
    sequence_by_ordinal: Mapping[int, int] = field(default_factory=dict)
    deleted: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fresh(cls, cidr: Cidr, owner: str | None, claim_time: str | None, sequence: int) -> Self:
        """Return an empty block, as claimed just now."""
        return cls(
            cidr=cidr,
            owner=owner,
            claim_time=claim_time,
            allocations=(None,) * cidr.size,
            unallocated=tuple(range(cidr.size)),
            sequence=sequence,
        )

    @property
    def empty(self) -> bool:
        """Whether no address is assigned."""
        return len(self.unallocated) == len(self.allocations)

    def address(self, ordinal: int) -> str:
        """Return the text of the address with that ordinal."""
        return address_text(self.cidr.version, self.cidr.first + ordinal)

    def attribute_of(self, ordinal: int) -> Attribute | None:
        """Return who owns the ordinal, None if it is free."""
        index = self.allocations[ordinal]
        return None if index is None else (self.attributes or ())[index]

    def ordinals_of(self, handle_id: str) -> list[int]:
        """Return the ordinals that a handle owns, in order."""
        wanted = {
            index
            for index, attribute in enumerate(self.attributes or ())
            if attribute.handle_id == handle_id
        }
        return [n for n, index in enumerate(self.allocations) if index in wanted]

    def assign(self, ordinals: Sequence[int], attribute: Attribute) -> Self:
        """Give free ordinals to an owner. The sequence number is that of :meth:`written` to come."""
        taken = [n for n in ordinals if self.allocations[n] is not None]
        if taken:
            raise AssertionError(f"ordinals {taken} of {self.cidr} are assigned already")
        if not ordinals:
            return self
        attributes, index = _shared(self.attributes or (), attribute)
        chosen = set(ordinals)
        return replace(
            self,
            allocations=tuple(
                index if n in chosen else old for n, old in enumerate(self.allocations)
            ),
            unallocated=tuple(n for n in self.unallocated if n not in chosen),
            attributes=attributes,
            sequence_by_ordinal={
                **self.sequence_by_ordinal,
                **dict.fromkeys(ordinals, self.sequence),
            },
        )

    def release(self, ordinals: Iterable[int]) -> Self:
        """Free assigned ordinals; owners of nothing disappear, the others are numbered anew."""
        freed = [n for n in dict.fromkeys(ordinals) if self.allocations[n] is not None]
        gone = set(freed)
        left = replace(
            self,
            allocations=tuple(None if n in gone else old for n, old in enumerate(self.allocations)),
            unallocated=(*self.unallocated, *freed),
            sequence_by_ordinal={
                n: sequence for n, sequence in self.sequence_by_ordinal.items() if n not in gone
            },
        )
        return left._compacted()

    def own(self, ordinal: int, attribute: Attribute) -> Self:
        """Give an assigned ordinal another owner; ordinals that shared the old one keep it."""
        attributes, index = _shared(self.attributes or (), attribute)
        allocations = (*self.allocations[:ordinal], index, *self.allocations[ordinal + 1 :])
        return replace(self, allocations=allocations, attributes=attributes)._compacted()

    def _compacted(self) -> Self:
        """Return the block without owners of nothing, the others numbered anew."""
        used = sorted({index for index in self.allocations if index is not None})
        moved = {old: new for new, old in enumerate(used)}
        owners = self.attributes or ()
        return replace(
            self,
            allocations=tuple(None if old is None else moved[old] for old in self.allocations),
            attributes=tuple(owners[index] for index in used),
        )

    def disowned(self) -> Self:
        """Return the block without affinity; its allocations stay."""
        return replace(self, owner=None, claim_time=None)

    def written(self) -> Self:
        """Return the block as one more write leaves it: sequence grown by one."""
        return replace(self, sequence=self.sequence + 1)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Self:
        """Read a stored block.

        Raises:
            ValidationError: it contradicts itself; ``where`` names it in the text.
        """
        raw = _json_object(data, where)
        try:
            block = cls._from_json(raw)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            raise ValidationError(f"{where}: not an IPAM block: {problem!r}") from problem
        block._check(where)
        return block

    @classmethod
    def _from_json(cls, raw: dict[str, Any]) -> Self:
        legacy = raw.pop("hostAffinity", None)
        attributes = raw.pop("attributes", None)
        return cls(
            cidr=parse_cidr(raw.pop("cidr"), strict=False),
            owner=raw.pop("affinity", None) or (host_owner(legacy) if legacy else None),
            claim_time=raw.pop("affinity_claim_time", None),
            allocations=tuple(raw.pop("allocations")),
            unallocated=tuple(raw.pop("unallocated") or ()),
            attributes=None if attributes is None else tuple(map(Attribute.from_json, attributes)),
            sequence=int(raw.pop("sequenceNumber", 0)),
            sequence_by_ordinal={
                int(n): int(sequence)
                for n, sequence in (raw.pop("sequenceNumberForAllocation", None) or {}).items()
            },
            deleted=bool(raw.pop("deleted", False)),
            extra=raw,
        )

    def _check(self, where: str) -> None:
        """Refuse a block from which an address could be given twice."""
        if len(self.allocations) != self.cidr.size:
            raise ValidationError(
                f"{where}: allocations has {len(self.allocations)} entries, {self.cidr} has "
                f"{self.cidr.size} addresses"
            )
        free = {n for n, index in enumerate(self.allocations) if index is None}
        if set(self.unallocated) != free or len(self.unallocated) != len(free):
            raise ValidationError(f"{where}: unallocated is not the list of unassigned ordinals")
        owners = len(self.attributes or ())
        if any(index is not None and not 0 <= index < owners for index in self.allocations):
            raise ValidationError(f"{where}: an allocation names an attribute that does not exist")

    def encode(self) -> bytes:
        """Return the stored form, fields in Go's order."""
        document: dict[str, Any] = {"cidr": str(self.cidr), "affinity": self.owner}
        if self.claim_time is not None:
            document["affinity_claim_time"] = self.claim_time
        attributes = self.attributes
        document |= {
            "allocations": list(self.allocations),
            "unallocated": list(self.unallocated),
            "attributes": None if attributes is None else [a.to_json() for a in attributes],
            "sequenceNumber": self.sequence,
            "sequenceNumberForAllocation": {
                str(n): self.sequence_by_ordinal[n]
                for n in sorted(self.sequence_by_ordinal, key=str)
            },
            "deleted": self.deleted,
        }
        return _encode(document | dict(self.extra))


def _shared(
    attributes: tuple[Attribute, ...], attribute: Attribute
) -> tuple[tuple[Attribute, ...], int]:
    """Return the owners with this one among them, and its index; an equal one is shared."""
    for index, other in enumerate(attributes):
        if other == attribute and not other.alternate:
            return attributes, index
    return (*attributes, attribute), len(attributes)


@dataclass(frozen=True, slots=True)
class Affinity:
    """A host's claim of a block. Only a confirmed one entitles it to assign from the block.

    Attributes:
        state: one of :data:`AffinityState`, or what another version wrote ("" if nothing).
    """

    state: str = CONFIRMED
    deleted: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Self:
        """Read a stored affinity; an empty value is one without state."""
        raw = _json_object(data or b"{}", where)
        return cls(str(raw.pop("state", "")), bool(raw.pop("deleted", False)), raw)

    def encode(self) -> bytes:
        """Return the stored form."""
        return _encode({"state": self.state, "deleted": self.deleted, **self.extra})

    @property
    def confirmed(self) -> bool:
        """Whether the host may use the block."""
        return self.state == CONFIRMED


@dataclass(frozen=True, slots=True)
class Handle:
    """How many addresses one owner has in each block (CIDR text → count). Go may count too many."""

    blocks: Mapping[str, int] = field(default_factory=dict)
    deleted: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Self:
        """Read a stored handle."""
        raw = _json_object(data, where)
        blocks = raw.pop("block", None) or {}
        try:
            counts = {
                str(parse_cidr(cidr, strict=False)): int(count) for cidr, count in blocks.items()
            }
        except (AttributeError, TypeError, ValueError) as problem:
            raise ValidationError(f"{where}: not an IPAM handle: {problem!r}") from problem
        return cls(counts, bool(raw.pop("deleted", False)), raw)

    def encode(self) -> bytes:
        """Return the stored form."""
        return _encode(
            {"block": dict(sorted(self.blocks.items())), "deleted": self.deleted, **self.extra}
        )

    def add(self, cidr: Cidr, count: int) -> Self:
        """Count more addresses in a block."""
        key = str(cidr)
        return replace(self, blocks={**self.blocks, key: self.blocks.get(key, 0) + count})

    def remove(self, cidr: Cidr, count: int | None = None) -> Self:
        """Count fewer addresses in a block; None removes the block altogether."""
        key = str(cidr)
        left = 0 if count is None else self.blocks.get(key, 0) - count
        blocks = {name: held for name, held in self.blocks.items() if name != key}
        return replace(self, blocks={**blocks, key: left} if left > 0 else blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpamConfig:
    """Settings of IPAM for the whole cluster.

    Attributes:
        strict_affinity: never borrow addresses from blocks of other hosts.
        auto_allocate_blocks: claim a further block when those of a host are full.
        max_blocks_per_host: 0 means the default, 20.
    """

    strict_affinity: bool = False
    auto_allocate_blocks: bool = True
    max_blocks_per_host: int = 0
    vm_address_persistence: str | None = "Enabled"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Self:
        """Read the stored settings; a field that is left out is off."""
        raw = _json_object(data, where)
        try:
            return cls(
                strict_affinity=bool(raw.pop("strict_affinity", False)),
                auto_allocate_blocks=bool(raw.pop("auto_allocate_blocks", False)),
                max_blocks_per_host=int(raw.pop("maxBlocksPerHost", 0) or 0),
                vm_address_persistence=raw.pop("kubeVirtVMAddressPersistence", None),
                extra=raw,
            )
        except (TypeError, ValueError) as problem:
            raise ValidationError(f"{where}: maxBlocksPerHost: {problem}") from problem

    def encode(self) -> bytes:
        """Return the stored form; what is off is left out."""
        document = {
            "strict_affinity": self.strict_affinity,
            "auto_allocate_blocks": self.auto_allocate_blocks,
            "maxBlocksPerHost": self.max_blocks_per_host,
            "kubeVirtVMAddressPersistence": self.vm_address_persistence,
        }
        kept = {name: value for name, value in document.items() if value}
        return _encode(kept | dict(self.extra))

    def block_limit(self, requested: int | None = None) -> int:
        """Return how many blocks of one family a host may own: the smaller of what is set.

        Args:
            requested: limit that a request brings along; None or 0 is none.
        """
        limits = [limit for limit in (self.max_blocks_per_host, requested) if limit]
        return min(limits, default=DEFAULT_MAX_BLOCKS_PER_HOST)

    def check(self) -> None:
        """Refuse settings that contradict each other. Texts as in Go.

        Raises:
            ValidationError: with one problem for each contradiction.
        """
        problems = []
        if not self.strict_affinity and not self.auto_allocate_blocks:
            problems.append(
                "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time"
            )
        if self.max_blocks_per_host and not self.strict_affinity:
            problems.append("MaxBlocksPerHost requires StrictAffinity to be enabled")
        if self.max_blocks_per_host < 0:
            problems.append("maxBlocksPerHost must not be negative")
        if problems:
            raise ValidationError(*problems)


def _encode(document: dict[str, Any]) -> bytes:
    """Return JSON as Go prints it. What needs no care (most of it) is spared the careful way."""
    text = msgspec.json.encode(document)
    if set(document) <= _OUR_FIELDS and not any(byte in text for byte in b"<>&\xe2"):
        return text
    return codec.encode_json(document)


def _json_object(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ValidationError(f"{where}: not JSON: {problem}") from problem
    if not isinstance(raw, dict):
        raise ValidationError(f"{where}: expected a JSON object")
    return raw
