"""What callers of IPAM get. Quotes calico-control-plane.md 5.4 to 5.9."""

from __future__ import annotations

import json
import threading

import pytest

from libcalico.client import Client
from libcalico.errors import (
    AddressInUseError,
    ConflictError,
    IpamError,
    NoPoolError,
    NotFoundError,
    PoolExhaustedError,
    UnavailableError,
    ValidationError,
)
from libcalico.ipam import AddressRequest, AssignRequest, IpamClient, IpamConfig, ReleaseRequest
from libcalico.ipam.plan.view import RESERVATIONS
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.resources.endpoints import WorkloadEndpoint, WorkloadEndpointSpec


def want(host="a", num4=1, **fields):
    return AssignRequest(host=host, num4=num4, **fields)


def addresses(result):
    return [one.address for one in result.ipv4]


def test_the_first_assignment_claims_a_block_in_one_transaction(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    before = cluster.backend.read("/none").revision
    cluster.client().auto_assign(want(handle="net.c1", attributes={"node": "a"}))
    assert cluster.backend.read("/none").revision == before + 1
    assert cluster.stored() == {
        "assignment/ipv4/block/10.0.0.0-30": (
            '{"cidr":"10.0.0.0/30","affinity":"host:a","affinity_claim_time":"2026-01-02T03:04:05Z",'
            '"allocations":[0,null,null,null],"unallocated":[1,2,3],'
            '"attributes":[{"handle_id":"net.c1","secondary":{"node":"a"}}],'
            '"sequenceNumber":1767323045000000001,'
            '"sequenceNumberForAllocation":{"0":1767323045000000000},"deleted":false}'
        ),
        "config": '{"auto_allocate_blocks":true,"kubeVirtVMAddressPersistence":"Enabled"}',
        "handle/net.c1": '{"block":{"10.0.0.0/30":1},"deleted":false}',
        "host/a/ipv4/block/10.0.0.0-30": '{"state":"confirmed","deleted":false}',
    }


def test_both_families_come_with_their_block_and_pool(cluster):
    cluster.pool("four", "10.0.0.0/24")
    cluster.pool("six", "fd00::/120")
    result = cluster.client().auto_assign(want(num6=2, handle="h"))
    (one,) = result.ipv4
    assert (one.pool, one.pool_cidr) == ("four", "10.0.0.0/24")
    assert [six.pool_cidr for six in result.ipv6] == ["fd00::/120"] * 2
    assert cluster.client().ips_by_handle("h") == [
        one.address,
        *(six.address for six in result.ipv6),
    ]


def test_a_shortage_of_one_family_gives_none_of_the_other(cluster):
    cluster.pool("four", "10.0.0.0/24")
    cluster.pool("six", "fd00::/128", blockSize=128)
    with pytest.raises(PoolExhaustedError, match="Assigned 1 out of 2 requested IPv6 addresses"):
        cluster.client().auto_assign(want(num6=2, handle="h"))
    assert cluster.stored() == {}


def test_a_partial_request_gets_what_there_is_and_why_not_more(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    result = cluster.client().auto_assign(want(num4=6, partial=True))
    assert addresses(result) == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert result.messages == ("No IPs available in pools: [10.0.0.0/30]",)


def test_a_range_that_is_full_is_named_and_not_the_block_around_it(cluster):
    cluster.pool("p", "10.0.0.0/24")
    part = parse_cidr("10.0.0.8/30")
    result = cluster.client().auto_assign(want(num4=5, within4=part, partial=True))
    assert len(addresses(result)) == 4
    assert result.messages == ("No IPs available in pools: [10.0.0.8/30]",)


def test_freed_addresses_are_used_again_last(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    ipam = cluster.client()
    ipam.auto_assign(want(handle="h"))
    ipam.release_by_handle("h")
    assert addresses(ipam.auto_assign(want(num4=4)))[-1] == "10.0.0.0"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"disabled": True}, "no configured Calico pools for node a"),
        ({"assignmentMode": "Manual"}, "no configured Calico pools"),
        ({"nodeSelector": "rack == 'r9'"}, "no configured Calico pools"),
        ({"allowedUses": ["Tunnel"]}, r"no pools match the required use \(Workload\)"),
        ({"namespaceSelector": "team == 'x'"}, "no configured Calico pools"),
    ],
)
def test_a_pool_that_may_not_be_used_is_not(cluster, spec, why):
    cluster.node("a", rack="r1")
    cluster.pool("p", "10.0.0.0/30", blockSize=30, **spec)
    with pytest.raises(NoPoolError, match=why):
        cluster.client().auto_assign(want())


@pytest.mark.parametrize(
    ("conditions", "is_used"),
    [
        ([{"type": "Ready", "status": "False"}, {"type": "Allocatable", "status": "False"}], False),
        ([{"type": "Allocatable", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}, "nonsense"], True),
        ("nonsense", True),
    ],
)
def test_a_pool_that_controllers_withhold_is_not_used(cluster, conditions, is_used):
    status = {"conditions": conditions}
    cluster.pool("p", "10.0.0.0/30", status=status, blockSize=30)
    ipam = cluster.client()
    if is_used:
        assert ipam.auto_assign(want()).ipv4
        return
    with pytest.raises(NoPoolError, match="no configured Calico pools for node a"):
        ipam.auto_assign(want())
    with pytest.raises(NoPoolError):
        ipam.assign_ip(AddressRequest(address="10.0.0.1", host="a"))
    assert cluster.stored().keys() <= {"config"}


def test_node_and_namespace_selectors_choose_the_pool(cluster):
    cluster.node("a", rack="r1")
    cluster.pool("p1", "10.0.1.0/30", blockSize=30, nodeSelector="rack == 'r1'")
    cluster.pool("p2", "10.0.2.0/30", blockSize=30, namespaceSelector="team == 'x'")
    ipam = cluster.client()
    result = ipam.auto_assign(want(num4=5, namespace_labels={"team": "x"}, partial=True))
    assert {one.pool for one in result.ipv4} == {"p1", "p2"}
    result = ipam.auto_assign(want(host="b", namespace_labels={"team": "x"}))
    assert [one.pool for one in result.ipv4] == ["p2"]


@pytest.mark.parametrize("name", ["manual", "10.0.9.0/30"])
def test_a_named_pool_is_used_whatever_its_selectors_say(cluster, name):
    cluster.pool("auto", "10.0.0.0/24")
    spec = {"assignmentMode": "Manual", "nodeSelector": "no == 'where'"}
    cluster.pool("manual", "10.0.9.0/30", blockSize=30, **spec)
    (one,) = cluster.client().auto_assign(want(pools4=[name])).ipv4
    assert one.pool == "manual"


def test_a_named_pool_must_exist_and_be_enabled(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30, disabled=True)
    for name in ("p", "10.9.0.0/16", "nonsense/99"):
        with pytest.raises(NoPoolError, match="does not exist, or is not enabled"):
            cluster.client().auto_assign(want(pools4=[name]))


@pytest.mark.parametrize(
    ("within", "first", "number"),
    [
        ("10.0.0.64/27", "10.0.0.64", 32),  # less than a block
        ("10.0.0.128/25", "10.0.0.128", 128),  # two blocks
        ("10.0.0.0/24", "10.0.0.0", 256),  # the pool
    ],
)
def test_a_range_of_a_pool_is_filled_and_not_left(cluster, within, first, number):
    cluster.pool("p", "10.0.0.0/24")
    cidr = parse_cidr(within)
    result = cluster.client().auto_assign(want(num4=500, within4=cidr, partial=True))
    assert len(set(addresses(result))) == number
    assert all(cidr.contains(parse_address(text)) for text in addresses(result))
    assert first in addresses(result)


def test_a_range_far_into_a_huge_pool_is_found(cluster):
    cluster.pool("six", "fd00::/32")
    within = parse_cidr("fd00:0:1234:5678::/64")
    result = cluster.client().auto_assign(want(num4=0, num6=1, within6=within))
    assert within.contains(parse_address(result.ipv6[0].address))


def test_a_range_must_be_in_a_pool(cluster):
    cluster.pool("p", "10.0.0.0/24")
    with pytest.raises(NoPoolError, match=r"10\.0\.0\.0/23 is in no pool"):
        cluster.client().auto_assign(want(within4=parse_cidr("10.0.0.0/23")))


def test_reserved_addresses_are_left_alone_but_can_be_asked_for(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    cluster.reserve("10.0.0.0/30", "10.0.0.5")
    ipam = cluster.client()
    given = addresses(ipam.auto_assign(want(num4=8, partial=True)))
    assert sorted(given) == ["10.0.0.4", "10.0.0.6", "10.0.0.7"]
    assert ipam.assign_ip(AddressRequest(address="10.0.0.5", host="a")).address == "10.0.0.5"


def test_a_malformed_reservation_does_not_stop_assignment(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    cluster.backend.put(RESERVATIONS + "x", b"{not json")
    cluster.backend.put(RESERVATIONS + "y", b'{"spec":{"reservedCIDRs":["nonsense",7]}}')
    assert addresses(cluster.client().auto_assign(want())) == ["10.0.0.0"]


def test_hosts_claim_different_blocks(cluster):
    cluster.pool("p", "10.0.0.0/16")
    blocks = {cluster.client().auto_assign(want(host=f"n{n}")).ipv4[0].block for n in range(10)}
    assert len(blocks) == 10


def test_addresses_of_other_hosts_are_borrowed_unless_affinity_is_strict(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    ipam = cluster.client()
    ipam.auto_assign(want(host="a"))
    assert addresses(ipam.auto_assign(want(host="b"))) == ["10.0.0.1"]
    ipam.set_config(IpamConfig(strict_affinity=True))
    with pytest.raises(PoolExhaustedError, match="strict affinity enabled"):
        ipam.auto_assign(want(host="b"))
    assert ipam.problems() == []


def test_hosts_borrow_from_different_blocks_first(cluster):
    cluster.pool("p", "10.0.0.0/26", blockSize=30)
    ipam = cluster.client()
    for first in range(0, 64, 4):
        ipam.claim_affinity("owner", f"10.0.0.{first}/30")
    borrowed = {ipam.auto_assign(want(host=f"n{n}")).ipv4[0].block for n in range(4)}
    assert len(borrowed) > 1
    assert ipam.problems() == []


def test_an_empty_block_of_another_host_is_taken_over_after_a_minute(cluster):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    cluster.client().set_config(IpamConfig(strict_affinity=True))
    cluster.client().claim_affinity("a", "10.0.0.0/30")
    with pytest.raises(PoolExhaustedError):
        cluster.client().auto_assign(want(host="b"))
    cluster.now_ns += 61_000_000_000
    assert addresses(cluster.client().auto_assign(want(host="b"))) == ["10.0.0.0"]
    assert [key for key in cluster.stored() if "host/" in key] == ["host/b/ipv4/block/10.0.0.0-30"]


def test_the_limit_of_blocks_stops_claiming_and_borrowing(cluster):
    cluster.pool("p", "10.0.0.0/28", blockSize=30)
    with pytest.raises(PoolExhaustedError, match="per host block limit: limit of 2 blocks"):
        cluster.client().auto_assign(want(num4=9, max_blocks=2))
    cluster.client().set_config(IpamConfig(strict_affinity=True, max_blocks_per_host=3))
    result = cluster.client().auto_assign(want(num4=13, partial=True))
    assert len(result.ipv4) == 12


def test_a_host_has_20_blocks_by_default(cluster):
    cluster.pool("p", "10.0.0.0/24", blockSize=30)
    result = cluster.client().auto_assign(want(num4=81, partial=True))
    assert len(result.ipv4) == 80
    assert "limit of 20 blocks" in result.messages[0]


def test_a_request_may_ask_for_more_blocks_than_the_default(cluster):
    cluster.pool("p", "10.0.0.0/24", blockSize=30)
    assert len(cluster.client().auto_assign(want(num4=81, max_blocks=30)).ipv4) == 81
    strict = IpamConfig(strict_affinity=True, max_blocks_per_host=22)
    cluster.client().set_config(strict)
    with pytest.raises(PoolExhaustedError, match="limit of 22 blocks"):
        cluster.client().auto_assign(want(num4=10, max_blocks=30))


def test_without_block_allocation_only_blocks_at_hand_are_used(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    ipam = cluster.client()
    ipam.claim_affinity("a", "10.0.0.0/30")
    ipam.set_config(IpamConfig(strict_affinity=True, auto_allocate_blocks=False))
    with pytest.raises(PoolExhaustedError, match="failed to find or claim a block"):
        ipam.auto_assign(want(num4=5))
    assert len(ipam.auto_assign(want(num4=4)).ipv4) == 4


def test_a_bounded_handle_gets_what_it_owns_already(cluster):
    cluster.pool("p", "10.0.0.0/24")
    request = want(handle="h", max_per_handle=1)
    first = cluster.client().auto_assign(request)
    assert cluster.client().auto_assign(request).ipv4 == first.ipv4


@pytest.mark.parametrize("state", ["pending", "pendingDeletion", ""])
def test_an_affinity_left_unconfirmed_is_confirmed_with_its_block(cluster, state):
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    cluster.client().claim_affinity("a", "10.0.0.0/30")
    key = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30"
    cluster.backend.put(key, json.dumps({"state": state}).encode() if state else b"")
    cluster.client().auto_assign(want())
    assert "confirmed" in cluster.stored()["host/a/ipv4/block/10.0.0.0-30"]
    assert cluster.client().problems() == []


def test_an_affinity_to_a_block_of_another_host_is_dropped(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    cluster.client().claim_affinity("b", "10.0.0.0/30")
    key = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30"
    cluster.backend.put(key, b'{"state":"pending"}')
    assert addresses(cluster.client().auto_assign(want())) == ["10.0.0.4"]
    assert "host/a/ipv4/block/10.0.0.0-30" not in cluster.stored()


def test_a_block_that_cannot_be_read_is_neither_used_nor_replaced(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    cluster.backend.put("/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30", b"{broken")
    given = addresses(cluster.client().auto_assign(want(num4=9, partial=True)))
    assert given == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]
    assert cluster.stored()["assignment/ipv4/block/10.0.0.0-30"] == "{broken"


def test_a_block_moves_away_once_its_pool_no_longer_selects_the_host(cluster):
    cluster.node("a", rack="r1")
    cluster.pool("p", "10.0.0.0/30", blockSize=30)
    ipam = cluster.client()
    ipam.auto_assign(want(handle="h"))
    cluster.pool("p", "10.0.0.0/30", blockSize=30, nodeSelector="rack == 'r2'")
    ipam.release_by_handle("h")
    assert list(cluster.stored()) == ["config"]


class TestAssignIp:
    def test_it_is_given_once(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)
        request = AddressRequest(address="10.0.0.2", host="a", handle="h")
        assert cluster.client().assign_ip(request).block == "10.0.0.0/30"
        with pytest.raises(AddressInUseError, match=r"10\.0\.0\.2 already assigned in block"):
            cluster.client().assign_ip(request)
        assert cluster.client().problems() == []

    def test_it_must_be_in_an_enabled_pool(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30, disabled=True)
        with pytest.raises(NoPoolError, match="not in a configured pool"):
            cluster.client().assign_ip(AddressRequest(address="10.0.0.2", host="a"))

    def test_strict_affinity_refuses_the_block_of_another_host(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)
        ipam = cluster.client()
        ipam.claim_affinity("b", "10.0.0.0/30")
        ipam.set_config(IpamConfig(strict_affinity=True))
        with pytest.raises(IpamError, match="Block host affinity does not match"):
            ipam.assign_ip(AddressRequest(address="10.0.0.2", host="a"))

    def test_strict_affinity_refuses_a_block_that_nobody_owns(self, cluster):
        cluster.pool("p", "10.0.0.0/24")
        ipam = cluster.client()
        ipam.assign_ip(AddressRequest(address="10.0.0.5", host="a"))
        ipam.release_affinity("a", "10.0.0.0/26")
        ipam.set_config(IpamConfig(strict_affinity=True))
        with pytest.raises(IpamError, match=r"Attempt to assign from block 10.0.0.0/26 with no "):
            ipam.assign_ip(AddressRequest(address="10.0.0.6", host="a"))

    def test_nonsense_is_a_validation_error(self, cluster):
        with pytest.raises(ValidationError, match="not an IP address"):
            cluster.client().assign_ip(AddressRequest(address="10.0.0.x", host="a"))


class TestRelease:
    @pytest.fixture
    def ipam(self, cluster):
        cluster.pool("p", "10.0.0.0/29", blockSize=30)
        ipam = cluster.client()
        self.given = addresses(ipam.auto_assign(want(num4=3, handle="h", attributes={"x": "y"})))
        return ipam

    def test_what_was_not_assigned_is_returned(self, ipam):
        first = ReleaseRequest(self.given[0])
        assert ipam.release_ips([first, ReleaseRequest("192.0.2.1")]) == ["192.0.2.1"]
        assert ipam.release_ips([first]) == [self.given[0]]
        assert ipam.ips_by_handle("h") == self.given[1:]

    def test_the_handle_disappears_with_its_last_address(self, ipam, cluster):
        ipam.release_ips([ReleaseRequest(address) for address in self.given])
        with pytest.raises(NotFoundError, match="'h' does not exist"):
            ipam.ips_by_handle("h")
        assert not [key for key in cluster.stored() if key.startswith("handle")]

    def test_another_owner_frees_nothing(self, ipam):
        with pytest.raises(ConflictError, match="bad handle"):
            ipam.release_ips([ReleaseRequest(self.given[0], handle="other")])
        with pytest.raises(ConflictError, match="bad sequence number"):
            ipam.release_ips([ReleaseRequest(self.given[0], sequence=1)])
        assert ipam.ips_by_handle("h") == self.given

    def test_the_sequence_number_of_the_assignment_frees(self, ipam):
        owner, sequence = ipam.ownership_of(self.given[0])
        assert (owner.handle_id, owner.secondary) == ("h", {"x": "y"})
        assert ipam.release_ips([ReleaseRequest(self.given[0], "h", sequence)]) == []

    def test_nobody_owns_a_free_address(self, ipam):
        for address in ("10.0.0.7", "192.0.2.1"):
            with pytest.raises(NotFoundError, match="IP is unassigned"):
                ipam.attributes_of(address)

    def test_an_address_outside_every_pool_is_found_in_its_block(self, ipam, cluster):
        cluster.backend.delete("/calico/resources/v3/projectcalico.org/ippools/p")
        assert cluster.client().attributes_of(self.given[0]).handle_id == "h"
        assert cluster.client().release_ips([ReleaseRequest(self.given[0])]) == []

    def test_a_released_affinity_keeps_the_addresses(self, ipam, cluster):
        with pytest.raises(IpamError, match="is not empty"):
            ipam.release_host_affinities("a", must_be_empty=True)
        ipam.release_host_affinities("a")
        assert ipam.ips_by_handle("h") == self.given
        ipam.release_by_handle("h")
        assert list(cluster.stored()) == ["config"]

    def test_a_pool_gives_up_all_its_affinities(self, ipam, cluster):
        ipam.auto_assign(want(host="b", handle="g"))
        ipam.release_pool_affinities("10.0.0.0/29")
        assert not [key for key in cluster.stored() if key.startswith("host")]

    def test_utilization_counts_free_addresses_by_block(self, ipam, cluster):
        (usage,) = ipam.utilization()
        ((block,),) = [usage.blocks]
        assert (usage.name, block.capacity, block.available) == ("p", 4, 1)
        cluster.backend.delete("/calico/resources/v3/projectcalico.org/ippools/p")
        assert ipam.utilization()[0].name == "orphaned allocation blocks"


class TestGroupCommit:
    def test_what_waits_shares_one_transaction_and_fails_alone(self, cluster):
        cluster.pool("p", "10.0.0.0/26")
        held, reading = threading.Event(), threading.Event()

        class Held:
            """Holds the first read until everyone has queued."""

            def __getattr__(self, name):
                def call(*args):
                    reading.set()
                    held.wait(10)
                    return getattr(cluster.backend, name)(*args)

                return call

        ipam = IpamClient(Held())
        results = {}

        def assign(number):
            try:
                result = ipam.auto_assign(want(handle=f"h{number}", num4=99 if number == 5 else 1))
                results[number] = addresses(result)[0]
            except PoolExhaustedError as error:
                results[number] = error

        before = cluster.backend.read("/none").revision
        threads = [threading.Thread(target=assign, args=(number,)) for number in range(12)]
        threads[0].start()
        reading.wait(10)
        for thread in threads[1:]:
            thread.start()
        queue = ipam._committer._queue
        deadline = threading.Event()
        while len(queue) < 11 and not deadline.wait(0.001):
            pass
        held.set()
        for thread in threads:
            thread.join(30)
        failed = results.pop(5)
        assert isinstance(failed, PoolExhaustedError)
        assert len(set(results.values())) == 11
        assert cluster.backend.read("/none").revision == before + 2
        assert cluster.client().problems() == []

    def test_without_a_store_everyone_is_told(self, cluster):
        ipam = cluster.client()
        with cluster.store.unavailable(), pytest.raises(UnavailableError):
            ipam.auto_assign(want())

    def test_a_lost_answer_is_not_taken_for_success(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)

        class AnswersLost:
            lost = False

            def __getattr__(self, name):
                return getattr(cluster.backend, name)

            def transact(self, writes):
                revision = cluster.backend.transact(writes)
                if self.lost:
                    raise UnavailableError("lost")
                return revision

        store = AnswersLost()
        ipam = IpamClient(store)
        ipam.auto_assign(want())
        store.lost = True
        with pytest.raises(UnavailableError):
            ipam.auto_assign(want(handle="h"))
        store.lost = False
        assert addresses(ipam.auto_assign(want(handle="g"))) == ["10.0.0.2"]
        assert ipam.ips_by_handle("h") == ["10.0.0.1"]

    def test_endless_conflicts_end(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)

        class AlwaysLost:
            def __getattr__(self, name):
                return getattr(cluster.backend, name)

            def transact(self, writes):
                raise ConflictError("lost")

        pauses = []
        ipam = IpamClient(AlwaysLost(), pause=pauses.append)
        with pytest.raises(IpamError, match="Max retries hit - excessive concurrent IPAM requests"):
            ipam.auto_assign(want())
        assert len(pauses) == 100

    def test_a_remembered_block_that_changed_elsewhere_is_read_again(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)
        here, elsewhere = cluster.client(), cluster.client()
        here.auto_assign(want(num4=4, handle="h"))
        elsewhere.release_by_handle("h")
        assert len(addresses(here.auto_assign(want(num4=4, handle="g")))) == 4
        elsewhere.release_by_handle("g")
        with pytest.raises(NotFoundError):
            here.release_by_handle("g")


def test_settings_are_stored_and_read(cluster):
    assert cluster.client().get_config() == IpamConfig()
    strict = IpamConfig(strict_affinity=True, max_blocks_per_host=5)
    cluster.client().set_config(strict)
    assert cluster.client().get_config() == strict
    with pytest.raises(ValidationError):
        cluster.client().set_config(IpamConfig(max_blocks_per_host=5))


def test_a_block_of_another_host_cannot_be_claimed(cluster):
    cluster.client().claim_affinity("a", "10.0.0.0/26")
    with pytest.raises(IpamError, match="claimed by another host than b"):
        cluster.client().claim_affinity("b", "10.0.0.0/26")
    assert cluster.client().release_affinity("b", "10.0.0.0/26") is False


def test_a_node_and_an_endpoint_that_go_give_everything_back(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    ipam = cluster.client()
    client = Client(cluster.backend, addresses=ipam)
    ipam.auto_assign(want(handle="ipip-tunnel-addr-a", use="Tunnel"))
    address = ipam.auto_assign(want(handle="net.c1")).ipv4[0].address
    assert client.addresses is ipam
    spec = WorkloadEndpointSpec(ip_networks=[f"{address}/32", "192.0.2.0/24"])
    ipam.release_endpoint(WorkloadEndpoint(spec=spec))
    ipam.release_host("a")
    assert list(cluster.stored()) == ["config"]


def test_owners_are_listed_by_the_beginning_of_their_handle(cluster):
    cluster.pool("p", "10.0.0.0/29", blockSize=30)
    ipam = cluster.client()
    for handle, node in (("net.c1", "a"), ("net.c2", "b"), ("other.c1", "a")):
        ipam.auto_assign(want(handle=handle, attributes={"node": node}))
    cluster.backend.put("/calico/ipam/v2/handle/net.c3", b'{"block":{},"deleted":false}')
    assert ipam.owners("net.") == {"net.c1": {"node": "a"}, "net.c2": {"node": "b"}, "net.c3": {}}
    assert list(ipam.owners()) == ["net.c1", "net.c2", "net.c3", "other.c1"]


class TestABlockOfOursWithoutAffinity:
    """What a crash of Go Calico can leave: the block names its host, which does not know of it."""

    @pytest.fixture
    def ipam(self, cluster):
        cluster.pool("p", "10.0.0.0/30", blockSize=30)
        ipam = cluster.client()
        ipam.auto_assign(want(handle="h"))
        cluster.backend.delete("/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30")
        assert ipam.problems() == ["block 10.0.0.0/30 belongs to a, which has no affinity to it"]
        return ipam

    def test_it_is_adopted_when_no_block_is_free(self, ipam, cluster):
        ipam.set_config(IpamConfig(strict_affinity=True))
        assert addresses(ipam.auto_assign(want())) == ["10.0.0.1"]
        assert ipam.problems() == []

    def test_it_goes_with_its_host(self, ipam, cluster):
        ipam.release_by_handle("h")
        ipam.release_host("a")
        assert list(cluster.stored()) == ["config"]
