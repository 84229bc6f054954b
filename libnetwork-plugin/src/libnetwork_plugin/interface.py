"""Endpoints' interfaces on the host, which Docker moves into containers itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from libcalico.errors import CalicoError
from libcalico.net.addresses import Cidr
from libcalico.netlink import links
from libcalico.netlink.sockets import NetlinkSocket
from libcalico.workload import interface
from libcalico.workload.model import Attachment

_log = logging.getLogger(__name__)


class Interfaces(Protocol):
    """What the plugin does to the host's interfaces. Every method may raise NetlinkError."""

    def make(self, attachment: Attachment, mac: bytes, cidrs: Sequence[Cidr]) -> None:
        """Make a pair on the host, its host end configured; nothing is left if that fails.

        A host end of that name from an earlier attempt is replaced.

        Args:
            attachment: says how both ends are called.
            mac: of the end that Docker moves.
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

    def make(self, attachment: Attachment, mac: bytes, cidrs: Sequence[Cidr]) -> None:
        """See :class:`Interfaces`."""
        interface.make(attachment, mac, cidrs, None)

    def remove(self, host_end: str) -> None:
        """See :class:`Interfaces`."""
        interface.remove(host_end)

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
