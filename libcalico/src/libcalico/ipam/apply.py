"""IpamClient: IPAM as programs call it. Blocking, thread-safe; share one per process.

Every operation is one compare-and-swap transaction per block or less, so a program that dies
between any two of them leaves a state that the next call understands. Give every assignment a
handle: then whatever became of the caller, ``release_by_handle`` gives everything back.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from libcalico.datastore.backend import Backend
from libcalico.errors import IpamError, NotFoundError
from libcalico.ipam.commit import Committer, backoff
from libcalico.ipam.model import Attribute, IpamConfig
from libcalico.ipam.plan import assign, audit, claim, owners, release, usage
from libcalico.ipam.plan.assign import AddressRequest, Assigned, AssignRequest, AssignResult
from libcalico.ipam.plan.audit import Audit
from libcalico.ipam.plan.owners import OwnersRequest
from libcalico.ipam.plan.release import ReleaseRequest
from libcalico.ipam.plan.usage import PoolUsage
from libcalico.ipam.plan.view import CONFIG_KEY, View
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.resources.endpoints import WorkloadEndpoint

#: Handles of the addresses of a host's tunnels, less the host's name at the end. Source: 5.3.
TUNNEL_HANDLES = (
    "ipip-tunnel-addr-",
    "vxlan-tunnel-addr-",
    "vxlan-v6-tunnel-addr-",
    "wireguard-tunnel-addr-",
    "wireguard-v6-tunnel-addr-",
)


class IpamClient:
    """Assigns and releases addresses. Every method raises UnavailableError without a datastore.

    Args:
        backend: the store.
        pause: called with the attempt's number after a lost swap; a test passes its own.
        now_ns: nanoseconds since the epoch.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        pause: Callable[[int], None] = backoff,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._committer = Committer(backend, pause=pause, now_ns=now_ns)

    def auto_assign(self, request: AssignRequest) -> AssignResult:
        """Assign addresses from the pools. See :func:`~.plan.assign.auto_assign` for the errors."""
        return self._committer.run(lambda view: assign.auto_assign(view, request))

    def assign_ip(self, request: AddressRequest) -> Assigned:
        """Assign one particular address. See :func:`~.plan.assign.assign_address` for the errors."""
        return self._committer.run(lambda view: assign.assign_address(view, request))

    def release_ips(self, requests: Sequence[ReleaseRequest]) -> list[str]:
        """Free addresses, block by block.

        Returns:
            Those that were not assigned.

        Raises:
            ConflictError: an address has another handle or sequence number than the request says.
                Its block is left as it is; blocks before it are done.
        """
        by_block: dict[Cidr, list[ReleaseRequest]] = defaultdict(list)
        idle: list[str] = []
        for request in requests:
            cidr = self._block_of(parse_address(request.address))
            if cidr is None:
                idle.append(request.address)
            else:
                by_block[cidr].append(request)
        for cidr, wanted in sorted(by_block.items()):
            idle += self._release_in_block(cidr, wanted)
        return idle

    def _block_of(self, address: Cidr) -> Cidr | None:
        block = self._committer.run(lambda view: release.find_block(view, address))
        return None if block is None else block.cidr

    def _release_in_block(self, cidr: Cidr, requests: Sequence[ReleaseRequest]) -> list[str]:
        return self._committer.run(lambda view: release.release_in_block(view, cidr, requests))

    def release_by_handle(self, handle_id: str) -> None:
        """Free all addresses that a handle owns.

        Raises:
            NotFoundError: there is no such handle.
        """
        while self._committer.run(lambda view: release.release_by_handle(view, handle_id)):
            pass

    def ips_by_handle(self, handle_id: str) -> list[str]:
        """Return the addresses that a handle owns. Raises NotFoundError without such a handle."""
        return self._committer.run(lambda view: release.addresses_by_handle(view, handle_id))

    def owners(self, prefix: str = "") -> dict[str, Mapping[str, str]]:
        """Return handle → what its owner wrote, for all handles whose id begins with a prefix."""
        return self._committer.run(lambda view: release.owners(view, prefix))

    def attributes_of(self, address: str) -> Attribute:
        """Return who owns an address. Raises NotFoundError if nobody does."""
        return self.ownership_of(address)[0]

    def ownership_of(self, address: str) -> tuple[Attribute, int]:
        """Return who owns an address, and the sequence number to release it by."""
        return self._committer.run(lambda view: release.attribute_of(view, address))

    def set_owners(self, request: OwnersRequest) -> None:
        """Write who owns an address. See :func:`~.plan.owners.set_owners` for the errors."""
        self._committer.run(lambda view: owners.set_owners(view, request))

    def claim_affinity(self, host: str, cidr: str) -> None:
        """Claim one block for a host, or confirm that the host has it.

        Raises:
            IpamError: the block belongs to another owner.
        """
        block = parse_cidr(cidr, strict=False)

        def operation(view: View) -> None:
            if claim.own(view, host, block) is None:
                raise IpamError(f"block {cidr} is claimed by another host than {host}")

        self._committer.run(operation)

    def release_affinity(self, host: str, cidr: str, *, must_be_empty: bool = False) -> bool:
        """Release a host's affinity to a block; its addresses stay assigned.

        Returns:
            Whether there was anything to release.

        Raises:
            IpamError: the block is in use and ``must_be_empty`` is set.
        """
        block = parse_cidr(cidr, strict=False)
        return self._committer.run(
            lambda view: claim.give_up(view, host, block, must_be_empty=must_be_empty)
        )

    def release_host_affinities(self, host: str, *, must_be_empty: bool = False) -> None:
        """Release all affinities of a host, and forget that IPAM knew it.

        Blocks that name the host as owner without an affinity of it, which a crash of Go Calico
        can leave, are released too.

        Raises:
            IpamError: a block is in use and ``must_be_empty`` is set; the others are released.
        """
        kept = []
        for cidr in self._committer.run(lambda view: release.blocks_of_host(view, host)):
            try:
                self.release_affinity(host, str(cidr), must_be_empty=must_be_empty)
            except IpamError as error:
                kept.append(str(error))
        if kept:
            raise IpamError("; ".join(kept))
        self._committer.run(lambda view: release.forget_host(view, host))

    def release_host(self, host: str) -> None:
        """Release what a host has when its Node goes: tunnel addresses and affinities."""
        for prefix in TUNNEL_HANDLES:
            self.release_if_any(prefix + host)
        self.release_host_affinities(host)

    def release_endpoint(self, endpoint: WorkloadEndpoint) -> None:
        """Release the addresses of a workload endpoint; those not assigned are passed over."""
        networks = (parse_cidr(text, strict=False) for text in endpoint.spec.ip_networks)
        self.release_ips([ReleaseRequest(net.address) for net in networks if net.is_address])

    def release_pool_affinities(self, cidr: str) -> None:
        """Release every host's affinity to the blocks of a pool, before the pool goes."""
        pool = parse_cidr(cidr, strict=False)
        for host, block in self._committer.run(lambda view: release.affine_hosts(view, pool)):
            self.release_affinity(host, str(block))

    def get_config(self) -> IpamConfig:
        """Return the settings; the defaults are stored if there were none."""
        return self._committer.run(lambda view: view.config())

    def set_config(self, config: IpamConfig) -> None:
        """Store the settings. Raises ValidationError if they contradict each other."""
        config.check()
        self._committer.run(lambda view: view.put(CONFIG_KEY, config))

    def utilization(self, pools: Sequence[str] | None = None) -> list[PoolUsage]:
        """Return how full all pools are, or those named by name or CIDR."""
        return self._committer.run(lambda view: usage.utilization(view, pools))

    def problems(self) -> list[str]:
        """Return every contradiction in the stored state; see :func:`~.plan.usage.problems`."""
        return self._committer.run(usage.problems)

    def audit(self) -> Audit:
        """Return all blocks, allocations and handles, with the contradictions in them."""
        return self._committer.run(lambda view: audit.audit(view, usage.problems(view)))

    def release_if_any(self, handle_id: str) -> bool:
        """Free what a handle owns, if it exists; return whether it did."""
        try:
            self.release_by_handle(handle_id)
        except NotFoundError:
            return False
        return True
