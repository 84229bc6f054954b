"""What a table does with a packet, statement by statement. Pure; the plain reading of the nft man page.

Rates and counts of connections are taken for not reached, and address translation for accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from calico_node.felix.nft.keys import Atom, Prefix, Range, pack
from calico_node.felix.nft.model import (
    Bits,
    Chain,
    ConnLimit,
    CtState,
    Field,
    Limit,
    Masked,
    Masquerade,
    Match,
    Member,
    Named,
    NamePrefix,
    Nat,
    NoTrack,
    OneOf,
    Reject,
    Rule,
    SetMark,
    Statement,
    Table,
    Value,
    Verdict,
    VerdictKind,
    VerdictLookup,
    fields_of,
)

#: What a packet has; a field that it has not never matches.
Headers: TypeAlias = Mapping[Field, Atom]
_ENDS: Final = {VerdictKind.ACCEPT, VerdictKind.DROP}


def passes(table: Table, hooks: Iterable[str], headers: Headers) -> bool:
    """Return whether the chains at hooks, one after the other, let a packet through."""
    packet = dict(headers)
    return all(_passes_hook(table, hook, packet) for hook in hooks)


def reaches_end(table: Table, rule: Rule, headers: Headers) -> bool:
    """Return whether a packet meets all conditions of a rule."""
    return all(_holds(table, statement, headers) for statement in rule.statements)


def _passes_hook(table: Table, hook: str, packet: dict[Field, Atom]) -> bool:
    bases = [chain for chain in table.chains.values() if chain.hook and chain.hook.hook == hook]
    for chain in sorted(bases, key=lambda base: base.hook.priority if base.hook else 0):
        verdict = _chain(table, chain, packet)
        policy = chain.hook.policy if chain.hook else "accept"
        if (verdict or VerdictKind[policy.upper()]) is VerdictKind.DROP:
            return False
    return True


def _chain(table: Table, chain: Chain, packet: dict[Field, Atom]) -> VerdictKind | None:
    """Return ACCEPT or DROP, or None if the chain returns to its caller."""
    for rule in chain.rules:
        verdict = _rule(table, rule, packet)
        match verdict:
            case None | Verdict(kind=VerdictKind.CONTINUE):
                continue
            case Verdict(kind=VerdictKind.RETURN):
                return None
            case Verdict(kind=VerdictKind.JUMP, chain=name):
                if (end := _chain(table, table.chains[name], packet)) is not None:
                    return end
            case Verdict(kind=VerdictKind.GOTO, chain=name):
                return _chain(table, table.chains[name], packet)
            case Verdict(kind=kind):
                assert kind in _ENDS
                return kind
    return None


def _rule(table: Table, rule: Rule, packet: dict[Field, Atom]) -> Verdict | None:
    for statement in rule.statements:
        match statement:
            case Verdict():
                return statement
            case VerdictLookup(field=field, map=name):
                if (found := _looked_up(table, field, name, packet)) is not None:
                    return found
            case Reject():
                return Verdict(VerdictKind.DROP)
            case Masquerade() | Nat():
                return Verdict(VerdictKind.ACCEPT)
            case NoTrack():
                packet[Field.CT_STATE] = CtState.UNTRACKED
            case SetMark(mask=mask, value=value):
                packet[Field.MARK] = _number(packet, Field.MARK) & ~mask | value
            case _:
                if not _holds(table, statement, packet):
                    return None
    return None


def _looked_up(
    table: Table, field: Field | tuple[Field, ...], name: str, packet: Headers
) -> Verdict | None:
    map_, key = table.maps[name], _key(fields_of(field), packet)
    return None if key is None else map_.elements.get(key)


def _holds(table: Table, statement: Statement, packet: Headers) -> bool:
    match statement:
        case Match(field=field, value=value, negate=negate):
            fields = fields_of(field)
            if any(part not in packet for part in fields):
                return False
            return _matches(table, fields, value, packet) != negate
        case Masked(field=field, mask=mask, value=value, negate=negate):
            return (_number(packet, field) & mask == value) != negate
        case Bits(field=field, bits=bits, negate=negate):
            return bool(_number(packet, field) & bits) != negate
        case Limit(over=over) | ConnLimit(over=over):
            return not over
        case _:
            return True


def _number(packet: Headers, field: Field) -> int:
    value = packet.get(field, 0)
    assert isinstance(value, int)
    return value


def _matches(table: Table, fields: tuple[Field, ...], value: Value, packet: Headers) -> bool:
    match value:
        case Named(set=name):
            return _contains(table, name, fields, packet)
        case OneOf(members=members):
            return any(_is_member(fields, member, packet) for member in members)
        case NamePrefix(text=text):
            return str(packet[fields[0]]).startswith(text)
        case _:
            return _is_member(fields, value, packet)


def _contains(table: Table, name: str, fields: tuple[Field, ...], packet: Headers) -> bool:
    set_, key = table.sets[name], _key(fields, packet)
    if key is None or not set_.interval:
        return key in set_.elements
    half = len(key)
    return any(element[:half] <= key <= element[half:] for element in set_.elements)


def _key(fields: tuple[Field, ...], packet: Headers) -> bytes | None:
    if any(field not in packet for field in fields):
        return None
    return pack([field.type for field in fields], [packet[field] for field in fields])


def _is_member(fields: tuple[Field, ...], member: Member, packet: Headers) -> bool:
    if isinstance(member, tuple):
        return all(packet[field] == atom for field, atom in zip(fields, member, strict=True))
    (field,) = fields
    key = field.type.pack(packet[field])
    match member:
        case Prefix(address=address, length=length):
            shift = 8 * len(address) - length
            return int.from_bytes(key, "big") >> shift == int.from_bytes(address, "big") >> shift
        case Range():
            low, high = (field.type.pack(bound) for bound in _bounds(member))
            return low <= key <= high
        case atom:
            return key == field.type.pack(atom)


def _bounds(range_: Range) -> Iterator[Atom]:
    yield range_.low
    yield range_.high
