"""Random tables for property tests, small enough that names and keys meet often.

Every table is one that the kernel accepts: references lead to what exists and to chains further
down, and keys fit their sets.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from calico_node.felix.nft.keys import KeyType, Prefix, interval_of, merge_prefixes, pack
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    RETURN,
    BaseHook,
    Chain,
    Counter,
    Field,
    Match,
    Named,
    OneOf,
    Rule,
    Set,
    Statement,
    Table,
    Verdict,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
    table,
)

_LEAVES: Final = ("leaf0", "leaf1")
_BRANCHES: Final = ("branch0", "branch1", "branch2")
_BASES: Final = {
    "base0": BaseHook("filter", "forward", 0),
    "base1": BaseHook("filter", "input", 5, "drop"),
}
_MAPS: Final = ("map0", "map1")
_SETS: Final = ("set0", "set1", "set2")
_SHAPES: Final[dict[tuple[KeyType, ...], tuple[Field, ...]]] = {
    (KeyType.IPV4_ADDR,): (Field.IP_SADDR,),
    (KeyType.IPV6_ADDR,): (Field.IP6_DADDR,),
    (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE): (
        Field.IP_DADDR,
        Field.L4PROTO,
        Field.DPORT,
    ),
}
_INTERFACES: Final = tuple(KeyType.IFNAME.pack(f"cali{i}") for i in range(4))


def prefixes(bits: int = 32) -> st.SearchStrategy[Prefix]:
    """Draw prefixes of an address family; few leading bits, so that they nest and meet."""

    def prefix(length: int, value: int) -> Prefix:
        return Prefix((value << bits - length).to_bytes(bits // 8, "big"), length)

    lengths = st.integers(0, bits)
    return lengths.flatmap(lambda n: st.builds(prefix, st.just(n), _value(n)))


def _value(length: int) -> st.SearchStrategy[int]:
    top = (1 << length) - 1
    return st.sampled_from(sorted({0, min(1, top), top >> 1, top}))


@st.composite
def tables(draw: st.DrawFn, name: str = "t") -> Table:
    """Draw a table."""
    sets = {set_name: draw(_sets(set_name)) for set_name in _SETS if draw(st.booleans())}
    leaves = [leaf for leaf in _LEAVES if draw(st.booleans())]
    maps = [draw(_maps(map_name, leaves)) for map_name in _MAPS if draw(st.booleans())]
    lookups: list[Statement] = [_lookup(set_) for set_ in sets.values()]
    vmaps: list[Statement] = [VerdictLookup(Field.IIFNAME, map_.name) for map_ in maps]
    chains = [Chain(leaf, draw(_rules(lookups, [], []))) for leaf in leaves]
    targets = leaves
    for branch in _BRANCHES:
        if draw(st.booleans()):
            chains.append(Chain(branch, draw(_rules(lookups, vmaps, targets))))
            targets = [branch, *targets]
    for base, hook in _BASES.items():
        if draw(st.booleans()):
            chains.append(Chain(base, draw(_rules(lookups, vmaps, targets)), hook))
    return table(name, chains, sets.values(), maps)


def _lookup(set_: Set) -> Match:
    fields = _SHAPES[set_.key]
    return Match(fields[0] if len(fields) == 1 else fields, Named(set_.name))


@st.composite
def _sets(draw: st.DrawFn, name: str) -> Set:
    key = draw(st.sampled_from(sorted(_SHAPES, key=str)))
    if len(key) > 1:
        hosts = st.integers(0, 3).map(lambda i: bytes((10, 0, 0, i)))
        atoms = st.tuples(hosts, st.sampled_from((6, 17)), st.sampled_from((53, 80)))
        concatenated = st.frozensets(atoms.map(lambda values: pack(key, values)), max_size=4)
        return Set(name, key, draw(concatenated))
    bits = 8 * key[0].size
    if draw(st.booleans()):
        merged = st.lists(prefixes(bits), max_size=6).map(merge_prefixes)
        return Set(name, key, frozenset(map(interval_of, draw(merged))), interval=True)
    addresses = st.integers(1, 6).map(lambda i: i.to_bytes(bits // 8, "big"))
    return Set(name, key, draw(st.frozensets(addresses)), size=draw(st.sampled_from((0, 8))))


def _maps(name: str, leaves: list[str]) -> st.SearchStrategy[VerdictMap]:
    verdicts = [ACCEPT, DROP, RETURN, *map(jump, leaves), *map(goto, leaves)]
    elements = st.dictionaries(st.sampled_from(_INTERFACES), st.sampled_from(verdicts))
    return elements.map(lambda drawn: VerdictMap(name, (KeyType.IFNAME,), drawn))


def _rules(
    lookups: list[Statement], vmaps: list[Statement], targets: list[str]
) -> st.SearchStrategy[tuple[Rule, ...]]:
    anonymous: list[Statement] = [Match(Field.L4PROTO, OneOf((6, 17))), Counter()]
    verdicts: list[Verdict] = [ACCEPT, DROP, RETURN, *map(jump, targets), *map(goto, targets)]
    matches = st.lists(st.sampled_from([*lookups, *anonymous]), max_size=2)
    ends = st.sampled_from([*vmaps, *verdicts])
    rule = st.builds(lambda found, end: Rule((*found, end)), matches, ends)
    return st.lists(rule, max_size=3).map(tuple)
