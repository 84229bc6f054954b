"""Rules of IPPools, reservations and network sets. Source: ``calico-control-plane.md`` 2.2, 2.3 and 2.8."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from libcalico.resources import fieldchecks as check
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.names import NAMESPACE_LABEL
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSet
from libcalico.resources.reservations import IPReservation

BLOCK_SIZES = {4: range(20, 33), 6: range(116, 129)}
_LINK_LOCAL = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
_MAX_CIDR_LENGTH = 48


def check_pool(pool: IPPool) -> Iterator[str]:
    """Check an IPPool by itself; overlap with others is the client's to check."""
    spec = pool.spec
    if not spec.cidr:
        yield "spec.cidr: missing; write it as 10.0.0.0/16 or fd00::/64"
    else:
        yield from _check_cidr(spec)
    yield from check.selector("spec.nodeSelector", spec.node_selector)
    yield from check.selector("spec.namespaceSelector", spec.namespace_selector)
    yield from check.unique("spec.allowedUses", spec.allowed_uses)
    if spec.namespace_selector and "Tunnel" in spec.allowed_uses:
        yield (
            "spec.namespaceSelector: cannot be set for a pool of use Tunnel; "
            "set spec.allowedUses to [Workload]"
        )
    if _encapsulates(spec.ipip_mode) and _encapsulates(spec.vxlan_mode):
        yield "spec.vxlanMode: cannot be set together with spec.ipipMode; one of them must be Never"
    if "LoadBalancer" in spec.allowed_uses:
        yield from _check_load_balancer(spec)


def _check_cidr(spec: IPPoolSpec) -> Iterator[str]:
    if len(spec.cidr) > _MAX_CIDR_LENGTH:
        yield f"spec.cidr: longer than {_MAX_CIDR_LENGTH} characters"
    yield from check.network("spec.cidr", spec.cidr)
    net = check.parse_network(spec.cidr)
    if net is None:
        return
    for reserved in _LINK_LOCAL:
        if net.version == reserved.version and net.overlaps(reserved):
            yield f"spec.cidr: {spec.cidr} overlaps with the link-local range {reserved}"
    if net.version == 6 and _encapsulates(spec.ipip_mode):
        yield "spec.ipipMode: IPIP carries IPv4 only; use Never for an IPv6 pool"
    sizes = BLOCK_SIZES[net.version]
    if spec.block_size not in sizes:
        yield (
            f"spec.blockSize: {spec.block_size} is out of range; "
            f"an IPv{net.version} pool has {sizes[0]} to {sizes[-1]}"
        )
    elif net.prefixlen > spec.block_size and not spec.disabled:
        yield (
            f"spec.cidr: {spec.cidr} is smaller than one block of /{spec.block_size}; "
            "use a larger pool or a larger spec.blockSize"
        )


def _check_load_balancer(spec: IPPoolSpec) -> Iterator[str]:
    if len(spec.allowed_uses) > 1:
        yield "spec.allowedUses: LoadBalancer cannot be combined with other uses"
    if _encapsulates(spec.ipip_mode) or _encapsulates(spec.vxlan_mode):
        yield "spec.allowedUses: a LoadBalancer pool has neither ipipMode nor vxlanMode"
    if spec.node_selector != "all()":
        yield "spec.nodeSelector: must be all() in a LoadBalancer pool"
    if spec.disable_bgp_export:
        yield "spec.disableBGPExport: must be false in a LoadBalancer pool"


def _encapsulates(mode: str | None) -> bool:
    return mode not in (None, "Never")


def check_reservation(reservation: IPReservation) -> Iterator[str]:
    """Check an IPReservation."""
    for index, text in enumerate(reservation.spec.reserved_cidrs):
        yield from check.network_or_address(f"spec.reservedCIDRs[{index}]", text)


def check_network_set(networks: NetworkSet | GlobalNetworkSet) -> Iterator[str]:
    """Check a NetworkSet or a GlobalNetworkSet."""
    for index, text in enumerate(networks.spec.nets):
        yield from check.network_or_address(f"spec.nets[{index}]", text)
    if NAMESPACE_LABEL in networks.metadata.labels:
        yield f"metadata.labels[{NAMESPACE_LABEL!r}]: this label cannot be set on a network set"
