"""pool add, range add, remove, show: pools by their CIDR.

Source of the words: python-era reference, section 1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network, summarize_address_range

from calicoctl.commands import rehearse
from calicoctl.grid import grid
from libcalico.client import Client
from libcalico.errors import CalicoError, NotFoundError, ValidationError
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.resources.defaults import with_defaults
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.validate import validate

_BLOCKS = {4: 26, 6: 122}


def parse(texts: Sequence[str]) -> list[Cidr]:
    """Return the CIDRs.

    Raises:
        ValidationError: one is none, is smaller than a block, or overlaps with another of them.
    """
    cidrs = [parse_cidr(text) for text in texts]
    for cidr in cidrs:
        if cidr.prefix > _BLOCKS[cidr.version]:
            raise ValidationError(
                f"{cidr}: a pool holds at least one block, /{_BLOCKS[cidr.version]}; nothing was added"
            )
    for number, cidr in enumerate(cidrs):
        for other in cidrs[:number]:
            if cidr.version == other.version and (cidr.contains(other) or other.contains(cidr)):
                raise ValidationError(f"{other} and {cidr} overlap; nothing was added")
    return cidrs


def of_range(start: str, end: str) -> list[Cidr]:
    """Return the CIDRs that make up a range of addresses.

    Raises:
        ValidationError: it is none, or one of them would be smaller than a block.
    """
    try:
        first, last = ip_address(start), ip_address(end)
        if first >= last:  # type: ignore[operator] # two families raise TypeError, as summarize would
            raise ValueError("the start must come before the end")
        networks = list(summarize_address_range(first, last))
    except (ValueError, TypeError) as error:
        raise ValidationError(f"{start} to {end} is no range of addresses: {error}") from error
    return parse([str(network) for network in networks])


def add(client: Client, cidrs: Sequence[Cidr], *, ipip: bool, nat_outgoing: bool) -> None:
    """Add pools, or change the options of those that exist, all or none.

    Raises:
        ValidationError: one overlaps with a pool, or IPIP is asked for with IPv6.
    """
    stored = {ip_network(pool.spec.cidr, strict=False): pool for pool in client.ippools.list()}
    wanted = []
    for cidr in cidrs:
        if ipip and cidr.version == 6:
            raise ValidationError(f"{cidr}: IPIP carries IPv4 only; nothing was added")
        pool = stored.get(ip_network(str(cidr))) or _new(cidr)
        spec = pool.spec.with_(ipip_mode="Always" if ipip else "Never", nat_outgoing=nat_outgoing)
        if ipip:
            spec = spec.with_(vxlan_mode="Never")
        complete = with_defaults(pool.with_(spec=spec))
        validate(complete)
        wanted.append(complete)
    outcome = rehearse.write_atomically("apply", wanted, client)
    if not outcome.succeeded:
        raise CalicoError(outcome.complaint())


def _new(cidr: Cidr) -> IPPool:
    name = "pool-" + str(cidr).replace(".", "-").replace(":", "-").replace("/", "-")
    return IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=str(cidr)))


def remove(client: Client, cidrs: Sequence[Cidr]) -> None:
    """Remove pools; addresses in use stay with their workloads.

    Raises:
        NotFoundError: one is no pool; none is removed.
    """
    stored = {ip_network(pool.spec.cidr, strict=False): pool for pool in client.ippools.list()}
    for cidr in cidrs:
        if ip_network(str(cidr)) not in stored:
            raise NotFoundError(f"{cidr} is no pool; nothing was removed")
    for cidr in cidrs:
        client.ippools.delete(stored[ip_network(str(cidr))].name)


def table(pools: Sequence[IPPool], versions: Sequence[int]) -> str:
    """Return a table for each family."""
    return "\n".join(grid((f"IPv{v} CIDR", "Options"), _rows(pools, v)) for v in versions)


def _rows(pools: Sequence[IPPool], version: int) -> list[tuple[str, str]]:
    found = [pool for pool in pools if (":" in pool.spec.cidr) == (version == 6)]
    return [(pool.spec.cidr, _options(pool)) for pool in found]


def _options(pool: IPPool) -> str:
    spec = pool.spec
    options = {
        "ipip": spec.ipip_mode not in (None, "Never"),
        "vxlan": spec.vxlan_mode not in (None, "Never"),
        "nat-outgoing": spec.nat_outgoing,
        "disabled": spec.disabled,
    }
    return ",".join(name for name, on in options.items() if on)
