"""Has the kernel queue what workloads receive and send, where they have a limit. Synchronous.

Ours are token buckets with our handle, devices with our name's beginning, and what redirects to them. What
another program has put on an interface is left alone: then the endpoint is not limited, and a warning tells.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Mapping
from typing import Final

from calico_node.felix.messages import EndpointId, LocalEndpoint
from calico_node.felix.shaping.plan import DEVICE_PREFIX, Shape, Wanted, device
from libcalico.errors import NetlinkError
from libcalico.netlink import links, qdiscs
from libcalico.netlink.qdiscs import INGRESS, ROOT, TokenBucket
from libcalico.netlink.sockets import NetlinkSocket

log = logging.getLogger(__name__)

_HANDLE: Final = 0xCA110000
_NOTHING: Final = Shape()


class Shaper:
    """Bandwidth in the network namespace in which this was made."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket()
        self._wanted = Wanted()
        self._done: dict[str, tuple[int, Shape]] = {}
        self._failed: set[str] = set()

    def close(self) -> None:
        """Close the socket. Limits stay."""
        self._socket.close()

    def start(self) -> None:
        """Remove what a previous run left and nobody needs.

        Raises:
            NetlinkError: the kernel refused.
        """
        there = links.list_links(self._socket)
        buckets = {q.ifindex for q in qdiscs.list_qdiscs(self._socket) if q.handle == _HANDLE}
        needed = self._wanted.devices()
        devices = {link.name: link.ifindex for link in there if link.name.startswith(DEVICE_PREFIX)}
        stale = {name: index for name, index in devices.items() if name not in needed}
        for link in there:
            if device(link.name) in stale:
                qdiscs.delete(self._socket, link.ifindex, INGRESS)
            is_limited = link.name in devices or self._wanted.shape_of(link.name).ingress
            if link.ifindex in buckets and not is_limited:
                qdiscs.delete(self._socket, link.ifindex, ROOT)
        for index in stale.values():
            links.delete_link(self._socket, index)

    def apply(self, endpoints: Mapping[EndpointId, LocalEndpoint | None]) -> None:
        """Take in changed endpoints, and limit those whose interfaces are there.

        What the kernel refuses is logged and tried again by :meth:`retry`.
        """
        self.refresh(self._wanted.change(endpoints))

    def refresh(self, interfaces: Iterable[str]) -> None:
        """Look at interfaces that came, went or changed."""
        for interface in interfaces:
            try:
                self._settle(interface)
                self._failed.discard(interface)
            except NetlinkError as error:
                if interface not in self._failed:
                    log.warning("cannot limit bandwidth interface=%s error=%s", interface, error)
                self._failed.add(interface)

    def retry(self) -> None:
        """Try what failed again."""
        self.refresh(list(self._failed))

    def _settle(self, interface: str) -> None:
        wanted = self._wanted.shape_of(interface)
        if wanted == _NOTHING and interface not in self._done:
            return
        link = links.get_link(self._socket, interface)
        if link is None or wanted == _NOTHING:
            if link is not None:
                self._receive_freely(link.ifindex)
            self._send_freely(None if link is None else link.ifindex, interface)
            self._done.pop(interface, None)
            return
        if self._done.get(interface) == (link.ifindex, wanted):
            return
        self._done[interface] = link.ifindex, _NOTHING
        self._limit_receiving(link.ifindex, wanted.ingress)
        self._limit_sending(link.ifindex, interface, wanted.egress)
        self._done[interface] = link.ifindex, wanted

    def _limit_receiving(self, ifindex: int, bucket: TokenBucket | None) -> None:
        if bucket is None:
            self._receive_freely(ifindex)
            return
        handle = self._handle_at(ifindex, ROOT)
        if handle not in (0, _HANDLE):
            raise NetlinkError(
                "another program queues what the workload receives; remove its qdisc", errno.EEXIST
            )
        self._socket.request(qdiscs.encode_bucket(ifindex, _HANDLE, bucket))

    def _receive_freely(self, ifindex: int) -> None:
        if self._handle_at(ifindex, ROOT) == _HANDLE:
            qdiscs.delete(self._socket, ifindex, ROOT)

    def _limit_sending(self, ifindex: int, interface: str, bucket: TokenBucket | None) -> None:
        if bucket is None:
            self._send_freely(ifindex, interface)
            return
        name = device(interface)
        own = links.get_link(self._socket, name)
        if own is None:
            if self._handle_at(ifindex, INGRESS):
                raise NetlinkError(
                    "another program filters what the workload sends; remove its qdisc",
                    errno.EEXIST,
                )
            self._socket.request(links.encode_ifb(name))
            own = links.get_link(self._socket, name)
        if own is None:
            raise NetlinkError(f"device {name} vanished", errno.ENODEV)
        self._socket.request(qdiscs.encode_bucket(own.ifindex, _HANDLE, bucket))
        qdiscs.delete(self._socket, ifindex, INGRESS)
        self._socket.request(
            qdiscs.encode_ingress(ifindex), qdiscs.encode_redirect(ifindex, own.ifindex)
        )

    def _send_freely(self, ifindex: int | None, interface: str) -> None:
        own = links.get_link(self._socket, device(interface))
        if own is None:
            return
        if ifindex is not None:
            qdiscs.delete(self._socket, ifindex, INGRESS)
        links.delete_link(self._socket, own.ifindex)

    def _handle_at(self, ifindex: int, parent: int) -> int:
        """Return the number of the discipline there; 0 if there is none, or the kernel's own."""
        found = (q.handle for q in qdiscs.list_qdiscs(self._socket, ifindex) if q.parent == parent)
        return next(found, 0)
