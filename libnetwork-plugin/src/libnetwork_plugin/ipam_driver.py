"""The IPAM driver's calls: addresses of Calico's IP pools for Docker's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from libcalico.client import Client
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libnetwork_plugin import pools, wire
from libnetwork_plugin.addresses import Addresses
from libnetwork_plugin.store import require_unlocked


class IpamDriver:
    """Answers the IPAM driver's calls. Thread-safe. Every method may raise UnavailableError.

    Args:
        client: of the datastore.
        addresses: that Docker has on this host.
    """

    def __init__(self, client: Client, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses

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
        found = self._client.ippools.list()
        return [parse_cidr(pool.spec.cidr, strict=False) for pool in found if pool.is_enabled]

    def release_pool(self, request: wire.ReleasePool) -> dict[str, Any]:
        """Do nothing: pools are the operator's, and networks have nothing of theirs in them."""
        pools.parse(request.pool_id)
        return {}

    def request_address(self, request: wire.RequestAddress) -> dict[str, Any]:
        """Assign an address.

        Raises:
            ValidationError: it is not in the network's subnet.
            IpamError: it is in use, or there is none.
            UnavailableError: the datastore is locked.
        """
        pool = pools.parse(request.pool_id)
        require_unlocked(self._client)
        wanted = pools.wanted_address(pool, request)
        if pools.is_gateway(request):
            given = (
                pools.no_gateway(pool)
                if wanted is None
                else self._addresses.reserve_gateway(wanted)
            )
        elif wanted is not None:
            given = self._addresses.assign(wanted)
        else:
            holder = pools.holder(pool, self._enabled()) if pool.subnet else None
            given = self._addresses.auto_assign(pool, holder)
        return {"Address": given, "Data": {}}

    def release_address(self, request: wire.ReleaseAddress) -> dict[str, Any]:
        """Free an address, if it is this host's and no endpoint has it; otherwise leave it.

        Docker also releases what it never was assigned, such as the gateway that we told it not to have.
        """
        pool = pools.parse(request.pool_id)
        if request.address and request.address != pools.no_gateway(pool).partition("/")[0]:
            self._addresses.release(parse_address(request.address.partition("/")[0]))
        return {}
