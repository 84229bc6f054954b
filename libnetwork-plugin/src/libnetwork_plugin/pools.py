"""Docker's pools ⇄ Calico's: which addresses a network's IPAM calls are about. Pure.

Docker names a pool by whatever ``RequestPool`` answered, so the name holds all that later calls need and
the driver keeps no state. A network without ``--subnet`` uses all pools that select the host; one with a
subnet uses the IP pool that holds it, and gives out only addresses of the subnet, or of ``--ip-range``.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from libcalico.errors import NoPoolError, ValidationError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libnetwork_plugin.wire import RequestAddress, RequestPool

LOCAL_SPACE: Final = "CalicoLocalAddressSpace"
GLOBAL_SPACE: Final = "CalicoGlobalAddressSpace"
#: Option of a request for the address of a network's gateway.
ADDRESS_TYPE: Final = "RequestAddressType"
#: Value of that option, and key of the gateway in the answer to ``RequestPool``.
GATEWAY: Final = "com.docker.network.gateway"

_EVERYTHING: Final = MappingProxyType({4: Cidr(4, 0, 0), 6: Cidr(6, 0, 0)})
_SEPARATOR: Final = ","


class Pool(NamedTuple):
    """What a network's addresses of one family are taken from.

    Attributes:
        version: 4 or 6.
        subnet: the network's, None if any pool that selects the host will do.
        within: range inside the subnet for addresses that nobody asked for by value; None: all of it.
    """

    version: int
    subnet: Cidr | None = None
    within: Cidr | None = None

    @property
    def id(self) -> str:
        """How Docker is to call it; :func:`parse` reads it."""
        if self.subnet is None:
            return f"CalicoPoolIPv{self.version}"
        parts = [self.subnet] if self.within is None else [self.subnet, self.within]
        return _SEPARATOR.join(map(str, parts))

    @property
    def cidr(self) -> Cidr:
        """Which addresses Docker may think to be in it."""
        return self.subnet or _EVERYTHING[self.version]

    @property
    def range(self) -> Cidr | None:
        """Where addresses that nobody asked for by value must come from; None: anywhere."""
        return self.within or self.subnet


def parse(pool_id: str) -> Pool:
    """Read a pool's id. Raises ValidationError if it is none of ours."""
    for version in _EVERYTHING:
        if pool_id == Pool(version).id:
            return Pool(version)
    first, separator, rest = pool_id.partition(_SEPARATOR)
    try:
        subnet = parse_cidr(first)
        return Pool(subnet.version, subnet, parse_cidr(rest) if separator else None)
    except ValidationError as problem:
        raise ValidationError(f"{pool_id!r} is no pool of this driver: {problem}") from problem


def requested(request: RequestPool) -> Pool:
    """Return the pool that a network asks for.

    Raises:
        ValidationError: the ranges are none, of the wrong family, or not one inside the other.
    """
    version = 6 if request.v6 else 4
    if not request.pool:
        if request.sub_pool:
            raise ValidationError(f"--ip-range {request.sub_pool} needs --subnet")
        return Pool(version)
    subnet = parse_cidr(request.pool)
    within = parse_cidr(request.sub_pool) if request.sub_pool else None
    if subnet.version != version:
        raise ValidationError(f"--subnet {subnet} is not IPv{version}")
    if within is not None and not subnet.contains(within):
        raise ValidationError(f"--ip-range {within} is not within --subnet {subnet}")
    return Pool(version, subnet, None if within == subnet else within)


def holder(pool: Pool, enabled: Sequence[Cidr]) -> Cidr | None:
    """Return the enabled IP pool that a network's subnet lies in; None if it has no subnet.

    Raises:
        NoPoolError: there is none; says which there are.
    """
    same_family = [cidr for cidr in enabled if cidr.version == pool.version]
    if not same_family:
        raise NoPoolError(
            f"there is no enabled IPv{pool.version} pool in Calico; create one with calicoctl"
        )
    if pool.subnet is None:
        return None
    for cidr in same_family:
        if cidr.contains(pool.subnet):
            return cidr
    known = ", ".join(map(str, same_family))
    raise NoPoolError(
        f"--subnet {pool.subnet} is in no enabled IP pool of Calico; use one of {known} or a part of "
        "it, or create a pool with calicoctl"
    )


def wanted_address(pool: Pool, request: RequestAddress) -> Cidr | None:
    """Return the address that is asked for by value, None if any will do.

    Raises:
        ValidationError: it is no address of the pool.
    """
    if not request.address:
        return None
    address = parse_address(request.address)
    if not pool.cidr.contains(address):
        raise ValidationError(f"{address.address} is not in the network's subnet {pool.cidr}")
    return address


def is_gateway(request: RequestAddress) -> bool:
    """Whether the address of the network's gateway is asked for."""
    return (request.options or {}).get(ADDRESS_TYPE) == GATEWAY


def no_gateway(pool: Pool) -> str:
    """Return what tells Docker that it need not give the network a gateway address."""
    return str(_EVERYTHING[pool.version])
