"""Which interfaces this host has, and their addresses: what tells host endpoints which one they mean."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from libcalico.errors import OverrunError
from libcalico.net.addresses import Cidr
from libcalico.netlink import addresses, links, monitor
from libcalico.netlink.addresses import Address
from libcalico.netlink.sockets import NETLINK_ROUTE, NetlinkSocket

log = logging.getLogger(__name__)

_NONE: frozenset[Cidr] = frozenset()


class Interfaces:
    """Follows the interfaces of the network namespace in which this was made, but for those of workloads."""

    def __init__(self) -> None:
        """Open the sockets.

        Raises:
            NetlinkError: they cannot be opened.
        """
        self._names: dict[int, str] = {}
        self._indexes: dict[str, int] = {}
        self._addresses: dict[int, frozenset[Cidr]] = {}
        self._told: dict[str, frozenset[Cidr]] = {}
        self._workloads: tuple[str, ...] = ()
        self._is_known = False
        self._socket = NetlinkSocket(NETLINK_ROUTE)
        try:
            self._monitor = monitor.Monitor(monitor.LINKS | monitor.ADDRESSES)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the sockets."""
        self._monitor.close()
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor, readable when something changed; then call :meth:`take`."""
        return self._monitor.fileno()

    @property
    def is_known(self) -> bool:
        """Whether all interfaces were read, and no news of them were lost since."""
        return self._is_known

    def take(self, workloads: tuple[str, ...]) -> dict[str, frozenset[Cidr] | None]:
        """Return what changed since the last call: interface → its addresses, None: it is gone.

        Args:
            workloads: how the names of workload interfaces begin.

        Raises:
            NetlinkError: the kernel refused to tell; what changed is told by the next call.
        """
        touched = self._follow() if self._is_known else None
        if touched is None:
            self._read()
        if touched is None or workloads != self._workloads:
            touched = self._indexes.keys() | self._told.keys()
        self._workloads = workloads
        return dict(self._differences(touched))

    def _differences(self, names: Iterable[str]) -> Iterator[tuple[str, frozenset[Cidr] | None]]:
        for name in names:
            index = self._indexes.get(name)
            is_there = index is not None and not name.startswith(self._workloads or ("\0",))
            now = self._addresses.get(index or 0, _NONE) if is_there else None
            if now == self._told.get(name):
                continue
            if now is None:
                del self._told[name]
            else:
                self._told[name] = now
            yield name, now

    def _follow(self) -> set[str] | None:
        """Take in events; return the names that they are about, None if some were lost."""
        touched: set[str] = set()
        try:
            for event in self._monitor.read():
                match event:
                    case monitor.LinkEvent(link=link, is_gone=is_gone):
                        touched |= self._take_link(link, is_gone=is_gone)
                    case monitor.AddressEvent(address=address, is_gone=is_gone):
                        touched |= self._take_address(address, is_gone=is_gone)
        except OverrunError:
            log.warning("lost notifications of interfaces; reading them again")
            self._is_known = False
            return None
        return touched

    def _read(self) -> None:
        self._names.clear()
        self._indexes.clear()
        self._addresses.clear()
        for link in links.list_links(self._socket):
            self._take_link(link, is_gone=False)
        for address in addresses.list_addresses(self._socket):
            self._take_address(address, is_gone=False)
        self._is_known = True

    def _take_link(self, link: links.Link, *, is_gone: bool) -> set[str]:
        """Note a link; return its old and its new name if they differ."""
        old = self._names.pop(link.ifindex, None)
        if old is not None and self._indexes.get(old) == link.ifindex:
            del self._indexes[old]
        if is_gone:
            self._addresses.pop(link.ifindex, None)
            return {old} if old is not None else set()
        self._names[link.ifindex] = link.name
        self._indexes[link.name] = link.ifindex
        return {link.name} if old is None else {old, link.name} if old != link.name else set()

    def _take_address(self, address: Address, *, is_gone: bool) -> set[str]:
        there = self._addresses.get(address.link, _NONE)
        one = {address.cidr.host()}
        self._addresses[address.link] = there - one if is_gone else there | one
        name = self._names.get(address.link)
        return {name} if name is not None else set()
