"""Keeps the tunnel devices of this host, and their peers, as the pools want them. Synchronous.

What the kernel has is read, what differs is changed; devices that no pool needs any more are removed. Routes
through the devices are the router's.
"""

from __future__ import annotations

import errno
import logging
from typing import Final

from calico_node.felix.dataplane.ipip import IpipDevice
from calico_node.felix.dataplane.router import Router
from calico_node.felix.messages import IPIP_DEVICE, VXLAN_DEVICES
from calico_node.felix.routes import ipip, mtu
from calico_node.felix.routes.overlay import (
    NODE_LINKS,
    Changed,
    Overlay,
    OverlaySettings,
)
from calico_node.felix.routes.plan import Target
from calico_node.felix.routes.tunnels import (
    Present,
    Wanted,
    has_address,
    plan_device,
    plan_entries,
)
from libcalico.errors import OverrunError
from libcalico.net.addresses import Cidr
from libcalico.netlink import links, monitor
from libcalico.netlink.addresses import Address, list_addresses
from libcalico.netlink.links import Link, Vxlan
from libcalico.netlink.monitor import Event, LinkEvent, NeighbourEvent
from libcalico.netlink.neighbours import list_forwarding, list_neighbours
from libcalico.netlink.sockets import NETLINK_ROUTE, NetlinkSocket

log = logging.getLogger(__name__)

_IPIP: Final = "IPIP"
_NO_ADDRESS: Final = "no interface has the address that this node is registered with"
#: What deleting an entry is refused with that is gone already, with its device or without.
_ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL)


class Overlays:
    """The overlay in the kernel of the network namespace in which this was made.

    Args:
        settings: what it depends on.
        router: keeps the routes through the devices.

    Attributes:
        problems: tunnel → why it cannot be.
    """

    def __init__(self, settings: OverlaySettings, router: Router) -> None:
        self._settings = settings
        self._router = router
        self._overlay = Overlay(settings)
        self._is_started = False
        self._is_done = False
        self._devices: set[int] = set()
        self.problems: dict[str, str] = {}
        self.workload_mtu = mtu.FALLBACK
        self._socket = NetlinkSocket(NETLINK_ROUTE)
        self._ipip = IpipDevice(self._socket)
        try:
            groups = monitor.LINKS | monitor.ADDRESSES | monitor.NEIGHBOURS
            self._monitor = monitor.Monitor(groups)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the sockets. The devices stay, and traffic in them."""
        self._monitor.close()
        self._socket.close()

    @property
    def monitor(self) -> monitor.Monitor:
        """Readable when something changed that may concern the overlay; then call :meth:`take_events`."""
        return self._monitor

    @property
    def is_in_sync(self) -> bool:
        """Whether the kernel took everything that could be asked of it."""
        return self._is_started and self._is_done

    def change(self, changed: Changed) -> dict[Cidr, Target | None]:
        """Take in what changed; return where destinations lead now. :meth:`program` does the rest."""
        if changed.pools or changed.nodes:
            self._is_done = False
        return self._overlay.change(changed)

    def program(self) -> None:
        """Program what is wanted, unless that is done; the first time in place of what a previous run left.

        Raises:
            NetlinkError: the kernel refused; call it again later.
        """
        self._is_started = True
        if not self._is_done or self._ipip.is_due:
            self._sync()

    def reconfigure(self, settings: OverlaySettings) -> dict[Cidr, Target | None]:
        """Take over another configuration; return where destinations lead. :meth:`program` does the rest."""
        if settings == self._settings:
            return {}
        self._settings = settings
        self._is_done = False
        return self._overlay.reconfigure(settings)

    def take_events(self) -> None:
        """Put right what others changed. Raises as :meth:`program`."""
        try:
            concern = [self._concerns(event) for event in self._monitor.read()]
        except OverrunError:
            concern = [True]
        if any(concern) and self._is_started:
            self._sync()

    def _concerns(self, event: Event) -> bool:
        """Whether an event may change what is to be done. Neighbours of other links come and go always."""
        match event:
            case NeighbourEvent(entry=entry):
                return entry.link in self._devices
            case LinkEvent(link=link):
                return link.kind != "veth" or self._is_hosts_own(link.name)
        return True

    def _is_hosts_own(self, name: str) -> bool:
        """Whether an interface is one to the network, or the kernel's own one for IPIP."""
        return name == IPIP_DEVICE or mtu.is_own(name, self._settings.mtu_interfaces)

    def _sync(self) -> None:
        self._is_done = False
        present = links.list_links(self._socket)
        held = list_addresses(self._socket)
        host_mtu = mtu.of_host(
            [(link.name, link.mtu) for link in present if link.is_up and link.is_running],
            self._settings.mtu_interfaces,
        )
        self.workload_mtu = mtu.of_workloads(host_mtu, self._tunnel_mtus(host_mtu))
        by_name = {link.name: link for link in present}
        self._devices.clear()
        aliases: dict[str, int] = {}
        for version, name in VXLAN_DEVICES.items():
            parent = self._parent(version, held)
            if parent:
                aliases[NODE_LINKS[version]] = parent
            self._program(name, self._wanted(version, parent, host_mtu), by_name.get(name))
        self._router.call(aliases)
        self._sync_ipip(by_name.get(IPIP_DEVICE), held, host_mtu)
        self._is_done = True

    def _tunnel_mtus(self, host_mtu: int) -> list[int]:
        """Return the MTU of each tunnel that a pool asks for, whether it can be made yet or not."""
        found = [
            mtu.of_vxlan(version, host_mtu, self._settings.mtus)
            for version in self._settings.versions
            if self._overlay.is_wanted(version)
        ]
        if self._overlay.is_ipip_wanted:
            found.append(mtu.of_ipip(host_mtu, self._settings.ipip_mtu))
        return found

    def _parent(self, version: int, held: list[Address]) -> int:
        """Return the index of the link that has the node's own address; 0 if none has."""
        own = self._overlay.own.address(version)
        return next((a.link for a in held if own and a.cidr.host() == own.host()), 0)

    def _wanted(self, version: int, parent: int, host_mtu: int) -> Wanted | None:
        tunnel = f"VXLAN over IPv{version}"
        if not self._overlay.is_wanted(version) or version not in self._settings.versions:
            self._tell(tunnel, "")
            return None
        vtep, own = self._overlay.own.vtep(version), self._overlay.own.address(version)
        if vtep is None or own is None or not parent:
            self._tell(tunnel, ipip.NO_ADDRESS if vtep is None else _NO_ADDRESS)
            return None
        self._tell(tunnel, "")
        device = Vxlan(
            name=VXLAN_DEVICES[version],
            vni=self._settings.vni,
            port=self._settings.port,
            local=own.host(),
            device=parent,
            mac=vtep.mac,
            mtu=mtu.of_vxlan(version, host_mtu, self._settings.mtus),
        )
        return Wanted(device, vtep.address, self._overlay.peers(version))

    def _sync_ipip(self, link: Link | None, held: list[Address], host_mtu: int) -> None:
        address = self._overlay.own.ipip
        if not self._overlay.is_ipip_wanted or address is None:
            self._ipip.give_back(link, held)
            self._tell(_IPIP, ipip.NO_ADDRESS if self._overlay.is_ipip_wanted else "")
            return
        wanted = ipip.Device(mtu.of_ipip(host_mtu, self._settings.ipip_mtu), address)
        problem = self._ipip.keep(wanted, link, held, self._overlay.ipip_pools)
        self._tell(_IPIP, problem)
        if self._ipip.lacks_address(wanted, held):
            self._router.recover()

    def _tell(self, tunnel: str, problem: str) -> None:
        """Note why a tunnel cannot be, or, empty, that it can; say so once."""
        if not problem:
            self.problems.pop(tunnel, None)
        elif self.problems.get(tunnel) != problem:
            log.warning("no tunnel type=%s reason=%s", tunnel, problem)
            self.problems[tunnel] = problem

    def _program(self, name: str, wanted: Wanted | None, link: Link | None) -> None:
        requests = plan_device(wanted.device if wanted else None, link)
        if requests:
            self._socket.request(*requests, tolerated=(errno.ENODEV,))
            link = links.get_link(self._socket, name)
        if wanted is None or link is None:
            return
        self._devices.add(link.ifindex)
        present = self._read(wanted, link)
        for refusal in self._socket.batch(plan_entries(wanted, present)):
            if refusal.errno not in _ABSENT:
                raise refusal
        if not has_address(wanted.address, present.addresses):
            self._router.recover()

    def _read(self, wanted: Wanted, link: Link) -> Present:
        version, index = wanted.address.version, link.ifindex
        return Present(
            link,
            list_addresses(self._socket, version=version, link=index),
            list_neighbours(self._socket, version, link=index),
            list_forwarding(self._socket, index),
        )
