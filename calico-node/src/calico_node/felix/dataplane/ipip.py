"""Keeps this host's IPIP device as the pools want it. Synchronous.

Not every kernel has such devices. Where they are missing that is told, once, and looked at again every half a
minute: each attempt lets the kernel look for its module.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Sequence
from typing import Final

from calico_node.felix.messages import IPIP_DEVICE
from calico_node.felix.routes import ipip
from calico_node.felix.routes.ipip import Device
from calico_node.felix.routes.tunnels import has_address
from libcalico.errors import NetlinkError
from libcalico.netlink import links
from libcalico.netlink.addresses import Address
from libcalico.netlink.links import Link
from libcalico.netlink.sockets import NetlinkSocket

#: Seconds after which a kernel without IPIP devices is asked again.
RETRY_S: Final = 30.0
#: What deleting is refused with that is gone already, with its device or without.
_ABSENT: Final = (errno.ENODEV, errno.EADDRNOTAVAIL)


class IpipDevice:
    """The device in the network namespace of a socket.

    Args:
        retry_s: seconds after which a kernel without such devices is asked again.

    Attributes:
        index: of the device while it is ours; 0 while it is not.
    """

    def __init__(self, socket: NetlinkSocket, *, retry_s: float = RETRY_S) -> None:
        self.index = 0
        self._retry_s = retry_s
        self._socket = socket
        self._retry_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again whether the kernel has such devices."""
        return self._retry_at is not None and time.monotonic() >= self._retry_at

    def give_back(self, link: Link | None, held: Collection[Address]) -> None:
        """No pool needs the device.

        Raises:
            NetlinkError: the kernel refused.
        """
        self.index, self._retry_at = 0, None
        if requests := ipip.plan_return(link, _of(link, held)):
            self._socket.request(*requests, tolerated=_ABSENT)

    def keep(
        self, wanted: Device, link: Link | None, held: Collection[Address], pools: Sequence[str]
    ) -> str:
        """Make the device be as wanted.

        Args:
            link: what has its name now.
            held: addresses of all links.
            pools: names of those that need it.

        Returns:
            Why it cannot be; empty if it is.

        Raises:
            NetlinkError: the kernel refused.
        """
        self.index = 0
        if problem := ipip.stranger(link):
            return problem
        if not self._exists(wanted, link):
            return ipip.missing(pools)
        link = links.get_link(self._socket, IPIP_DEVICE)
        if link is not None:
            self._socket.request(*ipip.plan_address(wanted, link, _of(link, held)))
            self.index = link.ifindex
        return ""

    def lacks_address(self, wanted: Device, held: Collection[Address]) -> bool:
        """Whether the device lacked its address, as read; with its last one it has lost its routes, too."""
        return bool(self.index) and not has_address(
            wanted.address, [a for a in held if a.link == self.index]
        )

    def _exists(self, wanted: Device, link: Link | None) -> bool:
        """Make the device, unless the kernel has no such ones; the kernel's own may appear meanwhile."""
        if link is None and self._retry_at is not None and not self.is_due:
            return False
        try:
            self._socket.request(*ipip.plan_device(wanted, link), tolerated=(errno.EEXIST,))
        except NetlinkError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._retry_at = time.monotonic() + self._retry_s
            return False
        self._retry_at = None
        return True


def _of(link: Link | None, held: Collection[Address]) -> list[Address]:
    return [address for address in held if link is not None and address.link == link.ifindex]
