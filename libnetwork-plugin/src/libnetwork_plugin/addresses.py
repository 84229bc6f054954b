"""The addresses that Docker has on this host, in Calico's IPAM.

Every address is assigned under a handle of its own, ``libnetwork.<node>.<random>``, with what it is for,
so that what a lost answer leaves can be found and is given back.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from libcalico.errors import (
    AddressInUseError,
    CalicoError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from libcalico.ipam import AddressRequest, AssignRequest, IpamClient, ReleaseRequest
from libcalico.net.addresses import Cidr, parse_address
from libnetwork_plugin import plan
from libnetwork_plugin.pools import Pool
from libnetwork_plugin.store import Endpoints

_log = logging.getLogger(__name__)
_HANDLE: Final = "libnetwork."
_NODE: Final = "node"
_TYPE: Final = "type"
_GATEWAY: Final = "gateway"


def handle_prefix(node: str) -> str:
    """Return how the handles of all addresses begin that Docker has on a host."""
    return f"{_HANDLE}{node}."


class Addresses:
    """The addresses that Docker has on this host. Thread-safe. Every method may raise UnavailableError.

    Args:
        ipam: of the datastore.
        endpoints: of this host.
    """

    def __init__(self, ipam: IpamClient, endpoints: Endpoints) -> None:
        self._ipam = ipam
        self._endpoints = endpoints
        self._node = endpoints.node

    def reserve_gateway(self, address: Cidr) -> str:
        """Keep containers off a gateway's address. Hosts with the same network share it.

        Raises:
            AddressInUseError: somebody else has it.
        """
        try:
            return self.assign(address, _GATEWAY)
        except AddressInUseError:
            owner = self._ipam.attributes_of(address.address)
            if owner.secondary.get(_TYPE) != _GATEWAY:
                raise
            return str(address)

    def assign(self, address: Cidr, kind: str = "address") -> str:
        """Assign one particular address; return it with its length.

        Raises:
            IpamError: it is in use or in no pool.
        """
        handle = self._new_handle()
        request = AddressRequest(
            address=address.address,
            host=self._node,
            handle=handle,
            attributes=self._attributes(kind),
        )
        try:
            return str(parse_address(self._ipam.assign_ip(request).address))
        except UnavailableError:
            self._release_quietly(handle)
            raise

    def auto_assign(self, pool: Pool, holder: Cidr | None) -> str:
        """Assign an address of a pool; return it with its length.

        Args:
            pool: of the network.
            holder: the IP pool that its subnet is in, None if it has no subnet.

        Raises:
            IpamError: there is none.
        """
        handle = self._new_handle()
        named = None if holder is None else [str(holder)]
        within = None if holder == pool.range else pool.range
        is_v4 = pool.version == 4
        request = AssignRequest(
            host=self._node,
            num4=int(is_v4),
            num6=int(not is_v4),
            handle=handle,
            attributes=self._attributes("container"),
            pools4=named if is_v4 else None,
            pools6=None if is_v4 else named,
            within4=within if is_v4 else None,
            within6=None if is_v4 else within,
        )
        try:
            result = self._ipam.auto_assign(request)
        except UnavailableError:
            self._release_quietly(handle)
            raise
        [assigned] = [*result.ipv4, *result.ipv6]
        return str(parse_address(assigned.address))

    def _new_handle(self) -> str:
        return handle_prefix(self._node) + uuid.uuid4().hex

    def _attributes(self, kind: str) -> dict[str, str]:
        return {
            _NODE: self._node,
            "namespace": self._endpoints.namespace,
            "orchestrator": plan.ORCHESTRATOR,
            _TYPE: kind,
            "timestamp": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        }

    def _release_quietly(self, handle: str) -> None:
        """Give back what may have been assigned although the answer was lost."""
        try:
            self._ipam.release_if_any(handle)
        except CalicoError as error:  # the error that made us undo is the one to tell
            _log.warning("undo failed step='release address' error=%r", str(error))

    def _is_ours(self, handle: str, owner: Mapping[str, str]) -> bool:
        """Whether this host's Docker has it; the handle of ``db.example.com`` begins like ``db``'s."""
        return handle.startswith(handle_prefix(self._node)) and owner.get(_NODE) == self._node

    def release(self, address: Cidr) -> None:
        """Free an address, if it is this host's.

        Raises:
            ConflictError: an endpoint has it.
        """
        try:
            owner, sequence = self._ipam.ownership_of(address.address)
        except NotFoundError:
            return
        if not self._is_ours(owner.handle_id or "", owner.secondary):
            _log.info("address stays address=%s owner=%s", address.address, owner.handle_id)
            return
        users = [e.name for e in self._endpoints.all() if str(address) in e.spec.ip_networks]
        if users:
            raise ConflictError(f"{address.address} is not free: endpoint {users[0]} has it")
        self._ipam.release_ips([ReleaseRequest(address.address, owner.handle_id, sequence)])

    def release_others(self, kept: Collection[str], before: dt.datetime) -> None:
        """Free what this host was assigned before a time, and is not in ``kept``."""
        for handle, owner in self._ipam.owners(handle_prefix(self._node)).items():
            is_old = plan.is_older(owner.get("timestamp"), before)
            if not (is_old and self._is_ours(handle, owner)):
                continue
            with suppress(NotFoundError):
                held = self._ipam.ips_by_handle(handle)
                if not any(address in kept for address in held):
                    _log.warning("addresses are nobody's and freed addresses=%s", held)
                    self._ipam.release_by_handle(handle)
