"""From any table to any other, knowing of the first what the kernel tells."""

from dataclasses import replace

from hypothesis import given, settings

from calico_node.felix.nft.fake import FakeNftables
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import ACCEPT, BaseHook, Chain, VerdictMap, goto, table
from calico_node.felix.nft.operations import AddVerdicts, CreateTable, DeleteSet, DestroyTable
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.rebuild import rebuild
from calico_node.felix.nft.testing.tables import tables

CALI1, CALI2 = KeyType.IFNAME.pack("cali1"), KeyType.IFNAME.pack("cali2")


def fake_with(content):
    kernel = FakeNftables()
    kernel.commit(replace_table(content))
    return kernel


@settings(max_examples=100, deadline=None)
@given(tables(), tables())
def test_a_table_becomes_any_other(before, after):
    kernel = fake_with(before)
    found = kernel.skeleton("t")
    if found is None:
        assert not before.chains
        return
    for batch in rebuild(found, after):
        kernel.commit(batch)
    assert kernel.table("t") == after


def test_elements_of_maps_that_stay_are_not_touched():
    chain = Chain("c")
    map_ = VerdictMap("m", (KeyType.IFNAME,), {CALI1: goto("c")})
    wanted = replace(map_, elements={CALI1: goto("c"), CALI2: ACCEPT})
    kernel = fake_with(table("t", [chain], maps=[map_]))
    (batch,) = rebuild(kernel.skeleton("t"), table("t", [chain], maps=[wanted]))
    assert not [o for o in batch if isinstance(o, DeleteSet | DestroyTable)]
    assert [o.verdicts for o in batch if isinstance(o, AddVerdicts)] == [{CALI2: ACCEPT}]


def test_a_table_that_somebody_switched_off_is_switched_on():
    same = table("t", [Chain("c")])
    (batch,) = rebuild(fake_with(same).skeleton("t"), same)
    assert batch[0] == CreateTable("t")


def test_a_map_of_other_keys_is_made_anew():
    by_address = VerdictMap("m", (KeyType.IPV4_ADDR,), {bytes((10, 0, 0, 1)): ACCEPT})
    wanted = table("t", [Chain("c")], maps=[VerdictMap("m", (KeyType.IFNAME,), {CALI1: ACCEPT})])
    kernel = fake_with(table("t", [Chain("c")], maps=[by_address]))
    for batch in rebuild(kernel.skeleton("t"), wanted):
        kernel.commit(batch)
    assert kernel.table("t") == wanted


def test_a_chain_that_hangs_elsewhere_needs_a_new_table():
    here, there = BaseHook("filter", "input", 0), BaseHook("filter", "input", 1)
    found = fake_with(table("t", [Chain("c", (), here)])).skeleton("t")
    assert rebuild(found, table("t", [Chain("c", (), there)])) is None
    assert rebuild(found, table("t", [Chain("c")])) is None
    assert rebuild(found, table("t", [Chain("c", (), replace(here, policy="drop"))])) is not None
