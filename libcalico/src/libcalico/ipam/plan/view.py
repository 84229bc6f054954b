"""What an operation has read and what it wants written: the store as seen by a pure function.

An operation asks the view for keys. If a key was never read, the view raises :class:`Unread`, the
shell (``ipam.commit``) reads it and runs the operation again from its start. What the operation
changed becomes one transaction in which every write is a compare-and-swap on the revision read. So
an operation is done whole or not at all, whatever crashes, and no decision of it is made on a block
that somebody else changed meanwhile.

Blocks may be *stale*: remembered from an earlier operation of this process. That is safe to write
on, since the swap then fails, but not to refuse on: see :meth:`View.require`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from libcalico.datastore import keys
from libcalico.datastore.keys import IpVersion
from libcalico.datastore.model import Delete, Put, Revision, Write
from libcalico.errors import ValidationError
from libcalico.ipam.model import Affinity, Block, Handle, IpamConfig
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.resources import codec
from libcalico.resources.model import ResourceId

CONFIG_KEY = keys.path_of(keys.IpamConfigKey())
POOLS = keys.resource_prefix("IPPool")
RESERVATIONS = keys.resource_prefix("IPReservation")


class Unread(Exception):  # noqa: N818 - a request to the shell, not an error
    """The operation needs these keys and prefixes read before it can decide."""

    def __init__(self, wanted: Iterable[str], prefixes: Iterable[str] = ()) -> None:
        self.keys = frozenset(wanted)
        self.prefixes = frozenset(prefixes)
        super().__init__(f"unread: {sorted(self.keys)} {sorted(self.prefixes)}")


@dataclass(frozen=True, slots=True)
class Broken:
    """A stored value that could not be read; it still occupies its key."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A key as read: its mod revision (0 if it is not stored) and the decoded value."""

    revision: Revision
    value: Any


ABSENT = Stored(Revision(0), None)


def decode(key: str, data: bytes) -> Any:
    """Return the decoded value of a key, :class:`Broken` if it cannot be decoded."""
    try:
        return _decoder_of(key)(data)
    except ValidationError as problem:
        return Broken(str(problem))


def _decoder_of(key: str) -> Callable[[bytes], Any]:
    match keys.parse(key):
        case keys.BlockKey():
            return lambda data: Block.decode(data, key)
        case keys.AffinityKey() | keys.VirtualAffinityKey():
            return lambda data: Affinity.decode(data, key)
        case keys.HandleKey():
            return lambda data: Handle.decode(data, key)
        case keys.IpamConfigKey():
            return lambda data: IpamConfig.decode(data, key)
        case ResourceId(kind=kind):
            return lambda data: codec.decode(data, kind=kind)
    return bytes


def blocks_prefix(version: int) -> str:
    """Return the prefix of all blocks of a family."""
    return keys.block_prefix(cast(IpVersion, version))


def affinities_prefix(host: str, version: int) -> str:
    """Return the prefix of a host's affinities to blocks of a family."""
    return keys.affinity_prefix(host, cast(IpVersion, version))


@lru_cache(maxsize=4096)
def block_key(cidr: Cidr) -> str:
    """Return where a block is stored."""
    return keys.path_of(keys.BlockKey(str(cidr)))


@lru_cache(maxsize=4096)
def affinity_key(host: str, cidr: Cidr) -> str:
    """Return where a host's affinity to a block is stored."""
    return keys.path_of(keys.AffinityKey(host, str(cidr)))


def handle_key(handle_id: str) -> str:
    """Return where a handle is stored."""
    return keys.HANDLES + handle_id


class View:
    """See the module's docstring.

    Args:
        items: key → as read.
        prefixes: prefixes of which every stored key is in ``items``.
        stale: keys of ``items`` that were not read for this operation.
        now_ns: nanoseconds since the epoch; names new blocks' sequence and claim time.
    """

    def __init__(
        self,
        items: Mapping[str, Stored],
        prefixes: AbstractSet[str] = frozenset(),
        stale: AbstractSet[str] = frozenset(),
        now_ns: int = 0,
    ) -> None:
        self.now_ns = now_ns
        self._items = items
        self._prefixes = tuple(prefixes)
        self._stale = stale
        self._changes: dict[str, Any] = {}
        self._stale_reads: set[str] = set()

    # Reading

    def require(self, *wanted: str, prefixes: Iterable[str] = (), fresh: bool = False) -> None:
        """Have all of these read in one go.

        Args:
            wanted: keys.
            prefixes: prefixes of which every key is wanted.
            fresh: keys remembered from an earlier operation do not count as read. To be demanded
                before deciding that something is *not* possible.

        Raises:
            Unread: naming everything that is missing.
        """
        missing = [key for key in wanted if not self._has(key) or (fresh and key in self._stale)]
        unlisted = [prefix for prefix in prefixes if not self._listed(prefix)]
        if missing or unlisted:
            raise Unread(missing, unlisted)

    def get(self, key: str) -> Any:
        """Return the decoded value, as this operation left it; None if there is none."""
        if key in self._changes:
            return self._changes[key]
        stored = self._items.get(key)
        if stored is None:
            self.require(key)
            return None
        if key in self._stale:
            self._stale_reads.add(key)
        return stored.value

    def listing(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """Return all keys with the prefix in key order, with values as this operation left them."""
        self.require(prefixes=[prefix])
        names = {key for key in (*self._items, *self._changes) if key.startswith(prefix)}
        found = ((key, self.get(key)) for key in sorted(names))
        return iter([(key, value) for key, value in found if value is not None])

    def block(self, cidr: Cidr) -> Block | None:
        """Return a block, None if nobody claimed it.

        Raises:
            ValidationError: what is stored is no block.
        """
        key = block_key(cidr)
        value = self.get(key)
        if isinstance(value, Broken):
            raise ValidationError(value.reason)
        return cast("Block | None", value)

    def affinity(self, host: str, cidr: Cidr) -> Affinity | None:
        """Return a host's affinity; one that cannot be read counts as not confirmed."""
        value = self.get(affinity_key(host, cidr))
        return Affinity("") if isinstance(value, Broken) else cast("Affinity | None", value)

    def affine_blocks(self, host: str, version: int) -> list[Cidr]:
        """Return the blocks that a host has an affinity to, in any state, in key order."""
        prefix = affinities_prefix(host, version)
        found = (keys.parse(key) for key, _ in self.listing(prefix))
        return [
            parse_cidr(key.cidr, strict=False) for key in found if isinstance(key, keys.AffinityKey)
        ]

    def handle(self, handle_id: str) -> Handle | None:
        """Return a handle, None if it owns nothing.

        Raises:
            ValidationError: what is stored is no handle.
        """
        value = self.get(handle_key(handle_id))
        if isinstance(value, Broken):
            raise ValidationError(value.reason)
        return cast("Handle | None", value)

    def config(self) -> IpamConfig:
        """Return the settings; the defaults are written if none are stored, as Go does."""
        value = self.get(CONFIG_KEY)
        if isinstance(value, Broken):
            raise ValidationError(value.reason)
        if value is None:
            value = IpamConfig()
            self.put(CONFIG_KEY, value)
        return cast(IpamConfig, value)

    # Writing

    def put(self, key: str, value: Any) -> None:
        """Have the value written, on the revision that was read."""
        self.require(key)
        self._changes[key] = value

    def put_block(self, block: Block) -> None:
        """Have a block written; :meth:`changes` counts its sequence up."""
        self.put(block_key(block.cidr), block)

    def delete(self, key: str) -> None:
        """Have the key deleted, on the revision that was read."""
        self.require(key)
        self._changes[key] = None

    def mark(self) -> dict[str, Any]:
        """Return what :meth:`rollback` needs to come back to this point."""
        return dict(self._changes)

    def rollback(self, mark: dict[str, Any]) -> None:
        """Forget what was changed since the mark."""
        self._changes = dict(mark)

    # For the shell

    @property
    def stale_reads(self) -> frozenset[str]:
        """Keys that were looked at although they may have changed since."""
        return frozenset(self._stale_reads)

    def changes(self) -> dict[str, Any]:
        """Return key → value to store (None: delete), without changes that change nothing."""
        final = {}
        for key, value in self._changes.items():
            base = self._items.get(key, ABSENT)
            if value is None and base.revision == 0:
                continue
            created = base.revision == 0
            if isinstance(value, Block) and not (created and value.empty):
                value = value.written()  # noqa: PLW2901
            final[key] = value
        return final

    def writes(self, changes: Mapping[str, Any]) -> list[Write]:
        """Return the compare-and-swaps that make the changes."""
        return [self._write(key, value) for key, value in changes.items()]

    @property
    def size(self) -> int:
        """How many keys are changed so far."""
        return len(self._changes)

    def _write(self, key: str, value: Any) -> Write:
        revision = self._items.get(key, ABSENT).revision
        if value is None:
            return Delete(key, revision)
        data: bytes = value.encode()
        return Put(key, data, revision)

    def _has(self, key: str) -> bool:
        return key in self._items or key in self._changes or key.startswith(self._prefixes)

    def _listed(self, prefix: str) -> bool:
        return prefix.startswith(self._prefixes) if self._prefixes else False
