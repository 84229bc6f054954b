"""Owners change while addresses stay assigned. Quotes calico-control-plane.md 5.8 and trap 33."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ConflictError, NotFoundError
from libcalico.ipam import AssignRequest, Attribute, OwnersRequest
from libcalico.ipam.model import Block
from libcalico.net.addresses import parse_cidr

HANDLE = "net.vmi.shop.db"
OLD = {"namespace": "shop", "pod": "virt-launcher-1", "vmi-name": "db"}
NEW = {"namespace": "shop", "pod": "virt-launcher-2", "vmi-name": "db"}


@pytest.fixture
def addresses(cluster):
    """Two addresses of one owner, which share their attribute."""
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    request = AssignRequest(host="a", num4=2, handle=HANDLE, attributes=OLD)
    return [one.address for one in cluster.client().auto_assign(request).ipv4]


def owners(address, active, alternate, **expected):
    return OwnersRequest(
        address=address, handle=HANDLE, active=active, alternate=alternate, **expected
    )


def test_an_address_moves_from_one_owner_to_the_next(cluster, addresses):
    ipam, moving = cluster.client(), addresses[0]
    ipam.set_owners(owners(moving, OLD, NEW, if_active=OLD, if_alternate={}))
    assert ipam.attributes_of(moving) == Attribute(HANDLE, OLD, NEW)
    ipam.set_owners(owners(moving, NEW, OLD, if_active={"pod": OLD["pod"]}, if_alternate=NEW))
    ipam.set_owners(owners(moving, NEW, {}, if_alternate=OLD))
    assert ipam.attributes_of(moving) == Attribute(HANDLE, NEW)
    assert ipam.ips_by_handle(HANDLE) == addresses
    assert ipam.problems() == []


def test_who_shared_the_owner_keeps_it(cluster, addresses):
    ipam = cluster.client()
    ipam.set_owners(owners(addresses[0], NEW, OLD))
    assert ipam.attributes_of(addresses[1]) == Attribute(HANDLE, OLD)
    ipam.release_by_handle(HANDLE)
    assert ipam.problems() == []


def test_the_block_counts_the_change_and_the_assignment_keeps_its_number(cluster, addresses):
    ipam = cluster.client()
    before = ipam.ownership_of(addresses[0])[1]
    ipam.set_owners(owners(addresses[0], NEW, {}))
    assert ipam.ownership_of(addresses[0])[1] == before
    assert (
        '"sequenceNumber":1767323045000000002'
        in cluster.stored()["assignment/ipv4/block/10.0.0.0-30"]
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"if_active": NEW}, "its active owner is .*virt-launcher-1.*, not .*virt-launcher-2"),
        ({"if_active": {}}, "its active owner is namespace=shop.*, not nobody"),
        ({"if_alternate": OLD}, "its alternate owner is nobody, not namespace=shop"),
        ({"handle": "net.other"}, "bad handle: owned by 'net.vmi.shop.db', not 'net.other'"),
    ],
)
def test_owners_that_are_not_as_expected_stay(cluster, addresses, change, said):
    fields = {"address": addresses[0], "handle": HANDLE, "active": NEW, "alternate": {}} | change
    stored = cluster.stored()
    with pytest.raises(ConflictError, match=f"^{addresses[0]}: {said}"):
        cluster.client().set_owners(OwnersRequest(**fields))
    assert cluster.stored() == stored


@pytest.mark.parametrize("address", ["10.0.0.3", "192.0.2.1"])
def test_an_address_that_is_not_assigned_has_no_owners(cluster, addresses, address):
    with pytest.raises(NotFoundError, match=f"IP is unassigned: {address}"):
        cluster.client().set_owners(owners(address, NEW, {}))


attributes = st.builds(
    Attribute,
    st.sampled_from(["h", "i"]),
    st.sampled_from([{}, OLD, NEW]),
    st.sampled_from([None, OLD]),
)


@given(st.lists(st.tuples(st.integers(0, 7), attributes), max_size=20))
def test_owners_are_those_last_written_and_nothing_else_is_kept(writes):
    block = Block.fresh(parse_cidr("10.0.0.0/29"), "host:a", None, 7)
    block = block.assign(range(8), Attribute("h", OLD))
    expected = [Attribute("h", OLD)] * 8
    for ordinal, attribute in writes:
        block = Block.decode(block.own(ordinal, attribute).encode(), "b")
        expected[ordinal] = attribute
        assert [block.attribute_of(n) for n in range(8)] == expected
        assert {*block.allocations} == {*range(len(block.attributes))}
        for index, held in enumerate(block.attributes):
            assert held.alternate is None or block.allocations.count(index) == 1
