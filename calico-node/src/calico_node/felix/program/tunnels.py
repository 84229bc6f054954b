"""Who may send through the tunnels between the hosts of the cluster, and as whom.

What comes out of a tunnel has an inner source that policy goes by, so encapsulated packets are taken from the
cluster's nodes, and those that the operator names (``externalNodesList``), alone.

Source: calico-dataplane reference, section 2.4 (what enters the host).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calico_node.felix.messages import IPIP_DEVICE, VXLAN_DEVICES, Pool
from calico_node.felix.nft.model import (
    DROP,
    AddressType,
    Field,
    Masquerade,
    Match,
    Named,
    Rule,
    Statement,
    Verdict,
    one_of,
)
from calico_node.felix.program import names
from calico_node.felix.program.sets import prefix_of
from calico_node.felix.program.settings import RuleSettings

_UDP, _IPIP = 17, 4


@dataclass(frozen=True, slots=True)
class Tunnels:
    """Which tunnels between the hosts of the cluster are in use."""

    vxlan: bool = False
    ipip: bool = False

    @classmethod
    def of(cls, pools: Iterable[Pool], settings: RuleSettings) -> Tunnels:
        """Return those that some pool asks for, unless the configuration decides."""
        modes = {(pool.vxlan != "Never", pool.ipip != "Never") for pool in pools}
        return cls(
            vxlan=any(vxlan for vxlan, _ in modes) if settings.vxlan is None else settings.vxlan,
            ipip=any(ipip for _, ipip in modes) if settings.ipip is None else settings.ipip,
        )


def of_hosts(
    tunnels: Tunnels,
    far: dict[int, Field],
    near: Field,
    settings: RuleSettings,
    verdict: Verdict,
) -> Iterator[Rule]:
    """Yield the rules for the cluster's own tunnels.

    Args:
        far: IP version → the field that is the other host's address.
        near: the field that tells whether the other address is this host's.
        verdict: of such packets.
    """
    local = Match(near, AddressType.LOCAL)
    for version, packets, title in _encapsulated(tunnels, settings):
        for ends in _far_ends(version, far[version], settings):
            yield Rule((*packets, ends, local, verdict), comment=f"{title} of the cluster")


def strangers(tunnels: Tunnels, settings: RuleSettings) -> Iterator[Rule]:
    """Yield the rules that drop what others send into the tunnels of this host."""
    source = {4: Field.IP_SADDR, 6: Field.IP6_SADDR}
    for version, packets, title in _encapsulated(tunnels, settings):
        ends = _far_ends(version, source[version], settings)
        others = [Match(end.field, end.value, negate=True) for end in ends]
        yield Rule((*packets, *others, DROP), comment=f"{title} from who is no node")


def leaving(tunnels: Tunnels) -> Iterator[Rule]:
    """Yield the rules that give what this host sends into a tunnel an address that leads back through it.

    A process that has chosen another of the host's addresses would get its answers around the tunnel.
    Source: calico-dataplane reference, section 2.4 (nat).
    """
    for device in _devices(tunnels):
        from_elsewhere = Match(Field.FIB_SADDR_OIF_TYPE, AddressType.LOCAL, negate=True)
        from_us = Match(Field.FIB_SADDR_TYPE, AddressType.LOCAL)
        matches = (Match(Field.OIFNAME, device), from_elsewhere, from_us)
        yield Rule((*matches, Masquerade(fully_random=True)), comment="host into tunnel")


def _devices(tunnels: Tunnels) -> Iterator[str]:
    if tunnels.vxlan:
        yield from VXLAN_DEVICES.values()
    if tunnels.ipip:
        yield IPIP_DEVICE


def _encapsulated(
    tunnels: Tunnels, settings: RuleSettings
) -> Iterator[tuple[int, tuple[Statement, ...], str]]:
    """Yield IP version, what tells the packets, and their name, of each tunnel in use."""
    if tunnels.vxlan:
        vxlan = Match(Field.L4PROTO, _UDP), Match(Field.DPORT, settings.vxlan_port)
        yield from ((version, vxlan, "VXLAN") for version in (4, 6))
    if tunnels.ipip:
        yield 4, (Match(Field.L4PROTO, _IPIP),), "IPIP"


def _far_ends(version: int, field: Field, settings: RuleSettings) -> Iterator[Match]:
    yield Match(field, Named(names.ALL_HOSTS[version]))
    named = [prefix_of(net) for net in settings.external_nodes if net.version == version]
    if named:
        yield Match(field, one_of(named))
