"""The IPAM driver's calls: addresses of Calico's IP pools for Docker's networks.

Every address is assigned under a handle of its own, ``libnetwork.<node>.<random>``, with what it is for,
so that what a lost answer leaves can be found and is given back.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from libcalico.client import Client
from libcalico.errors import (
    AddressInUseError,
    CalicoError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from libcalico.ipam import AddressRequest, AssignRequest, IpamClient, ReleaseRequest
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libnetwork_plugin import plan, pools, wire
from libnetwork_plugin.pools import Pool
from libnetwork_plugin.store import Endpoints

_log = logging.getLogger(__name__)
_HANDLE: Final = "libnetwork."
_TYPE: Final = "type"
_GATEWAY: Final = "gateway"


def handle_prefix(node: str) -> str:
    """Return how the handles of all addresses begin that Docker has on a host."""
    return f"{_HANDLE}{node}."


class IpamDriver:
    """Answers the IPAM driver's calls. Thread-safe. Every method may raise UnavailableError.

    Args:
        client: of the datastore.
        ipam: of the same datastore.
        endpoints: of this host.
    """

    def __init__(self, client: Client, ipam: IpamClient, endpoints: Endpoints) -> None:
        self._client = client
        self._ipam = ipam
        self._endpoints = endpoints
        self._node = endpoints.node

    @property
    def calls(self) -> Mapping[str, Callable[[Any], dict[str, Any]]]:
        """Method as in the URL → what answers it."""
        return {
            "IpamDriver.GetCapabilities": self.capabilities,
            "IpamDriver.GetDefaultAddressSpaces": self.address_spaces,
            "IpamDriver.RequestPool": self.request_pool,
            "IpamDriver.ReleasePool": self.release_pool,
            "IpamDriver.RequestAddress": self.request_address,
            "IpamDriver.ReleaseAddress": self.release_address,
        }

    def capabilities(self, request: wire.Request) -> dict[str, Any]:
        """Say that addresses depend on no MAC, and that nothing is lost when Docker restarts."""
        del request
        return {"RequiresMACAddress": False, "RequiresRequestReplay": False}

    def address_spaces(self, request: wire.Request) -> dict[str, Any]:
        """Name the two spaces that Docker demands; all hosts share one store."""
        del request
        return {
            "LocalDefaultAddressSpace": pools.LOCAL_SPACE,
            "GlobalDefaultAddressSpace": pools.GLOBAL_SPACE,
        }

    def request_pool(self, request: wire.RequestPool) -> dict[str, Any]:
        """Choose what a network's addresses are taken from.

        Raises:
            ValidationError: the ranges contradict each other.
            NoPoolError: Calico has no enabled IP pool for them.
        """
        pool = pools.requested(request)
        pools.holder(pool, self._enabled())
        data = {pools.GATEWAY: pools.no_gateway(pool)}
        return {"PoolID": pool.id, "Pool": str(pool.cidr), "Data": data}

    def _enabled(self) -> list[Cidr]:
        found = [pool.spec for pool in self._client.ippools.list()]
        return [parse_cidr(spec.cidr, strict=False) for spec in found if not spec.disabled]

    def release_pool(self, request: wire.ReleasePool) -> dict[str, Any]:
        """Do nothing: pools are the operator's, and networks have nothing of theirs in them."""
        pools.parse(request.pool_id)
        return {}

    def request_address(self, request: wire.RequestAddress) -> dict[str, Any]:
        """Assign an address.

        Raises:
            ValidationError: it is not in the network's subnet.
            IpamError: it is in use, or there is none.
        """
        pool = pools.parse(request.pool_id)
        wanted = pools.wanted_address(pool, request)
        if pools.is_gateway(request):
            given = pools.no_gateway(pool) if wanted is None else self._reserve_gateway(wanted)
        elif wanted is not None:
            given = self._assign(wanted, "address")
        else:
            given = self._auto_assign(pool)
        return {"Address": given, "Data": {}}

    def _reserve_gateway(self, address: Cidr) -> str:
        """Keep containers off a gateway's address. Hosts with the same network share it."""
        try:
            return self._assign(address, _GATEWAY)
        except AddressInUseError:
            owner = self._ipam.attributes_of(address.address)
            if owner.secondary.get(_TYPE) != _GATEWAY:
                raise
            return str(address)

    def _assign(self, address: Cidr, kind: str) -> str:
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

    def _auto_assign(self, pool: Pool) -> str:
        handle = self._new_handle()
        holder = pools.holder(pool, self._enabled()) if pool.subnet else None
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
            "node": self._node,
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

    def release_address(self, request: wire.ReleaseAddress) -> dict[str, Any]:
        """Free an address, if it is this host's and no endpoint has it; otherwise leave it.

        Docker also releases what it never was assigned, such as the gateway that we told it not to have.
        """
        pool = pools.parse(request.pool_id)
        if request.address and request.address != pools.no_gateway(pool).partition("/")[0]:
            self._release(parse_address(request.address.partition("/")[0]))
        return {}

    def _release(self, address: Cidr) -> None:
        try:
            owner, sequence = self._ipam.ownership_of(address.address)
        except NotFoundError:
            return
        if not (owner.handle_id or "").startswith(handle_prefix(self._node)):
            _log.info("address stays address=%s owner=%s", address.address, owner.handle_id)
            return
        users = [e.name for e in self._endpoints.all() if str(address) in e.spec.ip_networks]
        if users:
            raise ConflictError(f"{address.address} is not free: endpoint {users[0]} has it")
        self._ipam.release_ips([ReleaseRequest(address.address, owner.handle_id, sequence)])
