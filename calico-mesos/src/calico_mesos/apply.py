"""Does what the requests ask for, on this host and in the datastore. All state is in the datastore.

Every request may be repeated, and one that was cut off may be made again: an allocation gives the same
addresses, what is isolated stays as it is, what is gone is gone. A request that fails leaves nothing of
its own behind.

An address belongs to the handle of a task's uid, and an endpoint to a container id. The agent tells no
request both, so isolate writes into the endpoint who owns its addresses, and cleanup gives them back by
that: also if the agent does not, and never if they are somebody else's by then.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from calico_mesos import plan, wire
from calico_mesos.plan import Place
from libcalico.errors import (
    AddressInUseError,
    AlreadyExistsError,
    CalicoError,
    ConfigError,
    ConflictError,
    IpamError,
    NetlinkError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from libcalico.ipam import AddressRequest, AssignRequest, ReleaseRequest
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.macs import parse_mac
from libcalico.netlink.netns import Netns, open_netns
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.profiles import Profile
from libcalico.resources.validate import validate
from libcalico.workload import Attachment, Identity, Workloads, interface
from libcalico.workload import plan as workload_plan

_log = logging.getLogger(__name__)
#: How long isolate waits for policy to be in force, on hosts whose Felix reports it.
_WAIT_S = 2.0


class Isolator:
    """Answers requests. Every method may raise UnavailableError.

    Args:
        workloads: of the datastore.
        place: this host.
    """

    def __init__(self, workloads: Workloads, place: Place) -> None:
        self._workloads = workloads
        self._client = workloads.client
        self._ipam = workloads.ipam
        self._place = place

    def answer(self, request: wire.Request) -> bytes:
        """Do what a request asks for and return the reply.

        Raises:
            CalicoError: it cannot be done; the text is for the operator.
        """
        match request:
            case wire.Allocate(args):
                addresses = self.allocate(args)
                of = {v: tuple(c.address for c in addresses if c.version == v) for v in (4, 6)}
                return wire.allocated(of[4], of[6])
            case wire.Reserve(args):
                self.reserve(args)
            case wire.Release(args):
                self.release(args)
            case wire.Isolate(args):
                self.isolate(args)
            case wire.Cleanup(args):
                self.cleanup(args)
        return wire.done()

    def allocate(self, args: wire.AllocateArgs) -> list[Cidr]:
        """Assign addresses to a task: all or none.

        Raises:
            IpamError: there are not enough, or one named by a label is taken.
        """
        wanted = plan.allocation(args, self._place.node)
        with ExitStack() as undo:
            self._reserve(wanted.fixed, args.uid, undo)
            assigned = self._auto_assign(wanted.request)
            undo.pop_all()
        return [*wanted.fixed, *assigned]

    def _auto_assign(self, request: AssignRequest) -> list[Cidr]:
        if not request.num4 and not request.num6:
            return []
        handle = request.handle or ""
        had_any = self._held(handle)
        try:
            result = self._ipam.auto_assign(request)
        except UnavailableError:
            if not had_any:  # the answer may be all that was lost
                self._undo(lambda: self._ipam.release_if_any(handle))
            raise
        both = (*result.ipv4, *result.ipv6)
        return [parse_cidr(one.address) for one in both]

    def _held(self, handle: str) -> list[str]:
        try:
            return self._ipam.ips_by_handle(handle)
        except NotFoundError:
            return []

    def reserve(self, args: wire.ReserveArgs) -> None:
        """Assign particular addresses to a task: all or none. Those that it has are no error.

        Raises:
            AddressInUseError: one is somebody else's.
            NoPoolError: one is in no pool.
        """
        addresses = plan.addresses(args.ipv4_addrs, args.ipv6_addrs)
        with ExitStack() as undo:
            self._reserve(addresses, args.uid, undo)
            undo.pop_all()

    def _reserve(self, addresses: Sequence[Cidr], uid: str, undo: ExitStack) -> None:
        """Assign addresses; ``undo`` then knows how to give back those that were assigned now."""
        handle = plan.reserved(uid)
        for address in addresses:
            give_back = ReleaseRequest(address.address, handle)
            request = AddressRequest(
                address=address.address,
                host=self._place.node,
                handle=handle,
                attributes=plan.owner(uid, self._place.node),
            )
            try:
                self._ipam.assign_ip(request)
            except AddressInUseError:
                if self._owner(address) != handle:
                    raise
                continue
            except UnavailableError:  # the answer may be all that was lost
                undo.callback(self._give_back_quietly, give_back)
                raise
            undo.callback(self._give_back_quietly, give_back)

    def _owner(self, address: Cidr) -> str | None:
        """Return the handle that owns an address, None if it has none."""
        try:
            return self._ipam.attributes_of(address.address).handle_id
        except NotFoundError:
            return None

    def _give_back_quietly(self, request: ReleaseRequest) -> None:
        self._undo(lambda: self._ipam.release_ips([request]))

    def _undo(self, action: Callable[[], object]) -> None:
        """Undo a step; a failure is logged, because the error that made us undo is the one to tell."""
        try:
            action()
        except CalicoError as error:
            _log.warning("undo failed error=%r", str(error))

    def release(self, args: wire.ReleaseArgs) -> None:
        """Give addresses back, all of a task or these; those that are free are no error.

        The agent asks for it before cleanup, when the container has ended.

        Raises:
            AddressInUseError: one is not a Mesos task's; then none is given back.
        """
        if args.uid:
            for handle in (plan.allocated(args.uid), plan.reserved(args.uid)):
                self._ipam.release_if_any(handle)
            return
        addresses = plan.any_addresses(args.ips)
        self._ipam.release_ips([owner for a in addresses if (owner := self._ours(a)) is not None])

    def _ours(self, address: Cidr) -> ReleaseRequest | None:
        """Return how to give an address back, None if it is free.

        Raises:
            AddressInUseError: it is not a Mesos task's.
        """
        try:
            attribute, sequence = self._ipam.ownership_of(address.address)
        except NotFoundError:
            return None
        if not plan.is_ours(attribute.handle_id):
            raise AddressInUseError(
                f"{address.address} is not a Mesos task's: it belongs to {attribute.handle_id!r}"
            )
        return ReleaseRequest(address.address, attribute.handle_id, sequence)

    def isolate(self, args: wire.IsolateArgs) -> None:
        """Give a container its interface and its endpoint. One that has them keeps them as they are.

        Raises:
            IpamError: an address is of our pools and was not assigned to a Mesos task.
            NetlinkError: there is no such process, or the kernel refused.
            ValidationError: a label, a netgroup or the container id cannot be used.
        """
        addresses = plan.addresses(args.ipv4_addrs, args.ipv6_addrs)
        attachment = plan.attachment(args, self._place, self._owners(addresses))
        # Refused before anything is made; the MAC is not known yet.
        validate(workload_plan.endpoint(attachment, bytes(6), addresses))
        with _opened(args.pid) as netns:
            self._ensure_profiles(args.netgroups)
            stored = self._stored(attachment.identity)
            if stored is not None:
                if self._stands(stored, attachment, addresses, netns):
                    return
                attachment = replace(attachment, mac=_mac(stored))
            wait_s = _WAIT_S if self._workloads.felix_reports else 0
            self._workloads.attach(attachment, addresses, netns, wait_s=wait_s)

    def _owners(self, addresses: Sequence[Cidr]) -> list[ReleaseRequest]:
        """Return who owns the addresses; those of another IPAM have no owner here."""
        found = []
        pools: list[Cidr] | None = None
        for address in addresses:
            owner = self._ours(address)
            if owner is not None:
                found.append(owner)
                continue
            if pools is None:
                pools = [parse_cidr(p.spec.cidr) for p in self._client.ippools.list()]
            if any(pool.contains(address) for pool in pools):
                raise IpamError(f"{address.address} was neither allocated nor reserved")
        return found

    def _ensure_profiles(self, netgroups: Sequence[str]) -> None:
        """Create the profiles that are missing; one that exists is left as it is."""
        node = self._place.node
        if self._lacks_profile(plan.agent_profile_name(node)):
            try:
                self._create(plan.agent_profile(self._client.nodes.get(node)))
            except NotFoundError as error:
                raise ConfigError(f"there is no Node {node}: start calico-node here") from error
        for name in plan.netgroups(netgroups):
            if self._lacks_profile(name):
                self._create(plan.netgroup_profile(name))

    def _lacks_profile(self, name: str) -> bool:
        try:
            self._client.profiles.get(name)
        except NotFoundError:
            return True
        return False

    def _create(self, profile: Profile) -> None:
        with suppress(AlreadyExistsError):  # somebody was faster
            self._client.profiles.create(profile)

    def _stored(self, who: Identity) -> WorkloadEndpoint | None:
        name = workload_plan.endpoint_name(who)
        try:
            return self._client.workloadendpoints.get(name, who.namespace)
        except NotFoundError:
            return None

    def _stands(
        self,
        stored: WorkloadEndpoint,
        attachment: Attachment,
        addresses: Sequence[Cidr],
        netns: Netns,
    ) -> bool:
        """Whether the container has what it is to get."""
        wanted = workload_plan.endpoint(attachment, _mac(stored) or bytes(6), addresses)
        if workload_plan.again(stored, wanted) != stored:
            return False
        return not self._workloads.check(
            attachment.identity,
            interface_name=attachment.interface,
            netns=netns,
            expected=addresses,
        )

    def cleanup(self, args: wire.CleanupArgs) -> None:
        """Take a container out of the network, and give back the addresses that are still its own.

        A container that is not there is no error. The endpoint goes last, because it alone says whose
        the addresses were; before they are given back it loses them.
        """
        who = plan.identity(args.container_id, self._place.node)
        host_interface = plan.host_interface(args.container_id)
        endpoint = self._find(who)
        if endpoint is not None:
            who = replace(who, namespace=endpoint.namespace)
            host_interface = endpoint.spec.interface_name or host_interface
            interface.remove(host_interface)
            self._give_back_all(endpoint)
        self._workloads.detach(who, host_interface=host_interface)

    def _find(self, who: Identity) -> WorkloadEndpoint | None:
        """Return a container's endpoint, whatever namespace it is in."""
        stored = self._stored(who)
        if stored is not None:
            return stored
        name = workload_plan.endpoint_name(who)
        others = (e for e in self._client.workloadendpoints.list() if e.name == name)
        return next(others, None)

    def _give_back_all(self, endpoint: WorkloadEndpoint) -> None:
        def without_addresses(stored: WorkloadEndpoint) -> WorkloadEndpoint:
            return stored.with_(spec=stored.spec.with_(ip_networks=[]))

        if endpoint.spec.ip_networks:
            with suppress(NotFoundError):  # another cleanup was faster
                client = self._client.workloadendpoints
                client.modify(endpoint.name, without_addresses, endpoint.namespace)
        for owner in _owners_of(endpoint):
            try:
                self._ipam.release_ips([owner])
            except ConflictError:
                _log.info("address has another owner by now address=%s", owner.address)


def _mac(endpoint: WorkloadEndpoint) -> bytes | None:
    return parse_mac(endpoint.spec.mac) if endpoint.spec.mac else None


def _owners_of(endpoint: WorkloadEndpoint) -> list[ReleaseRequest]:
    """Return who owns an endpoint's addresses; nobody if that was spoiled, for the container must go."""
    try:
        return plan.owners_of(endpoint)
    except ValidationError as error:
        _log.error("addresses stay assigned error=%s", error)
        return []


def _opened(pid: int) -> Netns:
    """Open the network namespace of a container's process.

    Raises:
        NetlinkError: there is no such process.
        ValidationError: it is in this program's own namespace, which is the host's.
    """
    try:
        netns = open_netns(pid=pid)
    except NetlinkError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            raise NetlinkError(f"process {pid} does not exist (any more)", error.errno) from error
        raise
    with ExitStack() as undo:
        undo.callback(netns.close)
        with open_netns() as own:
            if own.is_same(netns):
                raise ValidationError(
                    f"args.pid: process {pid} is in the host's network namespace, not in its own"
                )
        undo.pop_all()
    return netns
