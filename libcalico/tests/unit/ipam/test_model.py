"""What is stored is what Go Calico stores, to the byte; and a block is a queue of free addresses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libcalico.errors import ValidationError
from libcalico.ipam.model import Affinity, Attribute, Block, Handle, IpamConfig
from libcalico.net.addresses import parse_cidr

# Reference values of calico-control-plane.md 5.2, with whole numbers.
FRESH = (
    b'{"cidr":"10.0.0.0/30","affinity":"host:node-1","affinity_claim_time":"2026-01-02T03:04:05Z",'
    b'"allocations":[null,null,null,null],"unallocated":[0,1,2,3],"attributes":null,'
    b'"sequenceNumber":1767323045123456789,"sequenceNumberForAllocation":{},"deleted":false}'
)
ASSIGNED = (
    b'{"cidr":"10.0.0.0/30","affinity":"host:node-1","affinity_claim_time":"2026-01-02T03:04:05Z",'
    b'"allocations":[0,null,null,null],"unallocated":[1,2,3],"attributes":[{"handle_id":'
    b'"k8s-pod-network.c1","secondary":{"namespace":"ns","node":"node-1","pod":"p",'
    b'"timestamp":"2026-01-02 03:04:05.1 +0000 UTC"}}],"sequenceNumber":1767323045123456790,'
    b'"sequenceNumberForAllocation":{"0":1767323045123456789},"deleted":false}'
)
OWNER = Attribute(
    "k8s-pod-network.c1",
    {
        "pod": "p",
        "node": "node-1",
        "namespace": "ns",
        "timestamp": "2026-01-02 03:04:05.1 +0000 UTC",
    },
)


def test_a_fresh_block_is_stored_as_go_stores_it():
    block = Block.fresh(
        parse_cidr("10.0.0.0/30"), "host:node-1", "2026-01-02T03:04:05Z", 1767323045123456789
    )
    assert block.encode() == FRESH


def test_an_assignment_is_stored_as_go_stores_it():
    assert Block.decode(FRESH, "b").assign([0], OWNER).written().encode() == ASSIGNED


@pytest.mark.parametrize("stored", [FRESH, ASSIGNED])
def test_reading_and_writing_back_changes_nothing(stored):
    assert Block.decode(stored, "b").encode() == stored


def test_unknown_fields_of_a_block_and_its_attributes_survive():
    raw = json.loads(ASSIGNED) | {"novel": {"x": 1}}
    raw["attributes"][0]["also"] = [1]
    written = json.loads(Block.decode(json.dumps(raw).encode(), "b").release([]).encode())
    assert written == raw


def test_the_legacy_host_affinity_is_read_as_the_owner_and_not_written():
    raw = json.loads(FRESH)
    del raw["affinity"]
    raw["hostAffinity"] = "node-9"
    block = Block.decode(json.dumps(raw).encode(), "b")
    assert block.owner == "host:node-9"
    assert b"hostAffinity" not in block.encode()


def test_a_released_affinity_is_stored_as_null_without_claim_time():
    raw = json.loads(Block.decode(ASSIGNED, "b").disowned().encode())
    assert raw["affinity"] is None
    assert "affinity_claim_time" not in raw


def test_a_handle_id_is_cut_at_a_carriage_return():
    raw = json.loads(ASSIGNED)
    raw["attributes"][0]["handle_id"] = "h1\rjunk"
    block = Block.decode(json.dumps(raw).encode(), "b")
    assert block.ordinals_of("h1") == [0]


def test_owners_with_an_alternate_owner_are_never_shared():
    held = Attribute("h", {"a": "1"}, {"b": "2"})
    block = Block.fresh(parse_cidr("10.0.0.0/30"), None, None, 1).assign([0], held)
    assert len(block.assign([1], held).attributes or ()) == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"allocations": [None] * 3}, "allocations has 3 entries"),
        ({"unallocated": [0, 1, 2]}, "unallocated is not the list"),
        ({"unallocated": [0, 1, 2, 3, 3]}, "unallocated is not the list"),
        ({"allocations": [1, None, None, None], "unallocated": [1, 2, 3]}, "does not exist"),
        ({"allocations": 5}, "not an IPAM block"),
        ({"cidr": "x"}, "not a CIDR"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused_by_name(change, complaint):
    raw = json.loads(FRESH) | change
    with pytest.raises(ValidationError, match=complaint):
        Block.decode(json.dumps(raw).encode(), "b")


@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["cidr", "allocations", "unallocated", "block", "state", "attributes"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_stored_reads_or_is_a_validation_error(data):
    for kind in (Block, Affinity, Handle, IpamConfig):
        try:
            kind.decode(data, "somewhere")
        except ValidationError:
            continue


def test_affinities_without_a_state_are_not_confirmed():
    assert not Affinity.decode(b"", "a").confirmed
    assert not Affinity.decode(b"{}", "a").confirmed
    assert Affinity.decode(b'{"state":"confirmed","deleted":false}', "a").confirmed
    assert Affinity("pending").encode() == b'{"state":"pending","deleted":false}'


def test_a_handle_counts_addresses_by_block():
    one, two = parse_cidr("10.0.0.0/26"), parse_cidr("10.0.0.64/26")
    handle = Handle().add(one, 2).add(two, 1)
    assert handle.encode() == b'{"block":{"10.0.0.0/26":2,"10.0.0.64/26":1},"deleted":false}'
    assert handle.remove(one, 1).remove(two, 1).blocks == {"10.0.0.0/26": 1}
    assert handle.remove(one).remove(two, 7).blocks == {}


def test_settings_that_are_off_are_left_out():
    assert IpamConfig().encode() == (
        b'{"auto_allocate_blocks":true,"kubeVirtVMAddressPersistence":"Enabled"}'
    )
    stored = b'{"strict_affinity":true,"maxBlocksPerHost":3,"later":1}'
    config = IpamConfig.decode(stored, "c")
    assert (config.auto_allocate_blocks, config.block_limit()) == (False, 3)
    assert config.encode() == stored


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (IpamConfig(auto_allocate_blocks=False), "Cannot disable"),
        (IpamConfig(max_blocks_per_host=3), "requires StrictAffinity"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(config, complaint):
    with pytest.raises(ValidationError, match=complaint):
        config.check()


class BlockAgainstDumbList(RuleBasedStateMachine):
    """A block behaves as a list of owners and a queue of free ordinals, however it got there."""

    @initialize()
    def start(self):
        self.block = Block.fresh(parse_cidr("10.0.0.0/29"), "host:a", None, 7)
        self.owners: list[str | None] = [None] * 8
        self.queue = list(range(8))

    @rule(number=st.integers(1, 4), owner=st.sampled_from("abc"))
    def assign(self, number, owner):
        chosen = self.queue[:number]
        self.block = self.block.assign(chosen, Attribute(owner)).written()
        self.queue = self.queue[number:]
        for ordinal in chosen:
            self.owners[ordinal] = owner

    @rule(ordinals=st.lists(st.integers(0, 7), unique=True))
    def release(self, ordinals):
        freed = [n for n in ordinals if self.owners[n] is not None]
        self.block = self.block.release(freed).written()
        self.queue += freed
        for ordinal in freed:
            self.owners[ordinal] = None

    @invariant()
    def agrees(self):
        read = Block.decode(self.block.encode(), "b")
        assert read == self.block
        held = [read.attribute_of(n) for n in range(8)]
        assert [owner and owner.handle_id for owner in held] == self.owners
        assert list(read.unallocated) == self.queue
        assert len(read.attributes or ()) == len({owner for owner in self.owners if owner})
        assert set(read.sequence_by_ordinal) == {n for n in range(8) if self.owners[n]}


TestBlockAgainstDumbList = BlockAgainstDumbList.TestCase
