"""Addresses, on a datastore in memory: unique, given back, and the same for a request that is repeated."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_mesos import wire
from calico_mesos.apply import Isolator
from calico_mesos.plan import Place
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import (
    AddressInUseError,
    IpamError,
    NetlinkError,
    NoPoolError,
    PoolExhaustedError,
    UnavailableError,
    ValidationError,
)
from libcalico.ipam import AddressRequest, IpamClient
from libcalico.testing.builders import a_pool
from libcalico.workload import Workloads


def allocate(uid, num_ipv4=1, num_ipv6=0, *labels):
    return wire.AllocateArgs(
        hostname="agent-1", uid=uid, num_ipv4=num_ipv4, num_ipv6=num_ipv6, sent_labels=labels
    )


def reserve(uid, *addresses):
    four = tuple(a for a in addresses if ":" not in a)
    six = tuple(a for a in addresses if ":" in a)
    return wire.ReserveArgs(hostname="agent-1", uid=uid, ipv4_addrs=four, ipv6_addrs=six)


def release(uid="", *ips):
    return wire.ReleaseArgs(uid=uid, ips=ips)


def test_allocations_are_unique_and_of_the_pools(isolator, workloads):
    found = [*isolator.allocate(allocate("u1", 2, 1)), *isolator.allocate(allocate("u2", 2, 1))]
    assert len(set(found)) == 6
    assert {cidr.version for cidr in found} == {4, 6}
    assert workloads.ipam.owners("mesos:")["mesos:u1:allocated"] == {
        "node": "node-1",
        "orchestrator": "mesos",
        "uid": "u1",
    }


def test_a_repeated_allocation_gives_the_same(isolator):
    first = isolator.allocate(allocate("u1", 2, 1))
    assert isolator.allocate(allocate("u1", 2, 1)) == first


def test_an_allocation_after_a_reservation_gives_another(isolator):
    isolator.reserve(reserve("u1", "10.65.0.0"))
    (found,) = isolator.allocate(allocate("u1"))
    assert found.address != "10.65.0.0"
    isolator.release(release("u1"))
    isolator.reserve(reserve("u2", "10.65.0.0", found.address))


def test_addresses_named_by_a_label_come_first(isolator):
    label = wire.Label("ipv4_addrs", '["10.65.0.5"]')
    first, second = isolator.allocate(allocate("u1", 2, 0, label))
    assert first.address == "10.65.0.5" != second.address
    assert isolator.allocate(allocate("u1", 2, 0, label)) == [first, second]


def test_none_is_none(isolator):
    assert isolator.answer(wire.Allocate(allocate("u1", 0))) == wire.allocated()


def test_all_or_nothing(isolator, workloads):
    with pytest.raises(PoolExhaustedError, match="Assigned 8 out of 9"):
        isolator.allocate(allocate("u1", 9))
    with pytest.raises(PoolExhaustedError):
        isolator.allocate(allocate("u1", 1, 9, wire.Label("ipv4_addrs", "10.65.0.5")))
    assert workloads.ipam.owners() == {}


def test_a_reservation_is_rolled_back_to_what_was_before(isolator, workloads):
    isolator.reserve(reserve("u1", "10.65.0.1"))
    isolator.reserve(reserve("u2", "10.65.0.3"))
    with pytest.raises(AddressInUseError, match=r"10\.65\.0\.3"):
        isolator.reserve(reserve("u1", "10.65.0.1", "10.65.0.2", "10.65.0.3"))
    assert workloads.ipam.ips_by_handle("mesos:u1:reserved") == ["10.65.0.1"]
    isolator.reserve(reserve("u1", "10.65.0.1", "10.65.0.2", "fd00:65::1"))
    assert len(workloads.ipam.ips_by_handle("mesos:u1:reserved")) == 3


def test_an_address_of_no_pool_cannot_be_reserved(isolator):
    with pytest.raises(NoPoolError):
        isolator.reserve(reserve("u1", "10.99.0.1"))


def test_releasing_is_repeatable(isolator, workloads):
    (found,) = isolator.allocate(allocate("u1"))
    for _ in range(2):
        isolator.release(release("", found.address, "10.65.0.6", "192.0.2.1"))
        isolator.release(release("u1"))
    assert workloads.ipam.owners() == {}


def test_what_is_not_a_tasks_stays(isolator, workloads):
    (found,) = isolator.allocate(allocate("u1"))
    workloads.ipam.assign_ip(AddressRequest(address="10.65.0.7", host="node-1", handle="net.c1"))
    with pytest.raises(AddressInUseError, match=r"'net\.c1'"):
        isolator.release(release("", found.address, "10.65.0.7"))
    assert set(workloads.ipam.owners()) == {"mesos:u1:allocated", "net.c1"}


def test_no_one_isolates_with_an_address_that_is_not_its_own(isolator, workloads):
    workloads.ipam.assign_ip(AddressRequest(address="10.65.0.7", host="node-1", handle="net.c1"))

    def isolate(address, pid=1):
        args = wire.IsolateArgs(hostname="a", container_id="c1", pid=pid, ipv4_addrs=(address,))
        isolator.isolate(args)

    with pytest.raises(AddressInUseError, match="belongs to"):
        isolate("10.65.0.7")
    with pytest.raises(IpamError, match="neither allocated nor reserved"):
        isolate("10.65.0.6")
    (found,) = isolator.allocate(allocate("u1"))
    with pytest.raises(NetlinkError, match="process 4194305 does not exist"):
        isolate(found.address, pid=4194305)
    assert workloads.client.workloadendpoints.list() == []


def test_a_request_that_is_refused_creates_no_profile(isolator, workloads):
    (found,) = isolator.allocate(allocate("u1"))
    long = wire.Label("description", "x" * 64)
    args = wire.IsolateArgs(
        hostname="a",
        container_id="c1",
        pid=1,
        ipv4_addrs=(found.address,),
        netgroups=("prod",),
        sent_labels=(long,),
    )
    with pytest.raises(ValidationError, match="description"):
        isolator.isolate(args)
    assert "prod" not in {profile.name for profile in workloads.client.profiles.list()}


def test_concurrent_allocations_are_unique(isolator, workloads):
    workloads.client.ippools.create(a_pool(name="more", cidr="10.66.0.0/24"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: isolator.allocate(allocate(f"u{n}", 2)), range(24)))
    assert len({cidr for cidrs in found for cidr in cidrs}) == 48


class Forgetful(MemoryBackend):
    """Loses the answer of a write once, when told to: the write is done, and the caller does not know."""

    loses = False

    def transact(self, writes):
        revision = super().transact(writes)
        if self.loses and any("/assignment/" in write.key for write in writes):
            self.loses = False
            raise UnavailableError("no answer")
        return revision


@pytest.mark.parametrize("call", ["allocate", "reserve"])
def test_what_a_lost_answer_assigned_is_given_back(workloads, call):
    backend = Forgetful(workloads.client.backend.store)
    ipam = IpamClient(backend, pause=lambda attempt: None)
    isolator = Isolator(Workloads(Client(backend, addresses=ipam), ipam), Place("node-1"))
    isolator.allocate(allocate("before"))
    requests = {"allocate": allocate("u1"), "reserve": reserve("u1", "10.65.0.6")}
    backend.loses = True
    with pytest.raises(UnavailableError):
        getattr(isolator, call)(requests[call])
    assert not backend.loses
    assert list(ipam.owners()) == ["mesos:before:allocated"]
    assert ipam.problems() == []


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_whatever_is_asked_no_address_has_two_owners_and_all_come_back(seed):
    chance = random.Random(seed)
    backend = MemoryBackend()
    ipam = IpamClient(backend, pause=lambda attempt: None)
    client = Client(backend, addresses=ipam)
    client.ippools.create(a_pool(name="four", cidr="10.65.0.0/29", block_size=29))
    isolator = Isolator(Workloads(client, ipam), Place("node-1"))
    owned: dict[str, set[str]] = {uid: set() for uid in ("u1", "u2", "u3")}
    for _ in range(20):
        uid = chance.choice(list(owned))
        address = f"10.65.0.{chance.randrange(8)}"
        others = set().union(*(has for other, has in owned.items() if other != uid))
        match chance.choice(["allocate", "reserve", "release", "ips"]):
            case "allocate":
                try:
                    given_now = {c.address for c in isolator.allocate(allocate(uid, 1))}
                except IpamError:
                    assert len(others | owned[uid]) == 8
                else:
                    assert not given_now & others
                    owned[uid] |= given_now
            case "reserve":
                try:
                    isolator.reserve(reserve(uid, address))
                except AddressInUseError:
                    assert address in others | owned[uid]
                else:
                    assert address not in others
                    owned[uid].add(address)
            case "release":
                isolator.release(release(uid))
                owned[uid].clear()
            case "ips":
                isolator.release(release("", address))
                for has in owned.values():
                    has.discard(address)
        assert ipam.problems() == []
    for uid in owned:
        isolator.release(release(uid))
    assert ipam.owners() == {}
