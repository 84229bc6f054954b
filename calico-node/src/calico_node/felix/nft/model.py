"""What an nftables table holds, as frozen values: chains, rules, sets and verdict maps.

It knows the kernel's words (fields of a packet, comparisons, verdicts) and nothing of Calico. There
is one way to say each thing; where nft's own language has several, the more general one is used: a
port is ``Field.DPORT`` with a ``Field.L4PROTO`` match before it, never "tcp dport".

**Matches and their values.** A match compares one :class:`Field`, or a concatenation of fields,
with a value. Single values (:data:`~.keys.Atom`) are what the field's :class:`~.keys.KeyType` says:
packed bytes for addresses (4 or 16), ``str`` for interface names, ``int`` for everything else.
Prefixes, ranges, anonymous sets (:class:`OneOf`) and named sets (:class:`Named`) are built on them.
Conditions that a field depends on (an IPv4 address can only be read from an IPv4 packet, an ICMP
type only from an ICMP packet) need not be written: like nft, :mod:`.wire` adds them. The ports are
the exception, also like nft: match the protocol first.

**Elements of sets and maps** are packed keys, as :mod:`.keys` describes them.

Source: the nft man page for the words; Linux uapi/linux/netfilter/nf_tables.h for the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag
from typing import Final, Literal, TypeAlias

from calico_node.felix.nft.keys import Atom, KeyType, Prefix, Range


class Field(Enum):
    """What a match can look at: its nft words, and the type of its values."""

    IIFNAME = ("iifname", KeyType.IFNAME)
    OIFNAME = ("oifname", KeyType.IFNAME)
    NFPROTO = ("meta nfproto", KeyType.NF_PROTO)
    L4PROTO = ("meta l4proto", KeyType.INET_PROTO)
    MARK = ("meta mark", KeyType.MARK)
    IP_SADDR = ("ip saddr", KeyType.IPV4_ADDR)
    IP_DADDR = ("ip daddr", KeyType.IPV4_ADDR)
    IP6_SADDR = ("ip6 saddr", KeyType.IPV6_ADDR)
    IP6_DADDR = ("ip6 daddr", KeyType.IPV6_ADDR)
    SPORT = ("th sport", KeyType.INET_SERVICE)
    DPORT = ("th dport", KeyType.INET_SERVICE)
    ICMP_TYPE = ("icmp type", KeyType.ICMP_TYPE)
    ICMP_CODE = ("icmp code", KeyType.ICMP_CODE)
    ICMPV6_TYPE = ("icmpv6 type", KeyType.ICMPV6_TYPE)
    ICMPV6_CODE = ("icmpv6 code", KeyType.ICMPV6_CODE)
    CT_STATE = ("ct state", KeyType.CT_STATE)
    CT_STATUS = ("ct status", KeyType.CT_STATUS)
    CT_DIRECTION = ("ct direction", KeyType.CT_DIRECTION)
    FIB_SADDR_IIF = ("fib saddr . iif oif", KeyType.BOOLEAN)
    FIB_SADDR_MARK_IIF = ("fib saddr . mark . iif oif", KeyType.BOOLEAN)
    FIB_SADDR_TYPE = ("fib saddr type", KeyType.FIB_ADDRTYPE)
    FIB_DADDR_TYPE = ("fib daddr type", KeyType.FIB_ADDRTYPE)
    FIB_SADDR_OIF_TYPE = ("fib saddr . oif type", KeyType.FIB_ADDRTYPE)

    def __init__(self, text: str, type_: KeyType) -> None:
        self.text = text
        self.type = type_


class NfProto(IntEnum):
    """Values of ``Field.NFPROTO``."""

    IPV4 = 2
    IPV6 = 10


class CtState(IntFlag):
    """Bits of ``Field.CT_STATE``: an expected state of a connection, for :class:`Bits`."""

    INVALID = 1
    ESTABLISHED = 2
    RELATED = 4
    NEW = 8
    UNTRACKED = 64


class CtStatus(IntFlag):
    """Bits of ``Field.CT_STATUS``, for :class:`Bits`."""

    SNAT = 16
    DNAT = 32


class CtDirection(IntEnum):
    """Values of ``Field.CT_DIRECTION``."""

    ORIGINAL = 0
    REPLY = 1


class AddressType(IntEnum):
    """Values of the ``FIB_..._TYPE`` fields (RTN_* of linux/rtnetlink.h)."""

    UNICAST = 1
    LOCAL = 2
    BROADCAST = 3
    MULTICAST = 5
    BLACKHOLE = 6
    UNREACHABLE = 7
    PROHIBIT = 8


class Route(IntEnum):
    """Values of ``Field.FIB_SADDR_IIF`` and its like: is there a route back through that interface?"""

    MISSING = 0
    EXISTS = 1


@dataclass(frozen=True, slots=True)
class NamePrefix:
    """Every interface name that begins so: nft's ``"cali*"``."""

    text: str


Member: TypeAlias = Atom | Prefix | Range | tuple[Atom, ...]
"""What an anonymous set holds; a tuple for a concatenation, one atom for each field."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """An anonymous set: any of the members; they may overlap, and their order means nothing.

    Prefixes and ranges are for single fields only.
    """

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """The elements of a named set of the same table."""

    set: str


Value: TypeAlias = Atom | Prefix | Range | NamePrefix | OneOf | Named


@dataclass(frozen=True, slots=True)
class Match:
    """Go on with the rule only if the field has the value, or, ``negate``, only if it has not.

    Args:
        field: one field, or several for a concatenation (then ``value`` is ``OneOf`` tuples, or ``Named``).
        value: what it is compared with.
        negate: the exact opposite, except that a packet which does not have the field never matches.
    """

    field: Field | tuple[Field, ...]
    value: Value
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Masked:
    """Go on only if ``field & mask == value`` (``negate``: is not)."""

    field: Field
    mask: int
    value: int
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Bits:
    """Go on only if at least one of the bits is set (``negate``: none). For ct state and ct status."""

    field: Field
    bits: int
    negate: bool = False


class VerdictKind(Enum):
    """What can happen to a packet: nft's word and the kernel's number (NF_* and NFT_*)."""

    DROP = ("drop", 0)
    ACCEPT = ("accept", 1)
    CONTINUE = ("continue", -1)
    JUMP = ("jump", -3)
    GOTO = ("goto", -4)
    RETURN = ("return", -5)

    def __init__(self, text: str, number: int) -> None:
        self.text = text
        self.number = number


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a rule, or the value of a verdict map's element; ``chain`` for jump and goto only."""

    kind: VerdictKind
    chain: str = ""


ACCEPT: Final = Verdict(VerdictKind.ACCEPT)
DROP: Final = Verdict(VerdictKind.DROP)
RETURN: Final = Verdict(VerdictKind.RETURN)
CONTINUE: Final = Verdict(VerdictKind.CONTINUE)


def jump(chain: str) -> Verdict:
    """Return the verdict that calls a chain; it comes back at the chain's end."""
    return Verdict(VerdictKind.JUMP, chain)


def goto(chain: str) -> Verdict:
    """Return the verdict that enters a chain in place of the present one."""
    return Verdict(VerdictKind.GOTO, chain)


@dataclass(frozen=True, slots=True)
class VerdictLookup:
    """The verdict that a named map holds for the field; the next statement if it holds none."""

    field: Field | tuple[Field, ...]
    map: str


Unit: TypeAlias = Literal["second", "minute", "hour", "day"]


@dataclass(frozen=True, slots=True)
class Limit:
    """Go on while packets come no faster than ``rate`` per ``unit`` (``over``: only while they do)."""

    rate: int
    unit: Unit = "second"
    burst: int = 5
    over: bool = False


@dataclass(frozen=True, slots=True)
class ConnLimit:
    """Go on only while the rule has seen at most ``count`` live connections (``over``: more)."""

    count: int
    over: bool = True


@dataclass(frozen=True, slots=True)
class Counter:
    """Count packets and bytes."""


@dataclass(frozen=True, slots=True)
class Log:
    """Log to the kernel log, or to an NFLOG group, with at most ``snaplen`` bytes of the packet (0: all)."""

    prefix: str
    group: int | None = None
    snaplen: int = 0


class RejectWith(Enum):
    """How a rejected sender is told: nft's words, the kernel's reject type and icmpx code."""

    NO_ROUTE = ("icmpx no-route", 2, 0)
    PORT_UNREACHABLE = ("icmpx port-unreachable", 2, 1)
    HOST_UNREACHABLE = ("icmpx host-unreachable", 2, 2)
    ADMIN_PROHIBITED = ("icmpx admin-prohibited", 2, 3)
    TCP_RESET = ("tcp reset", 1, 0)

    def __init__(self, text: str, number: int, code: int) -> None:
        self.text = text
        self.number = number
        self.code = code


@dataclass(frozen=True, slots=True)
class Reject:
    """Drop, and tell the sender. With ``TCP_RESET`` only TCP packets match."""

    how: RejectWith = RejectWith.PORT_UNREACHABLE


@dataclass(frozen=True, slots=True)
class SetMark:
    """``meta mark = meta mark & ~mask | value``; ``value`` lies within the mask, other bits stay."""

    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class SetDscp:
    """Write the differentiated services code point (0 to 63) of IPv4 or IPv6 packets."""

    version: NfProto
    dscp: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Source NAT to an address of the outgoing interface; ``ports`` needs a protocol match before it."""

    ports: Range | None = None
    fully_random: bool = False


@dataclass(frozen=True, slots=True)
class Nat:
    """Source or destination NAT to one address, and ``ports``, which need a protocol match before them.

    ``fully_random`` chooses source ports at random, of source NAT only.
    """

    kind: Literal["snat", "dnat"]
    address: bytes
    ports: int | Range | None = None
    fully_random: bool = False


@dataclass(frozen=True, slots=True)
class NoTrack:
    """Keep the packet out of connection tracking."""


Statement: TypeAlias = (
    Match
    | Masked
    | Bits
    | Verdict
    | VerdictLookup
    | Limit
    | ConnLimit
    | Counter
    | Log
    | Reject
    | SetMark
    | SetDscp
    | Masquerade
    | Nat
    | NoTrack
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Statements, done one after the other until one does not match or gives a verdict.

    Args:
        statements: in order.
        comment: for people; at most 127 bytes of text without double quotes or line breaks.
        owner: who is to blame when the kernel refuses the rule; not programmed. Empty: the chain's owner.
    """

    statements: tuple[Statement, ...]
    comment: str = ""
    owner: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class BaseHook:
    """Where a base chain hangs in the kernel's path of a packet.

    Args:
        type: the chain's type.
        hook: the place.
        priority: lower runs earlier; 0 is iptables' filter table.
        policy: what happens at the chain's end.
    """

    type: Literal["filter", "nat", "route"]
    hook: Literal["prerouting", "input", "forward", "output", "postrouting"]
    priority: int
    policy: Literal["accept", "drop"] = "accept"


@dataclass(frozen=True, slots=True)
class Chain:
    """A list of rules, entered from a hook, or from rules and maps that name it."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: BaseHook | None = None
    owner: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Set:
    """A named set.

    Args:
        name: as rules call it.
        key: one type, or several for a concatenation.
        elements: packed, as the module's docstring says.
        interval: elements are disjoint intervals of one field. A change costs the kernel O(n).
        size: room for elements; 0: not limited. Give it, with head-room: a sized plain set loads
            three times faster, and the kernel refuses what goes beyond (ENFILE). Interval sets
            have none.
        owner: who is to blame when the kernel refuses it; not programmed.
    """

    name: str
    key: tuple[KeyType, ...]
    elements: frozenset[bytes] = frozenset()
    interval: bool = False
    size: int = 0
    owner: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A named map from packed keys to verdicts; the arguments are those of :class:`Set`."""

    name: str
    key: tuple[KeyType, ...]
    elements: Mapping[bytes, Verdict] = field(default_factory=dict)
    size: int = 0
    owner: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its chains, sets and maps by name. Sets and maps share one name space."""

    name: str
    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, Set] = field(default_factory=dict)
    maps: Mapping[str, VerdictMap] = field(default_factory=dict)
    family: Literal["inet"] = "inet"


def table(
    name: str,
    chains: Iterable[Chain] = (),
    sets: Iterable[Set] = (),
    maps: Iterable[VerdictMap] = (),
) -> Table:
    """Return a table of objects, keyed by their names."""
    return Table(
        name,
        {chain.name: chain for chain in chains},
        {set_.name: set_ for set_ in sets},
        {map_.name: map_ for map_ in maps},
    )


def one_of(members: Sequence[Member]) -> Value:
    """Return the cheapest value that stands for any of the members: an only member itself, else ``OneOf``."""
    if len(members) == 1 and not isinstance(members[0], tuple):
        return members[0]
    return OneOf(tuple(members))


def fields_of(field_: Field | tuple[Field, ...]) -> tuple[Field, ...]:
    """Return the fields of a match, also of a single one, as a tuple."""
    return field_ if isinstance(field_, tuple) else (field_,)
