"""Which interfaces this host has, and their addresses: what tells host endpoints which one they mean."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from libcalico.errors import OverrunError
from libcalico.net.addresses import Cidr
from libcalico.netlink import addresses, links, monitor
from libcalico.netlink.addresses import Address
from libcalico.netlink.sockets import NETLINK_ROUTE, NetlinkSocket

log = logging.getLogger(__name__)

_NONE: frozenset[Cidr] = frozenset()
_NOBODY: Final = re.compile(r"(?!)")


class Interface(NamedTuple):
    """An interface of this host; ``is_up``: operational, as far as its driver tells."""

    addresses: frozenset[Cidr] = _NONE
    is_up: bool = True


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
        self._up: set[int] = set()
        self._told: dict[str, Interface] = {}
        self._workloads: tuple[str, ...] = ()
        self._excluded = _NOBODY
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

    def take(
        self, workloads: tuple[str, ...], excluded: re.Pattern[str] = _NOBODY
    ) -> dict[str, Interface | None]:
        """Return what changed since the last call: name → the interface, None: it is gone.

        Args:
            workloads: how the names of workload interfaces begin.
            excluded: what the names of other interfaces match that are not to be told.

        Raises:
            NetlinkError: the kernel refused to tell; what changed is told by the next call.
        """
        touched = self._follow() if self._is_known else None
        if touched is None:
            self._read()
        if touched is None or (workloads, excluded) != (self._workloads, self._excluded):
            touched = self._indexes.keys() | self._told.keys()
        self._workloads, self._excluded = workloads, excluded
        return dict(self._differences(touched))

    def _differences(self, names: Iterable[str]) -> Iterator[tuple[str, Interface | None]]:
        for name in names:
            now = self._interface(name)
            if now == self._told.get(name):
                continue
            if now is None:
                del self._told[name]
            else:
                self._told[name] = now
            yield name, now

    def _interface(self, name: str) -> Interface | None:
        index = self._indexes.get(name)
        if index is None or not self._is_told(name):
            return None
        return Interface(self._addresses.get(index, _NONE), index in self._up)

    def _is_told(self, name: str) -> bool:
        return not (name.startswith(self._workloads or ("\0",)) or self._excluded.search(name))

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
        self._up.clear()
        for link in links.list_links(self._socket):
            self._take_link(link, is_gone=False)
        for address in addresses.list_addresses(self._socket):
            self._take_address(address, is_gone=False)
        self._is_known = True

    def _take_link(self, link: links.Link, *, is_gone: bool) -> set[str]:
        """Note a link; return the names of which something may have changed."""
        old = self._names.pop(link.ifindex, None)
        (self._up.discard if is_gone or not link.flags & links.IFF_RUNNING else self._up.add)(
            link.ifindex
        )
        if old is not None and self._indexes.get(old) == link.ifindex:
            del self._indexes[old]
        if is_gone:
            self._addresses.pop(link.ifindex, None)
            return {old} if old is not None else set()
        self._names[link.ifindex] = link.name
        self._indexes[link.name] = link.ifindex
        return {link.name, old or link.name}

    def _take_address(self, address: Address, *, is_gone: bool) -> set[str]:
        there = self._addresses.get(address.link, _NONE)
        one = {address.cidr.host()}
        self._addresses[address.link] = there - one if is_gone else there | one
        name = self._names.get(address.link)
        return {name} if name is not None else set()
