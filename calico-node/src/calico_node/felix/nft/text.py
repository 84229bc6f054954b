"""Tables → the text that ``nft -f`` reads and operators know; sorted, so that equal tables read alike.

Source: the nft man page.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from calico_node.felix.nft.keys import Atom, KeyType, Prefix, Range, pad
from calico_node.felix.nft.model import (
    AddressType,
    Bits,
    Chain,
    ConnLimit,
    Counter,
    CtDirection,
    CtState,
    CtStatus,
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
    Route,
    Rule,
    Set,
    SetDscp,
    SetMark,
    Statement,
    Table,
    Value,
    Verdict,
    VerdictLookup,
    VerdictMap,
    fields_of,
)

_INDENT: Final = "    "
_BIT_FIELDS: Final = frozenset({KeyType.MARK, KeyType.CT_STATE, KeyType.CT_STATUS})
_WORDS: Final[dict[KeyType, dict[int, str]]] = {
    KeyType.NF_PROTO: {value: value.name.lower() for value in NfProto},
    KeyType.BOOLEAN: {value: value.name.lower() for value in Route},
    KeyType.CT_DIRECTION: {value: value.name.lower() for value in CtDirection},
    KeyType.FIB_ADDRTYPE: {value: value.name.lower() for value in AddressType},
    KeyType.INET_PROTO: {
        1: "icmp",
        6: "tcp",
        17: "udp",
        58: "ipv6-icmp",
        132: "sctp",
        136: "udplite",
    },
}
_WORDS_OF_BITS: Final = {Field.CT_STATE: CtState, Field.CT_STATUS: CtStatus}


def render(table: Table) -> str:
    """Return a text that creates the table with all it holds."""
    blocks = [
        *(_set(table.sets[name]) for name in sorted(table.sets)),
        *(_map(table.maps[name]) for name in sorted(table.maps)),
        *(_chain(table.chains[name]) for name in sorted(table.chains)),
    ]
    body = "\n".join("".join(f"{_INDENT}{line}\n" for line in block) for block in blocks)
    return f"table {table.family} {table.name} {{\n{body}}}\n"


def render_rule(rule: Rule) -> str:
    """Return one rule as nft writes it, its comment last."""
    words = [_statement(statement) for statement in rule.statements]
    if rule.comment:
        words.append(f'comment "{rule.comment}"')
    return " ".join(words)


def render_element(types: tuple[KeyType, ...], element: bytes, *, interval: bool = False) -> str:
    """Return a packed element as nft writes it: ``10.0.0.0/8``, or ``10.1.2.3 . tcp . 80``."""
    if interval:
        return _interval(types[0], element)
    parts, at = [], 0
    for type_ in types:
        parts.append(_atom(type_, element[at : at + type_.size]))
        at += len(pad(bytes(type_.size)))
    return " . ".join(parts)


def _chain(chain: Chain) -> list[str]:
    lines = [f"chain {chain.name} {{"]
    if hook := chain.hook:
        place = f"type {hook.type} hook {hook.hook} priority {hook.priority}"
        lines.append(f"{_INDENT}{place}; policy {hook.policy};")
    lines += (f"{_INDENT}{render_rule(rule)}" for rule in chain.rules)
    return [*lines, "}"]


def _set(set_: Set) -> list[str]:
    lines = [f"set {set_.name} {{", f"{_INDENT}type {_type(set_.key)}"]
    if set_.interval:
        lines.append(f"{_INDENT}flags interval")
    elif set_.size:
        lines.append(f"{_INDENT}size {set_.size}")
    elements = (
        render_element(set_.key, element, interval=set_.interval)
        for element in sorted(set_.elements)
    )
    return [*lines, *_elements(elements), "}"]


def _map(map_: VerdictMap) -> list[str]:
    lines = [f"map {map_.name} {{", f"{_INDENT}type {_type(map_.key)} : verdict"]
    if map_.size:
        lines.append(f"{_INDENT}size {map_.size}")
    elements = (
        f"{render_element(map_.key, key)} : {_verdict(verdict)}"
        for key, verdict in sorted(map_.elements.items(), key=lambda item: item[0])
    )
    return [*lines, *_elements(elements), "}"]


def _elements(elements: Iterable[str]) -> Iterator[str]:
    opening = f"{_INDENT}elements = {{ "
    lines = ",\n".join(elements).splitlines()
    for number, line in enumerate(lines, 1):
        closing = " }" if number == len(lines) else ""
        yield f"{opening if number == 1 else ' ' * len(opening)}{line}{closing}"


def _type(key: tuple[KeyType, ...]) -> str:
    return " . ".join(type_.text for type_ in key)


def _statement(statement: Statement) -> str:
    match statement:
        case Match():
            return _match(statement)
        case Masked(field=field, mask=mask, value=value, negate=negate):
            return f"{field.text} & {mask:#010x} {'!=' if negate else '=='} {value:#010x}"
        case Bits():
            return _bits(statement)
        case Verdict():
            return _verdict(statement)
        case VerdictLookup(field=field, map=name):
            return f"{_fields(field)} vmap @{name}"
        case Limit() | ConnLimit() | Counter() | Log() | NoTrack():
            return _observation(statement)
        case _:
            return _action(statement)


def _observation(statement: Limit | ConnLimit | Counter | Log | NoTrack) -> str:
    match statement:
        case Limit(rate=rate, unit=unit, burst=burst, over=over):
            return f"limit rate {'over ' if over else ''}{rate}/{unit} burst {burst} packets"
        case ConnLimit(count=count, over=over):
            return f"ct count {'over ' if over else ''}{count}"
        case Counter():
            return "counter"
        case Log(prefix=prefix, group=group, snaplen=snaplen):
            where = "" if group is None else f" group {group}"
            return f'log prefix "{prefix}"{where}{f" snaplen {snaplen}" if snaplen else ""}'
        case NoTrack():
            return "notrack"
        case _:
            assert_never(statement)


def _action(statement: Reject | SetMark | SetDscp | Masquerade | Nat) -> str:
    match statement:
        case Reject(how=how):
            return f"reject with {how.text}"
        case SetMark(mask=mask, value=value):
            return f"meta mark set meta mark & {mask ^ 0xFFFFFFFF:#010x} | {value:#010x}"
        case SetDscp(version=version, dscp=dscp):
            return f"{_ip(version)} dscp set {dscp}"
        case Masquerade(ports=ports, fully_random=fully_random):
            where = f" to :{_ports(ports)}" if ports else ""
            return f"masquerade{where}{' fully-random' if fully_random else ''}"
        case Nat():
            return _nat(statement)
        case _:
            assert_never(statement)


def _nat(nat: Nat) -> str:
    address = str(ipaddress.ip_address(nat.address))
    if nat.ports is not None:
        bracketed = f"[{address}]" if ":" in address else address
        address = f"{bracketed}:{_ports(nat.ports)}"
    random = " fully-random" if nat.fully_random else ""
    return f"{nat.kind} {_family(nat)} to {address}{random}"


def _family(nat: Nat) -> str:
    return _ip(NfProto.IPV4 if len(nat.address) == 4 else NfProto.IPV6)


def _ip(version: NfProto) -> str:
    return "ip" if version is NfProto.IPV4 else "ip6"


def _ports(ports: int | Range) -> str:
    return f"{ports.low!r}-{ports.high!r}" if isinstance(ports, Range) else str(ports)


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.kind.text} {verdict.chain}".rstrip()


def _match(match: Match) -> str:
    operator = "!= " if match.negate else ""
    return f"{_fields(match.field)} {operator}{_value(match.field, match.value)}"


def _bits(match: Bits) -> str:
    words = _WORDS_OF_BITS[match.field]
    named = ",".join(word.name.lower() for word in words if word & match.bits and word.name)
    return f"{match.field.text} {'! ' if match.negate else ''}{named}"


def _fields(field: Field | tuple[Field, ...]) -> str:
    return " . ".join(part.text for part in fields_of(field))


def _value(field: Field | tuple[Field, ...], value: Value) -> str:
    match value:
        case Named(set=name):
            return f"@{name}"
        case OneOf(members=members):
            texts = sorted({_member(fields_of(field), member) for member in members})
            return f"{{ {', '.join(texts)} }}"
        case NamePrefix(text=text):
            return f'"{text}*"'
        case _:
            return _member(fields_of(field), value)


def _member(fields: tuple[Field, ...], member: Member) -> str:
    match member:
        case tuple():
            return " . ".join(
                _word(field, atom) for field, atom in zip(fields, member, strict=True)
            )
        case Prefix(address=address, length=length):
            return f"{ipaddress.ip_address(address)}/{length}"
        case Range(low=low, high=high):
            return f"{_word(fields[0], low)}-{_word(fields[0], high)}"
        case atom:
            return _word(fields[0], atom)


def _word(field: Field, atom: Atom) -> str:
    return _atom(field.type, field.type.pack(atom))


def _atom(type_: KeyType, key: bytes) -> str:
    if type_.is_address:
        return str(ipaddress.ip_address(key))
    if type_ is KeyType.IFNAME:
        return f'"{key.rstrip(bytes(1)).decode()}"'
    number = int.from_bytes(key, type_.byteorder)
    if type_ in _BIT_FIELDS:
        return f"{number:#010x}"
    return _WORDS.get(type_, {}).get(number, str(number))


def _interval(type_: KeyType, element: bytes) -> str:
    low, high = element[: type_.size], element[type_.size :]
    if not type_.is_address:
        return f"{_atom(type_, low)}-{_atom(type_, high)}"
    first, last = ipaddress.ip_address(low), ipaddress.ip_address(high)
    host_bits = (int(last) - int(first)).bit_length()
    prefix = 8 * type_.size - host_bits
    is_prefix = int(last) - int(first) == (1 << host_bits) - 1 and not int(first) % (1 << host_bits)
    return f"{first}/{prefix}" if is_prefix else f"{first}-{last}"
