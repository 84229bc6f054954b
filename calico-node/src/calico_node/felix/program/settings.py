"""The part of Felix's configuration that shapes rules, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from calico_node.felix.nft.keys import Range
from calico_node.felix.nft.model import Limit
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.net.ports import protocol_number
from libcalico.resources.felixconfig import ProtoPort
from libcalico.resources.felixparams import PARAMS


class MarkMaskError(ValueError):
    """The mark mask leaves too few bits."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Bits of the packet mark that belong to us: ``accept`` and ``passed``. Others are never changed."""

    accept: int
    passed: int

    @property
    def both(self) -> int:
        """Both bits, as a mask."""
        return self.accept | self.passed

    @classmethod
    @lru_cache(maxsize=16)
    def of_mask(cls, mask: int) -> Marks:
        """Take the two lowest bits of ``mask``.

        Raises:
            MarkMaskError: the mask has fewer than two bits.
        """
        bits = [1 << n for n in range(32) if mask >> n & 1]
        if len(bits) < 2:
            raise MarkMaskError(f"mark mask {mask:#x} has fewer than the two bits that are needed")
        return cls(accept=bits[0], passed=bits[1])


@dataclass(frozen=True, slots=True)
class FailsafePort:
    """A port of a protocol, by number, that host endpoints never close; ``net``: to whom, None: to all."""

    protocol: int
    port: int
    net: Cidr | None = None


def failsafe_ports(ports: Iterable[ProtoPort]) -> tuple[FailsafePort, ...]:
    """Return the ports that a parameter names."""
    return tuple(
        FailsafePort(
            protocol_number(port.protocol),
            port.port,
            parse_cidr(port.net, strict=False) if port.net else None,
        )
        for port in ports
    )


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What rules depend on beside policy. Defaults are Felix's.

    Attributes:
        interface_prefixes: names of workload interfaces begin so.
        endpoint_to_host: what happens to traffic from a workload to its own host after policy.
        drop_invalid: whether packets that connection tracking calls invalid are dropped.
        allow_spoofing: whether endpoints may send from the prefixes that they ask for, too.
        log_prefix: template of the lines that Log rules write; :mod:`.logs` knows what it may hold.
        log_limit: how often each of those rules may write one.
        failsafe_inbound: ports of the host that its endpoints never close.
        failsafe_outbound: ports of others that the host always reaches.
        exclude_hosts_from_nat: whether traffic to hosts of the cluster keeps its source address.
        nat_ports: source ports of translated TCP and UDP traffic; None leaves them to the kernel.
        nat_outgoing_address: source of translated traffic of its family; None: the interface's address.
        floating_ips: whether endpoints have the floating addresses that they ask for.
        service_loops: what becomes of forwarded traffic to an address of a service that nothing translates.
        external_nodes: who else than the cluster's nodes may send through the hosts' tunnels.
        serves_addresses: whether workloads get their addresses and names from this host, by DHCP and DNS.
        vxlan: whether VXLAN is in use at all; None: if a pool asks for it. ``ipip`` likewise.
    """

    interface_prefixes: tuple[str, ...] = ("cali",)
    mark_mask: int = 0xFFFF0000
    endpoint_to_host: Literal["Drop", "Return", "Accept"] = "Drop"
    deny: Literal["Drop", "Reject"] = "Drop"
    drop_invalid: bool = True
    allow_vxlan_from_workloads: bool = False
    allow_ipip_from_workloads: bool = False
    allow_spoofing: bool = False
    vxlan_port: int = 4789
    ipv6: bool = True
    log_prefix: str = "calico-packet"
    log_limit: Limit | None = None
    exclude_hosts_from_nat: bool = False
    nat_outgoing_interface: str = ""
    nat_ports: Range | None = None
    nat_outgoing_address: Cidr | None = None
    floating_ips: bool = False
    service_loops: Literal["Drop", "Reject", "Disabled"] = "Drop"
    external_nodes: tuple[Cidr, ...] = ()
    serves_addresses: bool = False
    vxlan: bool | None = None
    ipip: bool | None = None
    failsafe_inbound: tuple[FailsafePort, ...] = failsafe_ports(
        PARAMS["FailsafeInboundHostPorts"].default
    )
    failsafe_outbound: tuple[FailsafePort, ...] = failsafe_ports(
        PARAMS["FailsafeOutboundHostPorts"].default
    )

    @property
    def marks(self) -> Marks:
        """The mark bits of this configuration."""
        return Marks.of_mask(self.mark_mask)
