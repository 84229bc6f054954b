"""Statements of a rule → the expressions the kernel runs, as netlink attributes.

A rule's body does not depend on the batch it is sent in, save for the numbers of its anonymous
sets: :class:`RuleBody` holds the bytes and where those numbers go. Statements are encoded once and
remembered.

Conditions that a field needs are added before it, as nft does: reading an IPv4 address from an IPv6
packet would compare other bytes.

Source: Linux uapi/linux/netfilter/nf_tables.h for every number; ``nft --debug=netlink`` for which
expressions a statement becomes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, assert_never

from calico_node.felix.nft.keys import Atom, KeyType, Prefix, Range, merge_intervals, pack, pad
from calico_node.felix.nft.model import (
    Bits,
    ConnLimit,
    Counter,
    Field,
    Limit,
    Log,
    Masked,
    Masquerade,
    Match,
    Member,
    Named,
    NamePrefix,
    Nat,
    NfProto,
    NoTrack,
    OneOf,
    Reject,
    RejectWith,
    Rule,
    SetDscp,
    SetMark,
    Statement,
    Verdict,
    VerdictLookup,
    fields_of,
)
from libcalico.netlink import codec
from libcalico.netlink.codec import attr, be32, nested

_U64 = struct.Struct(">Q")
_ATTRIBUTE_HEADER: Final = 4
_COMMENT_BYTES: Final = 128  # NFTNL_UDATA_COMMENT_MAXLEN, with its final zero
_FIRST_REGISTER: Final = 8  # NFT_REG32_00: registers of four bytes; a key may take several
_EQ, _NEQ, _LTE, _GTE = 0, 1, 3, 5
_UNIT_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_META_MARK: Final = 3
_NAT_MAP_PORTS, _NAT_FULLY_RANDOM = 2, 16
_BASE_NETWORK, _BASE_TRANSPORT = 1, 2
_DSCP: Final = {  # mask of the other bits of the first two header bytes, shift of the code point
    NfProto.IPV4: (0xFF03, 2),
    NfProto.IPV6: (0xF03F, 6),
}
_TCP: Final = Match(Field.L4PROTO, 6)
_TCP_RESET: Final = Reject(RejectWith.TCP_RESET)
_IP_CHECKSUM: Final = (1, 10)  # NFT_PAYLOAD_CSUM_INET, and its offset in the IPv4 header


@dataclass(frozen=True, slots=True)
class AnonymousSet:
    """A set that belongs to one rule; elements are packed as in :mod:`.keys`, sorted."""

    key: tuple[KeyType, ...]
    interval: bool
    elements: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RuleBody:
    """The attributes of a rule that do not depend on where it goes.

    Args:
        attributes: NFTA_RULE_EXPRESSIONS, and NFTA_RULE_USERDATA if there is a comment.
        sets: each anonymous set, and the offset in ``attributes`` of the four bytes for its number.
    """

    attributes: bytes
    sets: tuple[tuple[int, AnonymousSet], ...]


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A statement's expressions; ``set`` belongs to the last, whose last four bytes are its number."""

    expressions: bytes
    requires: tuple[tuple[Field, int], ...] = ()
    set: AnonymousSet | None = None


def encode_rule(rule: Rule) -> RuleBody:
    """Return the body of a rule.

    Raises:
        ValueError: a value does not fit its field, or a statement cannot be said to the kernel.
    """
    body = b""
    sets: list[tuple[int, AnonymousSet]] = []
    known: set[tuple[Field, int]] = set()
    for statement in _with_protocol(rule.statements):
        encoded = _encode(statement)
        for condition in encoded.requires:
            if condition not in known:
                known.add(condition)
                body += _encode(Match(*condition)).expressions
        body += encoded.expressions
        if encoded.set is not None:
            sets.append((_ATTRIBUTE_HEADER + len(body) - 4, encoded.set))
        match statement:
            case Match(field=Field() as field, value=int() as value, negate=False):
                known.add((field, value))
    attributes = nested(4, body)
    if rule.comment:
        comment = rule.comment.encode() + b"\0"
        if len(comment) > _COMMENT_BYTES:
            raise ValueError(f"comment of more than {_COMMENT_BYTES - 1} bytes: {rule.comment!r}")
        attributes += attr(7, bytes((0, len(comment))) + comment)
    return RuleBody(attributes, tuple(sets))


def _with_protocol(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Let a rule that answers with a TCP reset see TCP packets only, from its start, as nft does."""
    if _TCP_RESET in statements and _TCP not in statements:
        return (_TCP, *statements)
    return statements


@lru_cache(maxsize=16384)
def _encode(statement: Statement) -> _Encoded:
    match statement:
        case Match():
            return _match(statement)
        case Masked(field=field, mask=mask, value=value, negate=negate):
            masked = _load(field) + _and_xor(field.type, mask, 0)
            return _Encoded(masked + _compare(field.type.pack(value), _NEQ if negate else _EQ))
        case Bits(field=field, bits=bits, negate=negate):
            masked = _load(field) + _and_xor(field.type, int(bits), 0)
            return _Encoded(masked + _compare(field.type.pack(0), _EQ if negate else _NEQ))
        case Verdict():
            return _Encoded(_expression("immediate", be32(1, 0) + nested(2, verdict(statement))))
        case VerdictLookup(field=field, map=name):
            fields = fields_of(field)
            lookup = codec.text(1, name) + be32(2, _FIRST_REGISTER) + be32(3, 0)
            return _Encoded(_load_all(fields) + _expression("lookup", lookup), _requires(fields))
        case _:
            return _encode_action(statement)


def _encode_action(
    statement: (
        Reject | SetMark | SetDscp | Masquerade | Nat | Limit | ConnLimit | Counter | Log | NoTrack
    ),
) -> _Encoded:
    match statement:
        case Reject(how=how):
            reject = be32(1, how.number) + attr(2, bytes((how.code,)))
            return _Encoded(_expression("reject", reject))
        case SetMark(mask=mask, value=value):
            if value & ~mask:
                raise ValueError(f"mark {value:#x} has bits outside the mask {mask:#x}")
            kept = _and_xor(KeyType.MARK, mask ^ 0xFFFFFFFF, value)
            store = _expression("meta", be32(2, _META_MARK) + be32(3, _FIRST_REGISTER))
            return _Encoded(_load(Field.MARK) + kept + store)
        case SetDscp():
            return _dscp(statement)
        case Masquerade():
            return _Encoded(_masquerade(statement))
        case Nat():
            return _Encoded(_nat(statement))
        case _:
            return _Encoded(_observation(statement))


def _observation(statement: Limit | ConnLimit | Counter | Log | NoTrack) -> bytes:
    match statement:
        case Limit():
            return _limit(statement)
        case ConnLimit(count=count, over=over):
            return _expression("connlimit", be32(1, count) + be32(2, int(over)))
        case Counter():
            return _expression("counter", _u64(1, 0) + _u64(2, 0))
        case Log():
            return _log(statement)
        case NoTrack():
            return _expression("notrack", b"")
        case _:
            assert_never(statement)


def verdict(value: Verdict) -> bytes:
    """Return NFTA_DATA_VERDICT: the content of a data attribute for an element or an immediate."""
    code = be32(1, value.kind.number & 0xFFFFFFFF)
    return nested(2, code + codec.text(2, value.chain) if value.chain else code)


def _match(match: Match) -> _Encoded:
    fields = fields_of(match.field)
    requires = _requires(fields)
    compare = _NEQ if match.negate else _EQ
    match match.value:
        case OneOf(members=members):
            anonymous = _anonymous_set(tuple(field.type for field in fields), members)
            lookup = _lookup("__set%d", match.negate) + be32(4, 0)
            return _Encoded(_load_all(fields) + _expression("lookup", lookup), requires, anonymous)
        case Named(set=name):
            lookup = _expression("lookup", _lookup(name, match.negate))
            return _Encoded(_load_all(fields) + lookup, requires)
        case Prefix() as prefix:
            return _Encoded(_prefix(_only(fields), prefix, compare), requires)
        case Range() as range_:
            within = _range(_only(fields).type, range_, match.negate)
            return _Encoded(_load_all(fields) + within, requires)
        case NamePrefix(text=text):
            return _Encoded(_load(_only(fields)) + _compare(text.encode(), compare), requires)
        case atom:
            key = _only(fields).type.pack(atom)
            return _Encoded(_load_all(fields) + _compare(key, compare), requires)


def _only(fields: tuple[Field, ...]) -> Field:
    if len(fields) != 1:
        raise ValueError("a concatenation is compared with OneOf or Named only")
    return fields[0]


def _prefix(field: Field, prefix: Prefix, compare: int) -> bytes:
    """Compare leading bytes where the length allows it, which is the kernel's fastest path."""
    _prefix_bounds(field.type, prefix)
    size = field.type.size
    whole, rest = divmod(prefix.length, 8)
    if whole and not rest:
        return _load(field, size=whole) + _compare(prefix.address[:whole], compare)
    mask = ((1 << prefix.length) - 1) << (8 * size - prefix.length)
    bitwise = _bitwise(mask.to_bytes(size, "big"), bytes(size))
    return _load(field) + bitwise + _compare(prefix.address, compare)


def _ordered(type_: KeyType) -> KeyType:
    """Refuse ranges of numbers that the kernel keeps in host order: it compares bytes."""
    if type_.byteorder == "little":
        raise ValueError(f"ranges of {type_.text} cannot be matched")
    return type_


def _range(type_: KeyType, range_: Range, negate: bool) -> bytes:
    low, high = (bound.to_bytes(type_.size, "big") for bound in _range_bounds(type_, range_))
    if not negate:
        return _compare(low, _GTE) + _compare(high, _LTE)
    bounds = nested(3, attr(1, low)) + nested(4, attr(1, high))
    return _expression("range", be32(1, _FIRST_REGISTER) + be32(2, _NEQ) + bounds)


def _anonymous_set(key: tuple[KeyType, ...], members: tuple[Member, ...]) -> AnonymousSet:
    if not members:
        raise ValueError("an anonymous set has members")
    if len(key) > 1:
        keys = {pack(key, member) for member in members if isinstance(member, tuple)}
        if len(keys) != len(set(members)):
            raise ValueError("a concatenation has members of one atom for each field only")
        return AnonymousSet(key, interval=False, elements=tuple(sorted(keys)))
    (type_,) = key
    if not any(isinstance(member, Prefix | Range) for member in members):
        plain = {_bounds(type_, member)[0].to_bytes(type_.size, "big") for member in members}
        return AnonymousSet(key, interval=False, elements=tuple(sorted(plain)))
    intervals = merge_intervals(_bounds(type_, member) for member in members)
    return AnonymousSet(
        key,
        interval=True,
        elements=tuple(
            low.to_bytes(type_.size, "big") + high.to_bytes(type_.size, "big")
            for low, high in intervals
        ),
    )


def _bounds(type_: KeyType, member: Member) -> tuple[int, int]:
    match member:
        case Prefix():
            return _prefix_bounds(type_, member)
        case Range():
            return _range_bounds(type_, member)
        case tuple():
            raise ValueError(f"{member!r} is not a value of {type_.text}")
        case atom:
            number = _number(type_, atom)
            return number, number


def _prefix_bounds(type_: KeyType, prefix: Prefix) -> tuple[int, int]:
    low = _number(type_, prefix.address)
    host_bits = 8 * type_.size - prefix.length
    if not 0 <= host_bits <= 8 * type_.size or low & (1 << host_bits) - 1:
        raise ValueError(f"{prefix} is no prefix of type {type_.text}")
    return low, low | (1 << host_bits) - 1


def _range_bounds(type_: KeyType, range_: Range) -> tuple[int, int]:
    low, high = _number(_ordered(type_), range_.low), _number(type_, range_.high)
    if low > high:
        raise ValueError(f"{range_} is empty")
    return low, high


def _number(type_: KeyType, atom: Atom) -> int:
    return int.from_bytes(type_.pack(atom), "big")


def _requires(fields: tuple[Field, ...]) -> tuple[tuple[Field, int], ...]:
    return tuple(condition for field in fields for condition in _REQUIRES.get(field, ()))


@lru_cache(maxsize=1024)
def _load(field: Field, register: int = _FIRST_REGISTER, size: int = 0) -> bytes:
    expression, attributes = _LOADS[field]
    match expression, attributes:
        case "payload", (base, offset):
            place = be32(2, base) + be32(3, offset) + be32(4, size or field.type.size)
        case "fib", (result, flags):
            place = be32(2, result) + be32(3, flags)
        case _, (key,):
            place = be32(2, key)
        case _:
            raise AssertionError(field)
    return _expression(expression, be32(1, register) + place)


def _load_all(fields: tuple[Field, ...]) -> bytes:
    loads, register = b"", _FIRST_REGISTER
    for field in fields:
        loads += _load(field, register)
        register += len(pad(bytes(field.type.size))) // 4
    return loads


def _lookup(name: str, negate: bool) -> bytes:
    inverted = be32(5, 1) if negate else b""
    return codec.text(1, name) + be32(2, _FIRST_REGISTER) + inverted


def _compare(key: bytes, operator: int) -> bytes:
    data = nested(3, attr(1, key))
    return _expression("cmp", be32(1, _FIRST_REGISTER) + be32(2, operator) + data)


def _and_xor(type_: KeyType, mask: int, value: int) -> bytes:
    return _bitwise(type_.pack(mask), type_.pack(value))


def _bitwise(mask: bytes, xor: bytes) -> bytes:
    registers = be32(1, _FIRST_REGISTER) + be32(2, _FIRST_REGISTER) + be32(3, len(mask))
    return _expression("bitwise", registers + nested(4, attr(1, mask)) + nested(5, attr(1, xor)))


def _limit(limit: Limit) -> bytes:
    rate = _u64(1, limit.rate) + _u64(2, _UNIT_SECONDS[limit.unit])
    return _expression("limit", rate + be32(3, limit.burst) + be32(4, 0) + be32(5, int(limit.over)))


def _log(log: Log) -> bytes:
    prefix = codec.text(2, log.prefix)
    if log.group is None:
        return _expression("log", prefix)
    group = attr(1, log.group.to_bytes(2, "big"))
    return _expression("log", group + prefix + (be32(3, log.snaplen) if log.snaplen else b""))


def _dscp(statement: SetDscp) -> _Encoded:
    keep, shift = _DSCP[statement.version]
    place = be32(2, _BASE_NETWORK) + be32(3, 0) + be32(4, 2)
    load = _expression("payload", be32(1, _FIRST_REGISTER) + place)
    value = _bitwise(keep.to_bytes(2, "big"), (statement.dscp << shift).to_bytes(2, "big"))
    store = place + be32(5, _FIRST_REGISTER)
    if statement.version is NfProto.IPV4:
        kind, offset = _IP_CHECKSUM
        store += be32(6, kind) + be32(7, offset)
    requires = ((Field.NFPROTO, int(statement.version)),)
    return _Encoded(load + value + _expression("payload", store), requires)


def _masquerade(masquerade: Masquerade) -> bytes:
    flags = _NAT_FULLY_RANDOM if masquerade.fully_random else 0
    loads, ports = b"", b""
    if masquerade.ports is not None:
        flags |= _NAT_MAP_PORTS
        loads, registers = _load_ports(masquerade.ports, _FIRST_REGISTER)
        ports = b"".join(be32(2 + i, register) for i, register in enumerate(registers))
    return loads + _expression("masq", (be32(1, flags) if flags else b"") + ports)


def _nat(nat: Nat) -> bytes:
    family = NfProto.IPV4 if len(nat.address) == 4 else NfProto.IPV6
    loads = _immediate(_FIRST_REGISTER, nat.address)
    where = be32(1, int(nat.kind == "dnat")) + be32(2, int(family)) + be32(3, _FIRST_REGISTER)
    flags = _NAT_FULLY_RANDOM if nat.fully_random else 0
    if nat.ports is not None:
        flags |= _NAT_MAP_PORTS
        port_loads, registers = _load_ports(nat.ports, _FIRST_REGISTER + len(nat.address) // 4)
        loads += port_loads
        where += b"".join(be32(5 + i, register) for i, register in enumerate(registers))
    where += be32(7, flags) if flags else b""
    return loads + _expression("nat", where)


def _load_ports(ports: int | Range, register: int) -> tuple[bytes, range]:
    bounds = (ports.low, ports.high) if isinstance(ports, Range) else (ports,)
    registers = range(register, register + len(bounds))
    keys = (KeyType.INET_SERVICE.pack(port) for port in bounds)
    return b"".join(map(_immediate, registers, keys)), registers


def _immediate(register: int, key: bytes) -> bytes:
    return _expression("immediate", be32(1, register) + nested(2, attr(1, key)))


def _expression(name: str, attributes: bytes) -> bytes:
    data = nested(2, attributes) if attributes else b""
    return nested(1, codec.text(1, name) + data)


def _u64(type_: int, number: int) -> bytes:
    return attr(type_, _U64.pack(number))


_FIB_SADDR, _FIB_DADDR, _FIB_MARK, _FIB_IIF, _FIB_OIF, _FIB_PRESENT = (1 << i for i in range(6))
_FIB_RESULT_OIF, _FIB_RESULT_TYPE = 1, 3

_LOADS: Final[dict[Field, tuple[str, tuple[int, ...]]]] = {
    Field.IIFNAME: ("meta", (6,)),
    Field.OIFNAME: ("meta", (7,)),
    Field.NFPROTO: ("meta", (15,)),
    Field.L4PROTO: ("meta", (16,)),
    Field.MARK: ("meta", (_META_MARK,)),
    Field.IP_SADDR: ("payload", (_BASE_NETWORK, 12)),
    Field.IP_DADDR: ("payload", (_BASE_NETWORK, 16)),
    Field.IP6_SADDR: ("payload", (_BASE_NETWORK, 8)),
    Field.IP6_DADDR: ("payload", (_BASE_NETWORK, 24)),
    Field.SPORT: ("payload", (_BASE_TRANSPORT, 0)),
    Field.DPORT: ("payload", (_BASE_TRANSPORT, 2)),
    Field.ICMP_TYPE: ("payload", (_BASE_TRANSPORT, 0)),
    Field.ICMP_CODE: ("payload", (_BASE_TRANSPORT, 1)),
    Field.ICMPV6_TYPE: ("payload", (_BASE_TRANSPORT, 0)),
    Field.ICMPV6_CODE: ("payload", (_BASE_TRANSPORT, 1)),
    Field.CT_STATE: ("ct", (0,)),
    Field.CT_DIRECTION: ("ct", (1,)),
    Field.CT_STATUS: ("ct", (2,)),
    Field.FIB_SADDR_IIF: ("fib", (_FIB_RESULT_OIF, _FIB_SADDR | _FIB_IIF | _FIB_PRESENT)),
    Field.FIB_SADDR_MARK_IIF: (
        "fib",
        (_FIB_RESULT_OIF, _FIB_SADDR | _FIB_MARK | _FIB_IIF | _FIB_PRESENT),
    ),
    Field.FIB_SADDR_TYPE: ("fib", (_FIB_RESULT_TYPE, _FIB_SADDR)),
    Field.FIB_DADDR_TYPE: ("fib", (_FIB_RESULT_TYPE, _FIB_DADDR)),
    Field.FIB_SADDR_OIF_TYPE: ("fib", (_FIB_RESULT_TYPE, _FIB_SADDR | _FIB_OIF)),
}

_IPV4: Final = (Field.NFPROTO, int(NfProto.IPV4))
_IPV6: Final = (Field.NFPROTO, int(NfProto.IPV6))
_ICMP: Final = (_IPV4, (Field.L4PROTO, 1))
_ICMPV6: Final = (_IPV6, (Field.L4PROTO, 58))
_REQUIRES: Final[dict[Field, tuple[tuple[Field, int], ...]]] = {
    Field.IP_SADDR: (_IPV4,),
    Field.IP_DADDR: (_IPV4,),
    Field.IP6_SADDR: (_IPV6,),
    Field.IP6_DADDR: (_IPV6,),
    Field.ICMP_TYPE: _ICMP,
    Field.ICMP_CODE: _ICMP,
    Field.ICMPV6_TYPE: _ICMPV6,
    Field.ICMPV6_CODE: _ICMPV6,
}
