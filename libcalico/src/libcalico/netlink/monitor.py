"""What happens to links, addresses, routes, neighbours and settings, whoever does it, as typed events.

:func:`decode` is pure; :class:`Monitor` is a thin reader around it. Subscribe first, then read the state,
then follow the events: nothing is missed, though an event may tell what is known already. On
:class:`OverrunError` read the state again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from libcalico.errors import OverrunError
from libcalico.netlink import addresses, links, neighbours, netconf, netns, routes
from libcalico.netlink.addresses import Address
from libcalico.netlink.codec import Message
from libcalico.netlink.links import Link
from libcalico.netlink.neighbours import Entry
from libcalico.netlink.netconf import Settings
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NETLINK_ROUTE, RECEIVE_BYTES, NetlinkSocket

# Groups as bits, to be combined. Source: include/uapi/linux/rtnetlink.h, RTNLGRP_...
LINKS: Final = 1 << 0
NEIGHBOURS: Final = 1 << 2
ADDRESSES: Final = 1 << 4 | 1 << 8
ROUTES: Final = 1 << 6 | 1 << 10
SETTINGS: Final = 1 << 23 | 1 << 24
ALL: Final = LINKS | NEIGHBOURS | ADDRESSES | ROUTES | SETTINGS

_MOST_DATAGRAMS: Final = 1024  # per read, so that a flood cannot hold up an event loop


class LinkEvent(NamedTuple):
    """A link appeared, changed, or is gone. A bridge's news about its ports is not told."""

    link: Link
    is_gone: bool


class AddressEvent(NamedTuple):
    """An address was added, changed or removed."""

    address: Address
    is_gone: bool


class RouteEvent(NamedTuple):
    """A route was added, replaced or removed.

    Routes that go because their interface went down or away are not told for IPv4: watch links, too.
    """

    route: Route
    is_gone: bool


class NeighbourEvent(NamedTuple):
    """A neighbour or forwarding entry was added, changed or removed."""

    entry: Entry
    is_gone: bool


class SettingsEvent(NamedTuple):
    """Settings of an interface were changed, those that the kernel announces."""

    settings: Settings


Event = LinkEvent | AddressEvent | RouteEvent | NeighbourEvent | SettingsEvent


class Monitor:
    """A socket that hears of changes. Close it, or use it as a context manager.

    In an event loop: ``loop.add_reader(monitor.fileno(), ...)`` and :meth:`read` when readable.
    """

    def __init__(
        self,
        groups: int = ALL,
        where: netns.Netns | str | os.PathLike[str] | None = None,
        *,
        receive_bytes: int = RECEIVE_BYTES,
    ) -> None:
        """Subscribe.

        Args:
            groups: LINKS, ADDRESSES, ROUTES, NEIGHBOURS, SETTINGS, combined.
            where: namespace; the caller's own when None.
            receive_bytes: how much may wait unread before events are lost.

        Raises:
            NetlinkError: the namespace does not exist, or the socket cannot be opened.
        """
        if where is None:
            self._socket = NetlinkSocket(NETLINK_ROUTE, groups, receive_bytes=receive_bytes)
        else:
            self._socket = netns.socket_in(
                where, NETLINK_ROUTE, groups, receive_bytes=receive_bytes
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor, readable when events wait."""
        return self._socket.fileno()

    def read(self, timeout_s: float | None = 0) -> list[Event]:
        """Return the events that wait, in order; an empty list if there are none in time.

        After a great many it returns though more wait; the file descriptor is then still readable.

        Args:
            timeout_s: how long to wait for the first; 0 not at all, None for ever.

        Raises:
            OverrunError: events were lost: read the state anew. Events after it can be read.
        """
        try:
            messages = self._socket.receive(timeout_s)
            found = list(messages)
            for _ in range(_MOST_DATAGRAMS):
                if not messages:
                    break
                messages = self._socket.receive()
                found += messages
        except OverrunError:
            self._socket.discard()
            raise
        return decode(found)


def decode(messages: Iterable[Message]) -> list[Event]:
    """Turn rtnetlink notifications into events; what they do not cover is left out.

    Raises:
        NetlinkError: one is malformed (EBADMSG).
    """
    events = (_decode(message) for message in messages)
    return [event for event in events if event is not None]


def _decode(message: Message) -> Event | None:
    kind = message.type
    if kind in (links.RTM_NEWLINK, links.RTM_DELLINK):
        if message.payload[:1] != b"\0":  # of the bridge family
            return None
        return LinkEvent(links.parse_link(message), kind == links.RTM_DELLINK)
    if kind in (addresses.RTM_NEWADDR, addresses.RTM_DELADDR):
        address = addresses.parse_address(message)
        return address and AddressEvent(address, kind == addresses.RTM_DELADDR)
    if kind in (routes.RTM_NEWROUTE, routes.RTM_DELROUTE):
        route = routes.parse_route(message)
        return route and RouteEvent(route, kind == routes.RTM_DELROUTE)
    if kind in (neighbours.RTM_NEWNEIGH, neighbours.RTM_DELNEIGH):
        entry = neighbours.parse_neighbour(message)
        return entry and NeighbourEvent(entry, kind == neighbours.RTM_DELNEIGH)
    if kind == netconf.RTM_NEWNETCONF:
        settings = netconf.parse_settings(message)
        return settings and SettingsEvent(settings)
    return None
