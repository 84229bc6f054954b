"""Makes and removes endpoints' interfaces on the host. Docker moves one end into the container itself."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from libcalico.errors import CalicoError, NetlinkError
from libcalico.net.addresses import Cidr
from libcalico.net.macs import WORKLOAD_HOST_MAC
from libcalico.netlink import links, routes, sysctl
from libcalico.netlink.links import Veth
from libcalico.netlink.sockets import NetlinkSocket
from libcalico.workload import plan as workload_plan

_log = logging.getLogger(__name__)


class Interfaces(Protocol):
    """What the plugin does to the host's interfaces. Every method may raise NetlinkError."""

    def make(self, host_end: str, peer: str, mac: bytes, mtu: int, cidrs: Sequence[Cidr]) -> None:
        """Make a pair on the host, its host end configured; nothing is left if that fails.

        A host end of that name from an earlier attempt is replaced.

        Args:
            host_end: name of the end that stays.
            peer: name of the end that Docker moves.
            mac: of that end.
            mtu: of both.
            cidrs: the endpoint's addresses, which are routed to the host end.

        Raises:
            NetlinkError: the kernel refused; EEXIST if an address is routed elsewhere.
        """
        ...

    def remove(self, host_end: str) -> None:
        """Remove a host end, and with it the pair and its routes; none is no error."""
        ...

    def is_in_use(self, host_end: str) -> bool:
        """Whether the other end is in a container."""
        ...


class HostInterfaces:
    """The interfaces of the caller's network namespace, which is the host's; see :class:`Interfaces`."""

    def make(self, host_end: str, peer: str, mac: bytes, mtu: int, cidrs: Sequence[Cidr]) -> None:
        """See :class:`Interfaces`."""
        with ExitStack() as undo, NetlinkSocket() as host:
            for stale in (host_end, peer):
                links.delete_link(host, stale)
            pair = Veth(name=host_end, peer=peer, mac=WORKLOAD_HOST_MAC, peer_mac=mac, mtu=mtu)
            links.create_veth(host, pair)
            undo.callback(remove_quietly, self, host_end)
            sysctl.apply(workload_plan.host_sysctls(host_end, cidrs))
            _route(host, host_end, cidrs)
            undo.pop_all()

    def remove(self, host_end: str) -> None:
        """See :class:`Interfaces`."""
        with NetlinkSocket() as host:
            links.delete_link(host, host_end)

    def is_in_use(self, host_end: str) -> bool:
        """See :class:`Interfaces`."""
        with NetlinkSocket() as host:
            link = links.get_link(host, host_end)
        return link is not None and link.peer_netns >= 0


def remove_quietly(interfaces: Interfaces, host_end: str) -> None:
    """Remove a host end because of another error, which is the one to tell."""
    try:
        interfaces.remove(host_end)
    except CalicoError as error:
        _log.warning("undo failed step='remove interface' error=%r", str(error))


def _route(host: NetlinkSocket, host_end: str, cidrs: Sequence[Cidr]) -> None:
    link = links.get_link(host, host_end)
    if link is None:
        raise NetlinkError(f"{host_end} disappeared", errno.ENODEV)
    host.request(*workload_plan.host_gateway(link.ifindex, cidrs))
    # The endpoint is stored already, so Felix may have been faster.
    host.request(*workload_plan.host_routes(link.ifindex, cidrs), tolerated=(errno.EEXIST,))
    routed = {
        route.dst
        for version in workload_plan.versions(cidrs)
        for route in routes.list_routes(host, version, oif=link.ifindex)
    }
    for cidr in cidrs:
        if cidr not in routed:
            raise NetlinkError(f"{cidr} is routed elsewhere than to {host_end}", errno.EEXIST)
