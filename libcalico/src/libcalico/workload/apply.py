"""Attaches workloads to the network, checks them, and detaches them.

One order for everyone. Attaching: addresses, interface, endpoint, then wait for policy; what fails
undoes what was done before it. Until Felix knows the endpoint it drops what comes from the interface,
so a workload is never open. Detaching: endpoint, interface, addresses; an address is free for others
only after nothing on this host uses it. Detaching again, or what was never attached, is no error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from libcalico.client import Client
from libcalico.errors import (
    AlreadyExistsError,
    CalicoError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from libcalico.ipam import AddressRequest as OneAddress
from libcalico.ipam import AssignRequest, IpamClient, ReleaseRequest
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.netlink.netns import Netns
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import ObjectMeta
from libcalico.resources.policy import EntityRule, Rule
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.workload import interface, plan, status
from libcalico.workload.model import (
    DEFAULT_MTU,
    Address,
    AddressRequest,
    Attached,
    Attachment,
    Identity,
)
from libcalico.workload.undo import tried, undone

_log = logging.getLogger(__name__)
_DELETE_TRIES = 5
T = TypeVar("T")


class Workloads:
    """Attaches and detaches. Blocking, thread-safe. Every method may raise UnavailableError.

    Args:
        client: of the datastore.
        ipam: of the same datastore.
        status_directory: where Felix reports endpoints that it has programmed.
    """

    def __init__(
        self,
        client: Client,
        ipam: IpamClient,
        status_directory: Path = status.DEFAULT_DIRECTORY,
    ) -> None:
        self.client = client
        self.ipam = ipam
        self._status_directory = status_directory

    @property
    def felix_reports(self) -> bool:
        """Whether a Felix of this host reports the endpoints that it has programmed."""
        return self._status_directory.is_dir()

    def assign(self, request: AddressRequest, host: str) -> list[Address]:
        """Assign addresses: all that are asked for, or none.

        Raises:
            IpamError: there are none; see :class:`~libcalico.ipam.IpamClient`.
        """
        if not request.wanted:
            return self._auto_assign(request, host)
        given: list[Address] = []
        with ExitStack() as undo:
            undo.callback(self.give_back, given, request.handle)
            for text in request.wanted:
                one = OneAddress(
                    address=text, host=host, handle=request.handle, attributes=request.attributes
                )
                assigned = self._answered(request, partial(self.ipam.assign_ip, one))
                given.append(Address(parse_address(assigned.address), assigned.pool))
            undo.pop_all()
        return given

    def _auto_assign(self, request: AddressRequest, host: str) -> list[Address]:
        assigning = AssignRequest(
            host=host,
            num4=request.num4,
            num6=request.num6,
            handle=request.handle,
            attributes=request.attributes,
            pools4=request.pools4,
            pools6=request.pools6,
        )
        result = self._answered(request, partial(self.ipam.auto_assign, assigning))
        both = (*result.ipv4, *result.ipv6)
        return [Address(parse_address(one.address), one.pool) for one in both]

    def _answered(self, request: AddressRequest, assign: Callable[[], T]) -> T:
        """Assign; if there is no answer, that may be all that was lost, so what is new is released."""
        try:
            return assign()
        except UnavailableError:
            if request.held:
                undone("release addresses", partial(self._release_new, request))
            else:
                release = partial(self.ipam.release_if_any, request.handle)
                undone("release addresses", release)
            raise

    def _release_new(self, request: AddressRequest) -> None:
        held = {cidr.address for cidr in request.held}
        owned = [a for a in self.ipam.ips_by_handle(request.handle) if a not in held]
        self.ipam.release_ips([ReleaseRequest(address, request.handle) for address in owned])

    def attach(
        self,
        attachment: Attachment,
        addresses: AddressRequest | Sequence[Cidr],
        netns: Netns | None,
        *,
        wait_s: float = 0,
    ) -> Attached:
        """Attach a workload; if that fails, nothing is left of it.

        Args:
            addresses: what to assign, or addresses (/32, /128) that somebody else assigned and owns.
            netns: of the workload. None leaves the inner end beside the host end, with neither
                addresses nor routes, for orchestrators that move and configure it themselves.
            wait_s: how long to wait until Felix has programmed policy; 0 does not wait. When it is
                over, a warning is logged and the workload is attached all the same.

        Raises:
            IpamError: no address.
            NetlinkError: the kernel refused the interface.
            ValidationError: the endpoint breaks the resource model.
        """
        mac = attachment.mac or interface.random_mac()
        with ExitStack() as undo:
            given = self._addresses(addresses, attachment.identity.node, undo)
            cidrs = [address.cidr for address in given]
            endpoint = plan.endpoint(attachment, mac, cidrs)
            interface.make(attachment, mac, cidrs, netns)
            remove = partial(interface.remove, attachment.host_interface)
            undo.callback(undone, "remove interface", remove)
            self._store(endpoint, undo)
            undo.pop_all()
        return Attached(
            endpoint=endpoint.name,
            host_interface=attachment.host_interface,
            interface=attachment.interface,
            mac=mac,
            mtu=attachment.mtu or DEFAULT_MTU,
            addresses=tuple(given),
            programmed=self._wait(endpoint, wait_s),
        )

    def _addresses(
        self, addresses: AddressRequest | Sequence[Cidr], host: str, undo: ExitStack
    ) -> list[Address]:
        if not isinstance(addresses, AddressRequest):
            return [Address(cidr) for cidr in addresses]
        given = self.assign(addresses, host)
        undo.callback(self.give_back, given, addresses.handle)
        return given

    def give_back(self, given: Sequence[Address], handle: str) -> None:
        """Release addresses because of another error, which is the one to tell."""
        requests = [ReleaseRequest(address.cidr.address, handle) for address in given]
        if requests:
            undone("release addresses", lambda: self.ipam.release_ips(requests))

    def _store(self, endpoint: WorkloadEndpoint, undo: ExitStack) -> None:
        """Create the endpoint, or bring an older one of the same workload up to date."""
        client = self.client.workloadendpoints
        try:
            try:
                client.create(endpoint)
            except AlreadyExistsError:
                client.modify(
                    endpoint.name, lambda stored: plan.again(stored, endpoint), endpoint.namespace
                )
        except UnavailableError:  # the answer may be all that was lost
            if not undone("delete endpoint", lambda: self._withdraw(endpoint)):
                undone("remove interface", partial(interface.remove, endpoint.spec.interface_name))
                # An endpoint that may be stored keeps its addresses, until it is detached.
                undo.pop_all()
            raise

    def _withdraw(self, endpoint: WorkloadEndpoint) -> None:
        """Delete an endpoint that may have been stored a moment ago; not an older container's."""
        client = self.client.workloadendpoints
        with suppress(NotFoundError):
            stored = client.get(endpoint.name, endpoint.namespace)
            if stored.spec.container_id == endpoint.spec.container_id:
                client.delete(endpoint.name, endpoint.namespace)

    def _wait(self, endpoint: WorkloadEndpoint, wait_s: float) -> bool | None:
        if wait_s <= 0:
            return None
        if status.wait(endpoint, self._status_directory, wait_s):
            return True
        _log.warning(
            "policy is not reported in force endpoint=%s waited_s=%s directory=%s",
            endpoint.name,
            wait_s,
            self._status_directory,
        )
        return False

    def detach(
        self,
        identity: Identity,
        *,
        host_interface: str,
        interface_name: str = "",
        netns: Netns | None = None,
        handle: str | None = None,
    ) -> None:
        """Detach a workload. Every step is tried, also after one that failed.

        An endpoint that by now belongs to another container of the same workload stays, with its
        interface; only the addresses of this one are released.

        Args:
            host_interface: its host end, if the endpoint does not tell.
            interface_name: its end inside ``netns``, if that still exists.
            handle: owner of its addresses in IPAM; None leaves addresses alone.

        Raises:
            CalicoError: the first failure.
        """
        failures: list[CalicoError] = []
        ours = tried(failures, lambda: self._delete_endpoint(identity, host_interface), "")
        if ours:
            tried(failures, lambda: interface.remove(ours), None)
        if netns is not None and interface_name:
            inside = netns
            tried(failures, lambda: interface.remove_inside(interface_name, inside), None)
        # While the endpoint is in the store its addresses must not go to anyone else.
        if handle is not None and not failures:
            tried(failures, lambda: self.ipam.release_if_any(handle), False)
        if failures:
            raise failures[0]

    def _delete_endpoint(self, identity: Identity, host_interface: str) -> str:
        """Delete the endpoint if it is this container's; return its host end, empty if it is not ours."""
        name = plan.endpoint_name(identity)
        for _ in range(_DELETE_TRIES):
            try:
                stored = self.client.workloadendpoints.get(name, identity.namespace)
            except NotFoundError:
                return host_interface
            if stored.spec.container_id not in ("", identity.container_id):
                _log.info("endpoint is another container's endpoint=%s", name)
                return ""
            try:
                version = stored.metadata.resource_version
                self.client.workloadendpoints.delete(
                    name, identity.namespace, resource_version=version
                )
            except (ConflictError, NotFoundError):
                continue
            return stored.spec.interface_name or host_interface
        raise ConflictError(f"WorkloadEndpoint({identity.namespace}/{name}) changes all the time")

    def check(
        self,
        identity: Identity,
        *,
        interface_name: str,
        netns: Netns,
        expected: Sequence[Cidr] = (),
        handle: str | None = None,
    ) -> list[str]:
        """Return everything that is not as :meth:`attach` left it, one sentence each.

        Args:
            expected: addresses that the workload must have, as it was told.
            handle: must own all addresses in IPAM.
        """
        name = plan.endpoint_name(identity)
        try:
            stored = self.client.workloadendpoints.get(name, identity.namespace)
        except NotFoundError:
            return [f"WorkloadEndpoint({identity.namespace}/{name}) does not exist"]
        cidrs = [parse_cidr(text, strict=False) for text in stored.spec.ip_networks]
        found = [f"endpoint {name} has not the address {c}" for c in expected if c not in cidrs]
        if stored.spec.container_id != identity.container_id:
            found.append(f"endpoint {name} is of container {stored.spec.container_id}")
        if handle is not None:
            found += self._unowned(handle, cidrs)
        spec = stored.spec
        return found + interface.problems(
            spec.interface_name, interface_name, spec.mac, cidrs, netns
        )

    def _unowned(self, handle: str, cidrs: Sequence[Cidr]) -> list[str]:
        try:
            owned = self.ipam.ips_by_handle(handle)
        except NotFoundError:
            owned = []
        return [
            f"IPAM handle {handle} does not own {cidr.address}"
            for cidr in cidrs
            if cidr.address not in owned
        ]

    def ensure_profile(self, name: str, source_selector: str = "") -> None:
        """Create a network's profile if it is missing; one that exists is left as it is.

        It lets its members send anything, and receive from ``source_selector`` (from anyone if empty);
        its members carry the label ``name``.

        Source: ``calico-control-plane.md`` 10.1.
        """
        try:
            self.client.profiles.get(name)
        except NotFoundError:
            self.create_profile(name, source_selector)

    def create_profile(self, name: str, source_selector: str) -> None:
        """Create what :meth:`ensure_profile` creates; no error if somebody was faster."""
        source = EntityRule(selector=source_selector)
        spec = ProfileSpec(
            ingress=[Rule(action="Allow", source=source)],
            egress=[Rule(action="Allow")],
            labels_to_apply={name: ""},
        )
        profile = Profile(metadata=ObjectMeta(name=name), spec=spec)
        with suppress(AlreadyExistsError):
            self.client.profiles.create(profile)
