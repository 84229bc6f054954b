"""What the kernel does with batches, as tests that the fake and the real kernel pass alike.

A test module makes a class of it and a ``kernel`` fixture that gives an empty kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Protocol

from calico_node.felix.nft import wire
from calico_node.felix.nft.apply import RefusedError
from calico_node.felix.nft.keys import KeyType, interval_of
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    BaseHook,
    Chain,
    Field,
    Match,
    Named,
    OneOf,
    Rule,
    Set,
    Verdict,
    VerdictLookup,
    VerdictMap,
    jump,
    table,
)
from calico_node.felix.nft.operations import (
    AddElements,
    AddRule,
    AddVerdicts,
    CreateChain,
    CreateSet,
    CreateTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DestroyTable,
    FlushChain,
    Operation,
)
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.rebuild import FoundMap, Skeleton, rebuild
from calico_node.felix.nft.testing.forms import address, everything, prefix


class Kernel(Protocol):
    """What both kernels offer."""

    def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations, or none."""
        ...

    def generation(self) -> int:
        """Return the number of the last commit."""
        ...

    def skeleton(self, table: str) -> Skeleton | None:
        """Return what there is of a table."""
        ...

    def read_elements(self, table: str, set_: str, *, interval: bool = False) -> frozenset[bytes]:
        """Return the elements of a set."""
        ...

    def read_verdicts(self, table: str, map_: str) -> dict[bytes, Verdict]:
        """Return the elements of a map."""
        ...


HOOK = BaseHook("filter", "forward", 0)
CALI1, CALI2 = KeyType.IFNAME.pack("cali1"), KeyType.IFNAME.pack("cali2")
A, B, C = address("10.0.0.1"), address("10.0.0.2"), address("10.0.0.3")
NET_A, NET_B = interval_of(prefix("10.0.0.0/24")), interval_of(prefix("10.0.1.0/24"))
LAST_NET = interval_of(prefix("240.0.0.0/4"))

BASE = table(
    "t",
    [
        Chain("base", (Rule((VerdictLookup(Field.IIFNAME, "dispatch"),)),), HOOK),
        Chain("first", (Rule((Match(Field.IP_SADDR, Named("hosts")), jump("second"))),)),
        Chain("second", (Rule((Match(Field.IP_SADDR, Named("nets")), DROP)),)),
        Chain("lonely"),
    ],
    [
        Set("hosts", (KeyType.IPV4_ADDR,), frozenset({A, B}), size=4),
        Set("nets", (KeyType.IPV4_ADDR,), frozenset({NET_A}), interval=True),
        Set("unused", (KeyType.IPV6_ADDR,)),
    ],
    [VerdictMap("dispatch", (KeyType.IFNAME,), {CALI1: jump("first")})],
)


def _refused(kernel: Kernel, *operations: Operation) -> list[tuple[str, int]]:
    """Return owner and error number of each refused operation; nothing must have changed."""
    before = _state(kernel)
    error = _error(kernel, operations)
    if error is None:
        return []
    assert _state(kernel) == before
    return [(refusal.owner, refusal.errno) for refusal in error.refusals]


def _error(kernel: Kernel, operations: Sequence[Operation]) -> RefusedError | None:
    try:
        kernel.commit(operations)
    except RefusedError as error:
        return error
    return None


def _state(kernel: Kernel) -> tuple[object, ...]:
    return (
        kernel.generation(),
        kernel.read_elements("t", "hosts"),
        kernel.read_elements("t", "nets", interval=True),
        kernel.read_verdicts("t", "dispatch"),
    )


def _jump(chain: str, target: str, owner: str = "") -> AddRule:
    return AddRule("t", chain, Rule((jump(target),)), owner)


class NftablesContract:
    """The tests; ``kernel`` is empty at the beginning of each."""

    def test_a_table_is_created_with_its_elements(self, kernel: Kernel) -> None:
        """Everything is there after one commit, which is one generation."""
        before = kernel.generation()
        kernel.commit(replace_table(BASE))
        assert kernel.generation() == before + 1
        assert kernel.read_elements("t", "hosts") == {A, B}
        assert kernel.read_elements("t", "nets", interval=True) == {NET_A}
        assert kernel.read_verdicts("t", "dispatch") == {CALI1: jump("first")}

    def test_every_rule_form_set_and_map_is_accepted_twice(self, kernel: Kernel) -> None:
        """Replacing a table that exists is the same as creating it."""
        kernel.commit(replace_table(everything("t")))
        kernel.commit(replace_table(everything("t")))
        for set_ in everything("t").sets.values():
            found = kernel.read_elements("t", set_.name, interval=set_.interval)
            assert found == set_.elements
        for map_ in everything("t").maps.values():
            assert kernel.read_verdicts("t", map_.name) == map_.elements

    def test_no_operations_are_no_commit(self, kernel: Kernel) -> None:
        """An empty list changes nothing."""
        before = kernel.generation()
        kernel.commit([])
        assert kernel.generation() == before

    def test_a_destroyed_table_is_gone_with_everything(self, kernel: Kernel) -> None:
        """References within the table do not hold it, and an absent one is no error."""
        kernel.commit([DestroyTable("t")])
        kernel.commit(replace_table(BASE))
        kernel.commit([DestroyTable("t")])
        operation = CreateChain("t", "any", None, "owner")
        error = _error(kernel, [operation])
        assert error is not None
        assert (error.owner, error.errno) == ("owner", errno.ENOENT)
        assert error.operation == operation

    def test_a_table_tells_what_it_holds(self, kernel: Kernel) -> None:
        """Chains with their places, sets, and maps with their elements; nothing of other tables."""
        assert kernel.skeleton("t") is None
        kernel.commit(replace_table(BASE))
        kernel.commit(replace_table(everything("other")))
        found = kernel.skeleton("t")
        assert found is not None
        regular = dict.fromkeys(("first", "second", "lonely"))
        assert found.chains == {"base": ("filter", 2, 0), **regular}
        assert found.sets == {"hosts", "nets", "unused", "dispatch"}
        dispatch = FoundMap(wire.key_shape((KeyType.IFNAME,)), {CALI1: jump("first")})
        assert found.maps == {"dispatch": dispatch}

    def test_a_rebuilt_table_holds_what_is_wanted(self, kernel: Kernel) -> None:
        """Whatever it held before; the sets of its rules are anonymous and go with them."""
        kernel.commit(replace_table(BASE))
        for wanted in (everything("t"), BASE):
            found = kernel.skeleton("t")
            assert found is not None
            for batch in rebuild(found, wanted) or [replace_table(wanted)]:
                kernel.commit(batch)
        assert kernel.read_elements("t", "hosts") == {A, B}
        assert kernel.read_elements("t", "nets", interval=True) == {NET_A}
        assert kernel.read_verdicts("t", "dispatch") == {CALI1: jump("first")}

    def test_elements_come_and_go(self, kernel: Kernel) -> None:
        """An element that is there may be added again."""
        kernel.commit(replace_table(BASE))
        kernel.commit(
            [
                DeleteElements("t", "hosts", [A], interval=False, owner=""),
                AddElements("t", "hosts", [B, C], interval=False, owner=""),
            ]
        )
        assert kernel.read_elements("t", "hosts") == {B, C}

    def test_intervals_come_and_go(self, kernel: Kernel) -> None:
        """Neighbours, and the last addresses there are, stay intervals of their own."""
        kernel.commit(replace_table(BASE))
        kernel.commit([AddElements("t", "nets", [NET_B, LAST_NET], interval=True, owner="")])
        assert kernel.read_elements("t", "nets", interval=True) == {NET_A, NET_B, LAST_NET}
        kernel.commit([DeleteElements("t", "nets", [NET_A], interval=True, owner="")])
        assert kernel.read_elements("t", "nets", interval=True) == {NET_B, LAST_NET}

    def test_an_interval_that_overlaps_is_refused(self, kernel: Kernel) -> None:
        """Merging is the caller's job."""
        kernel.commit(replace_table(BASE))
        wide = interval_of(prefix("10.0.0.0/8"))
        ((owner, _),) = _refused(kernel, AddElements("t", "nets", [wide], interval=True, owner="n"))
        assert owner == "n"

    def test_a_full_set_refuses(self, kernel: Kernel) -> None:
        """``size`` is a limit."""
        kernel.commit(replace_table(BASE))
        more = [address(f"10.9.9.{i}") for i in range(5)]
        added = AddElements("t", "hosts", more, interval=False, owner="h")
        assert _refused(kernel, added) == [("h", errno.ENFILE)]

    def test_the_verdict_of_a_key_changes_by_delete_and_add(self, kernel: Kernel) -> None:
        """Adding alone is refused."""
        kernel.commit(replace_table(BASE))
        change = AddVerdicts("t", "dispatch", {CALI1: DROP, CALI2: ACCEPT}, "d")
        assert _refused(kernel, change) == [("d", errno.EEXIST)]
        delete = DeleteElements("t", "dispatch", [CALI1], interval=False, owner="d")
        kernel.commit([delete, change])
        assert kernel.read_verdicts("t", "dispatch") == {CALI1: DROP, CALI2: ACCEPT}

    def test_what_is_referred_to_cannot_go(self, kernel: Kernel) -> None:
        """Neither a chain that a rule or a map names, nor a set or map that a rule names."""
        kernel.commit(replace_table(BASE))
        for operation in (
            DeleteChain("t", "first", "in a map"),
            DeleteChain("t", "second", "in a rule"),
            DeleteSet("t", "hosts", "in a rule"),
            DeleteSet("t", "dispatch", "in a rule"),
        ):
            assert _refused(kernel, operation) == [(operation.owner, errno.EBUSY)]

    def test_every_refusal_names_its_owner(self, kernel: Kernel) -> None:
        """And the good operation between them is undone."""
        kernel.commit(replace_table(BASE))
        assert _refused(
            kernel,
            DeleteSet("t", "hosts", "one"),
            AddElements("t", "hosts", [C], interval=False, owner="good"),
            DeleteChain("t", "second", "two"),
        ) == [("one", errno.EBUSY), ("two", errno.EBUSY)]

    def test_what_cannot_be_encoded_names_its_owner(self, kernel: Kernel) -> None:
        """It is refused like what the kernel does not want."""
        kernel.commit(replace_table(BASE))
        bad = Rule((Match(Field.IP_SADDR, "no address"),), owner="rule")
        assert _refused(kernel, AddRule("t", "lonely", bad, "rule")) == [("rule", errno.EINVAL)]

    def test_nothing_dangles(self, kernel: Kernel) -> None:
        """Chains and sets that do not exist cannot be referred to, changed or removed."""
        kernel.commit(replace_table(BASE))
        lookup = Rule((Match(Field.IP_SADDR, Named("nowhere")), DROP))
        vmap = Rule((VerdictLookup(Field.IIFNAME, "nowhere"),))
        assert _refused(
            kernel,
            _jump("lonely", "nowhere", "jump"),
            AddVerdicts("t", "dispatch", {CALI2: jump("nowhere")}, "map element"),
            AddRule("t", "lonely", lookup, "lookup"),
            AddRule("t", "lonely", vmap, "vmap"),
            _jump("nowhere", "lonely", "rule"),
            FlushChain("t", "nowhere", "flush"),
            DeleteChain("t", "nowhere", "delete chain"),
            DeleteSet("t", "nowhere", "delete set"),
            AddElements("t", "nowhere", [A], interval=False, owner="add"),
            DeleteElements("t", "nowhere", [A], interval=False, owner="remove"),
        ) == [
            (owner, errno.ENOENT)
            for owner in (
                "jump",
                "map element",
                "lookup",
                "vmap",
                "rule",
                "flush",
                "delete chain",
                "delete set",
                "add",
                "remove",
            )
        ]

    def test_what_is_freed_in_the_batch_can_go_in_the_batch(self, kernel: Kernel) -> None:
        """Flushing a chain frees what its rules refer to; so does removing a map's element."""
        kernel.commit(replace_table(BASE))
        kernel.commit(
            [
                FlushChain("t", "first", ""),
                DeleteElements("t", "dispatch", [CALI1], interval=False, owner=""),
                DeleteSet("t", "hosts", ""),
                CreateSet("t", Set("hosts", (KeyType.IPV6_ADDR,)), ""),
                DeleteChain("t", "first", ""),
            ]
        )
        assert kernel.read_verdicts("t", "dispatch") == {}
        assert kernel.read_elements("t", "hosts") == frozenset()

    def test_a_lookup_must_fit_the_set(self, kernel: Kernel) -> None:
        """The key must fill the set's, and a verdict comes from a map only."""
        kernel.commit(replace_table(BASE))
        narrow = Rule((Match(Field.IP_SADDR, Named("unused")), DROP))
        no_map = Rule((VerdictLookup(Field.IP_SADDR, "hosts"),))
        added = AddRule("t", "lonely", narrow, "narrow"), AddRule("t", "lonely", no_map, "no map")
        expected = [("narrow", errno.ENODATA), ("no map", errno.EINVAL)]
        assert _refused(kernel, *added) == expected

    def test_an_element_must_fit_the_set(self, kernel: Kernel) -> None:
        """A key of another width is refused."""
        kernel.commit(replace_table(BASE))
        long = AddElements("t", "hosts", [address("fd00::1")], interval=False, owner="long")
        short = AddElements("t", "unused", [A], interval=False, owner="short")
        assert _refused(kernel, long, short) == [("long", errno.EINVAL), ("short", errno.EINVAL)]

    def test_a_base_chain_is_not_jumped_to_and_keeps_its_place(self, kernel: Kernel) -> None:
        """Its policy may change, its hook may not."""
        kernel.commit(replace_table(BASE))
        elsewhere = BaseHook("filter", "input", 0)
        assert _refused(
            kernel,
            _jump("lonely", "base", "jump"),
            CreateChain("t", "base", elsewhere, "hook"),
            CreateChain("t", "base", BaseHook("nat", "forward", 0), "type"),
            CreateChain("t", "lonely", HOOK, "regular"),
        ) == [
            ("jump", errno.EOPNOTSUPP),
            ("hook", errno.EOPNOTSUPP),
            ("type", errno.EEXIST),
            ("regular", errno.EOPNOTSUPP),
        ]
        kernel.commit([CreateChain("t", "base", BaseHook("filter", "forward", 0, "drop"), "")])

    def test_a_set_keeps_its_shape(self, kernel: Kernel) -> None:
        """Creating it again is fine; with another key it is refused."""
        kernel.commit(replace_table(BASE))
        kernel.commit([CreateSet("t", BASE.sets["hosts"], ""), CreateTable("t")])
        assert kernel.read_elements("t", "hosts") == {A, B}
        other = CreateSet("t", Set("hosts", (KeyType.IPV6_ADDR,)), "shape")
        assert _refused(kernel, other) == [("shape", errno.EEXIST)]

    def test_jumps_that_never_end_are_refused(self, kernel: Kernel) -> None:
        """The first operation that closes the circle is to blame, be it a rule or an element."""
        kernel.commit(replace_table(BASE))
        assert _refused(kernel, _jump("second", "first", "rule"))[0] == ("rule", errno.EMLINK)
        vmap = AddRule("t", "second", Rule((VerdictLookup(Field.IIFNAME, "dispatch"),)), "vmap")
        assert _refused(kernel, _jump("lonely", "second"), vmap)[0] == ("vmap", errno.EMLINK)

    def test_a_circle_that_no_packet_reaches_is_accepted(self, kernel: Kernel) -> None:
        """Only paths from a hook count."""
        kernel.commit(replace_table(BASE))
        kernel.commit([_jump("lonely", "lonely")])

    def test_anonymous_sets_come_with_their_rule(self, kernel: Kernel) -> None:
        """Several in one rule, and several rules in one batch."""
        kernel.commit(replace_table(BASE))
        ports = Match(Field.DPORT, OneOf((80, 443)))
        hosts = Match(Field.IP_SADDR, OneOf((A, B, prefix("10.1.0.0/16"))))
        rule = Rule((hosts, Match(Field.L4PROTO, OneOf((6, 17))), ports, DROP))
        kernel.commit([AddRule("t", "lonely", rule, "") for _ in range(3)])
        kernel.commit([DeleteChain("t", "lonely", "")])

    def test_lists_longer_than_one_message_are_split(self, kernel: Kernel) -> None:
        """Three thousand keys are more than the 64 KB of one attribute."""
        many = frozenset(i.to_bytes(4, "big") for i in range(1, 9000, 3))
        verdicts = {KeyType.IFNAME.pack(f"c{i}"): jump("leaf") for i in range(3000)}
        nets = frozenset(interval_of(prefix(f"10.{i // 250}.{i % 250}.0/25")) for i in range(3000))
        kernel.commit(
            replace_table(
                table(
                    "t",
                    [Chain("leaf")],
                    [
                        Set("hosts", (KeyType.IPV4_ADDR,), many, size=4096),
                        Set("nets", (KeyType.IPV4_ADDR,), nets, interval=True),
                    ],
                    [VerdictMap("dispatch", (KeyType.IFNAME,), verdicts, 4096)],
                )
            )
        )
        assert kernel.read_elements("t", "hosts") == many
        assert kernel.read_elements("t", "nets", interval=True) == nets
        assert kernel.read_verdicts("t", "dispatch") == verdicts
        kernel.commit([DeleteElements("t", "hosts", many, interval=False, owner="")])
        assert kernel.read_elements("t", "hosts") == frozenset()

    def check_absent_elements(self, kernel: Kernel) -> None:
        """Removing what is absent is no error: on kernels with DESTROY requests only."""
        kernel.commit(replace_table(BASE))
        kernel.commit(
            [
                DeleteElements("t", "hosts", [A, C], interval=False, owner=""),
                DeleteElements("t", "nets", [NET_B], interval=True, owner=""),
                DeleteElements("t", "dispatch", [CALI2], interval=False, owner=""),
            ]
        )
        assert kernel.read_elements("t", "hosts") == {B}
        assert kernel.read_elements("t", "nets", interval=True) == {NET_A}
