"""What IPAM says → the texts of ``calicoctl ipam show``. Pure.

Source of forms and words: calico-control-plane reference, section 6.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from calicoctl.grid import grid
from libcalico.ipam.model import Attribute, IpamConfig
from libcalico.ipam.plan.audit import Allocation
from libcalico.ipam.plan.usage import ORPHANS, PoolUsage
from libcalico.net.addresses import parse_cidr

_USAGE = ("GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS FREE")
_BORROWED = ("IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO")


def usage(pools: Sequence[PoolUsage], *, blocks: bool) -> str:
    """Return the table of pools, with their blocks if asked for."""
    rows: list[Sequence[str]] = []
    for pool in pools:
        orphaned = pool.name == ORPHANS
        if orphaned and not (blocks and pool.blocks):
            continue
        used = sum(block.capacity - block.available for block in pool.blocks)
        if not orphaned:
            rows.append(
                _usage_row("IP Pool", pool.cidr, parse_cidr(pool.cidr, strict=False).size, used)
            )
        for block in pool.blocks if blocks else ():
            grouping = "Orphaned Block" if orphaned else "Block"
            in_block = block.capacity - block.available
            rows.append(_usage_row(grouping, block.cidr, block.capacity, in_block))
    return grid(_USAGE, rows)


def _usage_row(grouping: str, cidr: str, total: int, used: int) -> Sequence[str]:
    free = total - used
    return (
        grouping,
        cidr,
        f"{total:.5g}",
        f"{used:.5g} ({100 * used / total:.0f}%)",
        f"{free:.5g} ({100 * free / total:.0f}%)",
    )


def borrowed(allocations: Iterable[Allocation]) -> str:
    """Return the table of addresses that nodes took from blocks of others, and a note if some do not say."""
    known = list(allocations)
    rows = [_borrowed_row(allocation) for allocation in known if allocation.borrowed]
    text = grid(_BORROWED, rows)
    silent = sum(not allocation.node for allocation in known)
    if silent:
        text += (
            f"\n\nNote: {silent} allocation(s) do not say which node uses them, and are not listed."
        )
    return text


def _borrowed_row(allocation: Allocation) -> Sequence[str]:
    attributes = allocation.attributes
    kind = "vmi" if "vmi-name" in attributes else "pod" if "pod" in attributes else ""
    name = attributes.get("vmi-name") or attributes.get("pod") or attributes.get("service") or ""
    namespace = attributes.get("namespace", "")
    return (
        allocation.address,
        allocation.node,
        allocation.block,
        (allocation.block_owner or "").partition(":")[2],
        kind or attributes.get("type", ""),
        f"{namespace}/{name}" if namespace else name or allocation.handle or "",
    )


def configuration(config: IpamConfig) -> str:
    """Return the table of settings."""
    rows = [
        ("StrictAffinity", _truth(config.strict_affinity)),
        ("AutoAllocateBlocks", _truth(config.auto_allocate_blocks)),
        ("MaxBlocksPerHost", str(config.max_blocks_per_host)),
        ("KubeVirtVMAddressPersistence", config.vm_address_persistence or "Disabled"),
    ]
    return grid(("PROPERTY", "VALUE"), rows)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def owner(address: str, attribute: Attribute) -> str:
    """Return who uses an address."""
    lines = [f"IP {address} is in use", f"Handle ID: {attribute.handle_id or '<none>'}"]
    lines += _attributes("Active Owner", attribute.secondary)
    if attribute.alternate:
        lines += _attributes("Alternate Owner", attribute.alternate)
    return "\n".join(lines)


def _attributes(whose: str, attributes: Mapping[str, str]) -> list[str]:
    if not attributes:
        return [f"No {whose} attributes defined"]
    return [f"{whose} Attributes:", *(f"  {k}: {v}" for k, v in sorted(attributes.items()))]
