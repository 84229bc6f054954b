"""No address is given twice and nothing leaks for good, whoever writes when and whoever dies.

Simulated processes run IPAM operations in threads that stop before each access to the store. The
machine decides who goes on, who dies before or after an access took effect, and to whom the store
does not answer: it may have done what was asked, or not. Some processes behave as Go Calico: they
write affinity, block and handle one after the other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import CalicoError, ConflictError, NotFoundError, UnavailableError
from libcalico.ipam import AddressRequest, AssignRequest, IpamClient, IpamConfig
from libcalico.ipam.model import Affinity, Attribute, Block, Handle
from libcalico.net.addresses import parse_cidr
from libcalico.resources import codec

ROOT = "/calico/ipam/v2/"
BLOCKS = ROOT + "assignment/ipv4/block/"
HANDLES = ROOT + "handle/"
POOL = "/calico/resources/v3/projectcalico.org/ippools/p"
HOSTS = ["a", "b", "c", "d", "e"]
DEADLINE_S = 30.0
MAX_RUNNING = 4


class Died(BaseException):
    """The simulated process was killed."""


class Turns:
    """The store of one process: each access waits until the process is given a turn."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._go = threading.Semaphore(0)
        self._parked = threading.Semaphore(0)
        self._order = "go"
        self.finished = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        access = getattr(self._backend, name)

        def taken(*args: Any, **kwargs: Any) -> Any:
            self._parked.release()
            self._go.acquire()
            self._interrupt("before")
            result = access(*args, **kwargs)
            self._interrupt("after")
            return result

        return taken

    def _interrupt(self, moment: str) -> None:
        if self._order == f"die {moment}":
            raise Died
        if self._order == f"no answer {moment}":
            raise UnavailableError("no answer")

    def finish(self) -> None:
        """Called by the process's thread at its end."""
        self.finished = True
        self._parked.release()

    def wait(self) -> None:
        """Wait until the process stands before its next access, or has ended."""
        assert self._parked.acquire(timeout=DEADLINE_S)

    def let(self, order: str) -> None:
        """Give one turn."""
        self._order = order
        self._go.release()
        self.wait()


class Process:
    """One operation under way."""

    def __init__(self, backend: MemoryBackend, work: Callable[[Any], Any]) -> None:
        self.turns = Turns(backend)
        self.result: Any = None
        self.died = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self.turns.wait()

    def _run(self, work: Callable[[Any], Any]) -> None:
        try:
            self.result = work(self.turns)
        except CalicoError as refusal:
            self.result = refusal
        except Died:
            self.died = True
        except BaseException as error:  # noqa: BLE001 - raised again by the machine
            self.error = error
        finally:
            self.turns.finish()

    def join(self) -> None:
        """Wait for its thread."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


class GoPeer:
    """The protocol of calico-control-plane.md 5.11, one write at a time, plainly."""

    def __init__(self, store: Any, host: str) -> None:
        self.store, self.host = store, host

    def _read(self, key: str, kind: Any) -> Any:
        item = self.store.get(key)
        return (None, 0) if item is None else (kind.decode(item.value, key), item.revision)

    def _affinity_key(self, cidr: str) -> str:
        return f"{ROOT}host/{self.host}/ipv4/block/{cidr.replace('/', '-')}"

    def claim(self, cidr: str) -> bool:
        key = self._affinity_key(cidr)
        affinity, revision = self._read(key, Affinity)
        if affinity is None:
            self.store.create(key, Affinity("pending").encode())
        elif not affinity.confirmed:
            self.store.update(key, Affinity("pending").encode(), revision)
        block_key = BLOCKS + cidr.replace("/", "-")
        block, block_revision = self._read(block_key, Block)
        if block is None:
            fresh = Block.fresh(parse_cidr(cidr), f"host:{self.host}", None, 1)
            self.store.create(block_key, fresh.encode())
        elif block.owner != f"host:{self.host}":
            _, revision = self._read(key, Affinity)
            self.store.delete(key, revision)
            return False
        else:
            self.store.update(block_key, block.written().encode(), block_revision)
        affinity, revision = self._read(key, Affinity)
        if affinity is None:
            raise ConflictError("affinity is gone")
        self.store.update(key, Affinity().encode(), revision)
        return True

    def assign(self, cidr: str, handle_id: str) -> list[str]:
        if not self.claim(cidr):
            return []
        block_key, handle_key = BLOCKS + cidr.replace("/", "-"), HANDLES + handle_id
        block, revision = self._read(block_key, Block)
        if block is None or not block.unallocated:
            return []
        handle, handle_revision = self._read(handle_key, Handle)
        counted = (handle or Handle()).add(parse_cidr(cidr), 1).encode()
        if handle is None:
            self.store.create(handle_key, counted)
        else:
            self.store.update(handle_key, counted, handle_revision)
        chosen = block.unallocated[0]
        after = block.assign([chosen], Attribute(handle_id)).written()
        self.store.update(block_key, after.encode(), revision)
        return [block.address(chosen)]

    def give_up(self, cidr: str) -> None:
        key, block_key = self._affinity_key(cidr), BLOCKS + cidr.replace("/", "-")
        affinity, revision = self._read(key, Affinity)
        block, block_revision = self._read(block_key, Block)
        if affinity is None or block is None or block.owner != f"host:{self.host}":
            return
        revision = self.store.update(key, Affinity("pendingDeletion").encode(), revision)
        if block.empty:
            self.store.delete(block_key, block_revision)
        else:
            self.store.update(block_key, block.disowned().written().encode(), block_revision)
        self.store.delete(key, revision)


def client(store: Any) -> IpamClient:
    return IpamClient(store, pause=lambda attempt: None, now_ns=lambda: 1_767_323_045_000_000_000)


class Interleavings(RuleBasedStateMachine):
    """Two blocks of four addresses; three hosts; each handle is used by one assignment only."""

    with_go = False

    @initialize(strict=st.booleans())
    def start(self, strict: bool) -> None:
        self.store = MemoryStore()
        self.backend = MemoryBackend(self.store)
        spec = {"cidr": "10.0.0.0/29", "blockSize": 30}
        pool = {"kind": "IPPool", "metadata": {"name": "p"}, "spec": spec}
        self.backend.put(POOL, codec.encode(codec.decode(pool)))
        client(self.backend).set_config(IpamConfig(strict_affinity=strict))
        self.given: dict[str, str] = {}
        self.running: list[tuple[Process, Callable[[Process], None]]] = []
        self.released: set[str] = set()
        self.handles = 0

    def _start(self, work: Callable[[Any], Any], then: Callable[[Process], None]) -> Process:
        process = Process(self.backend, work)
        self.running.append((process, then))
        self._reap()
        return process

    def _new_handle(self) -> str:
        self.handles += 1
        return f"h{self.handles}"

    def _granted(self, handle: str, addresses: list[str]) -> None:
        for address in addresses:
            assert address not in self.given, f"{address} was given to {self.given[address]}, too"
            self.given[address] = handle

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS), number=st.integers(1, 3))
    def assign(self, host: str, number: int) -> None:
        handle = self._new_handle()
        request = AssignRequest(host=host, num4=number, handle=handle)

        def then(process: Process) -> None:
            if not isinstance(process.result, CalicoError | None):
                addresses = [one.address for one in process.result.ipv4]
                assert len(addresses) == number
                self._granted(handle, addresses)

        self._start(lambda store: client(store).auto_assign(request), then)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS), last=st.integers(0, 7))
    def assign_ip(self, host: str, last: int) -> None:
        handle, address = self._new_handle(), f"10.0.0.{last}"
        request = AddressRequest(address=address, host=host, handle=handle)

        def then(process: Process) -> None:
            if not isinstance(process.result, CalicoError | None):
                self._granted(handle, [address])

        self._start(lambda store: client(store).assign_ip(request), then)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        owned = sorted(set(self.given.values()) - self.released)
        handle = data.draw(st.sampled_from(owned)) if owned else "nobody"
        # From here on, its addresses may be given to others at any time.
        self.given = {ip: owner for ip, owner in self.given.items() if owner != handle}
        self.released.add(handle)
        self._start(lambda store: client(store).release_if_any(handle), lambda process: None)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS), block=st.sampled_from(["0", "4"]))
    def release_affinity(self, host: str, block: str) -> None:
        cidr = f"10.0.0.{block}/30"
        self._start(lambda store: client(store).release_affinity(host, cidr), lambda process: None)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS), block=st.sampled_from(["0", "4"]))
    def go_assign(self, host: str, block: str) -> None:
        handle, cidr = self._new_handle(), f"10.0.0.{block}/30"
        if not self.with_go:
            self.assign(host, 1)
            return

        def then(process: Process) -> None:
            if isinstance(process.result, list):
                self._granted(handle, process.result)

        self._start(lambda store: GoPeer(store, host).assign(cidr, handle), then)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS), block=st.sampled_from(["0", "4"]))
    def go_give_up(self, host: str, block: str) -> None:
        cidr = f"10.0.0.{block}/30"
        if not self.with_go:
            self.release_affinity(host, block)
            return
        self._start(lambda store: GoPeer(store, host).give_up(cidr), lambda process: None)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, MAX_RUNNING - 1), turns=st.integers(1, 2))
    def go_on(self, which: int, turns: int) -> None:
        for _ in range(turns):
            if self.running:
                self._turn(which, "go")

    @precondition(lambda self: self.running)
    @rule(order=st.permutations(range(MAX_RUNNING)))
    def everyone_goes_on(self, order: list[int]) -> None:
        for which in order:
            if self.running:
                self._turn(which, "go")

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, MAX_RUNNING - 1), when=st.sampled_from(["die before", "die after"]))
    def die(self, which: int, when: str) -> None:
        self._turn(which, when)

    @precondition(lambda self: self.running)
    @rule(
        which=st.integers(0, MAX_RUNNING - 1),
        when=st.sampled_from(["no answer before", "no answer after"]),
    )
    def get_no_answer(self, which: int, when: str) -> None:
        self._turn(which, when)

    @precondition(lambda self: len(self.running) < MAX_RUNNING)
    @rule(host=st.sampled_from(HOSTS))
    def host_goes(self, host: str) -> None:
        """Its affinities go; what workloads elsewhere hold in its blocks stays theirs."""
        self._start(lambda store: client(store).release_host(host), lambda process: None)

    def _turn(self, which: int, order: str) -> None:
        self.running[which % len(self.running)][0].turns.let(order)
        self._reap()

    def _reap(self) -> None:
        for process, then in [one for one in self.running if one[0].turns.finished]:
            self.running.remove((process, then))
            process.join()
            if process.error is not None:
                raise process.error
            if not process.died:
                then(process)

    @invariant()
    def what_was_given_is_stored(self) -> None:
        held = self._held()
        for address, handle in self.given.items():
            assert held.get(address) == handle

    @invariant()
    def the_state_is_consistent(self) -> None:
        if not self.with_go:
            assert client(self.backend).problems() == []

    def _held(self) -> dict[str, str]:
        """Return address → handle as stored, read without the code under test."""
        held: dict[str, str] = {}
        for item in self.backend.read(BLOCKS).items:
            raw = json.loads(item.value)
            first = int(raw["cidr"].split("/")[0].split(".")[-1])
            assert sorted(raw["unallocated"]) == [
                n for n, index in enumerate(raw["allocations"]) if index is None
            ]
            for ordinal, index in enumerate(raw["allocations"]):
                if index is not None:
                    held[f"10.0.0.{first + ordinal}"] = raw["attributes"][index]["handle_id"]
        return held

    def teardown(self) -> None:
        """Kill who is still running; then what a clean-up by handle and host leaves is nothing."""
        for process, _ in self.running:
            while not process.turns.finished:
                process.turns.let("die before")
            process.join()
        if not hasattr(self, "backend"):
            return
        ipam = client(self.backend)
        for number in range(1, self.handles + 1):
            ipam.release_if_any(f"h{number}")
        for host in HOSTS:
            ipam.release_host_affinities(host)
        left = [item.key for item in self.backend.read(ROOT).items]
        assert left == [ROOT + "config"], left


class WithGoPeers(Interleavings):
    """The same among Go nodes."""

    with_go = True


_SETTINGS = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = _SETTINGS
TestWithGoPeers = WithGoPeers.TestCase
TestWithGoPeers.settings = _SETTINGS


def test_a_release_of_a_handle_that_does_not_exist_says_so():
    try:
        client(MemoryBackend()).release_by_handle("nobody")
    except NotFoundError as error:
        assert "nobody" in str(error)  # noqa: PT017
