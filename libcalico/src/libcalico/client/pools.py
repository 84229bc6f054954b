"""IPPools: no two overlap, blocks keep their size, and deletion gives affinities back.

Source: ``calico-control-plane.md`` 1.9.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from libcalico.client import messages
from libcalico.client.behaviour import Behaviour
from libcalico.datastore import keys
from libcalico.errors import ValidationError
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import ResourceId

if TYPE_CHECKING:
    from libcalico.client.client import Client

#: How long a disabled pool is left alone before its affinities are released, so that an assignment
#: that saw it enabled is finished.
SETTLE_S = 0.5


def check_new_pool(client: Client, pool: IPPool) -> None:
    """Refuse a pool that overlaps with another, or with blocks of another size.

    Raises:
        ValidationError: with every conflict.
    """
    problems = [
        f"spec.cidr: IPPool({pool.name}) CIDR overlaps with IPPool({other.name}) "
        f"CIDR {other.spec.cidr}"
        for other in client.ippools.list()
        if other.name != pool.name and _overlap(pool.spec.cidr, other.spec.cidr)
    ]
    blocks = [
        cidr
        for cidr in _block_cidrs(client, pool.spec.cidr)
        if not cidr.endswith(f"/{pool.spec.block_size}")
    ]
    if blocks:
        problems.append(
            "spec.blockSize: IPPool blocksSize conflicts with existing allocations that use a "
            f"different blockSize, such as {blocks[0]}"
        )
    if problems:
        raise ValidationError(*problems)


def check_changed_pool(client: Client, pool: IPPool) -> None:
    """Refuse changes of what blocks already depend on.

    Raises:
        ValidationError: with every refused change.
        NotFoundError: the pool does not exist.
    """
    old = client.ippools.get(pool.name)
    problems = []
    if not _same_network(old.spec.cidr, pool.spec.cidr):
        problems.append(f"spec.cidr: IPPool CIDR cannot be modified; it is {old.spec.cidr}")
    if old.spec.block_size != pool.spec.block_size:
        problems.append(
            f"spec.blockSize: IPPool BlockSize cannot be modified; it is {old.spec.block_size}"
        )
    if "LoadBalancer" in old.spec.allowed_uses and "LoadBalancer" not in pool.spec.allowed_uses:
        problems.append(
            "spec.allowedUses: IPPool allowed use cannot be changed from LoadBalancer to Workload "
            "or Tunnel"
        )
    if problems:
        raise ValidationError(*problems)


def retire_pool(client: Client, which: ResourceId, resource_version: str) -> str:
    """Disable the pool, let assignments finish, and release the affinities of its blocks.

    Raises:
        UnsupportedOperationError: the client has no IPAM, and the pool has blocks with an affinity.
    """
    pool = client.ippools.get(which.name)
    if resource_version and resource_version != pool.metadata.resource_version:
        raise messages.conflict(which)
    if client.addresses is None and _affine_blocks(client, pool.spec.cidr):
        raise messages.unsupported(
            "delete", which, "its blocks have affinities to hosts, and this client has no IPAM"
        )
    if not pool.spec.disabled:
        disabled = pool.with_(spec=pool.spec.with_(disabled=True))
        pool = client.ippools.write_back(disabled)
    if client.addresses is not None:
        client.pause(SETTLE_S)
        client.addresses.release_pool_affinities(pool.spec.cidr)
    return pool.metadata.resource_version


def _affine_blocks(client: Client, pool_cidr: str) -> list[str]:
    found = client.backend.read(keys.IPAM + "host/", keys.IPAM + "virtual/")
    parsed = [keys.parse(item.key) for item in found.items]
    affinities = [k for k in parsed if isinstance(k, keys.AffinityKey | keys.VirtualAffinityKey)]
    return [key.cidr for key in affinities if _overlap(key.cidr, pool_cidr)]


def _block_cidrs(client: Client, pool_cidr: str) -> list[str]:
    prefix = keys.block_prefix(6 if ":" in pool_cidr else 4)
    parsed = [keys.parse(item.key) for item in client.backend.read(prefix).items]
    cidrs = [key.cidr for key in parsed if isinstance(key, keys.BlockKey)]
    return [cidr for cidr in cidrs if _overlap(cidr, pool_cidr)]


def _overlap(first: str, second: str) -> bool:
    """Tell whether two CIDR texts overlap; a stored text that is no CIDR overlaps with nothing."""
    try:
        one, other = ip_network(first, strict=False), ip_network(second, strict=False)
    except ValueError:
        return False
    return one.version == other.version and one.overlaps(other)


def _same_network(first: str, second: str) -> bool:
    try:
        return ip_network(first, strict=False) == ip_network(second, strict=False)
    except ValueError:
        return first == second


BEHAVIOUR: Behaviour[IPPool] = Behaviour(
    before_create=check_new_pool, before_update=check_changed_pool, before_delete=retire_pool
)
