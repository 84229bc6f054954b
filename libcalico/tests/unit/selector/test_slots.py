"""Sets of slots against Python's sets, across the border between few and many."""

from hypothesis import given
from hypothesis import strategies as st

from libcalico.selector.slots import SlotSet, mask_of, slots_in, union

SLOTS = st.sets(st.integers(0, 1000), max_size=200)


def a_set(slots):
    members = SlotSet()
    for slot in sorted(slots, key=lambda s: s % 7):
        members.add(slot)
    return members


def contents(members):
    assert members.count == members.mask().bit_count()
    return set(slots_in(members.mask()))


@given(SLOTS)
def test_masks_and_slots_are_the_same(slots):
    assert slots_in(mask_of(slots)) == sorted(slots)
    assert mask_of(slots) == sum(1 << slot for slot in slots)


@given(SLOTS, st.data())
def test_adding_and_discarding(slots, data):
    members = a_set(slots)
    assert contents(members) == slots
    gone = data.draw(st.sets(st.sampled_from(sorted(slots)))) if slots else set()
    for slot in gone:
        members.discard(slot)
    assert contents(members) == slots - gone


@given(SLOTS, SLOTS)
def test_including_and_excluding_masks(slots, other):
    members = a_set(slots)
    members.include(mask_of(other))
    assert contents(members) == slots | other
    members.exclude(mask_of(slots))
    assert contents(members) == other - slots


@given(SLOTS)
def test_union_of_disjoint_sets(slots):
    parts = [{slot for slot in slots if slot % 3 == rest} for rest in range(3)]
    assert union(map(a_set, parts)) == mask_of(slots)


@given(st.integers(0, 2**600 - 1), st.integers(0, 600))
def test_slots_of_any_density(mask, clear):
    thinned = mask & ~((1 << clear) - 1)
    assert slots_in(thinned) == [slot for slot in range(600) if thinned >> slot & 1]
