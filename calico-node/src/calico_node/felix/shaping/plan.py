"""Limits of bandwidth → token buckets, and which interface needs which. Pure.

What an endpoint receives is what the host's end of its interface sends; what it sends is redirected to a
device of its own, which sends it. Source: calico-dataplane reference, section 3.10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from calico_node.felix.messages import EndpointId, Limits, LocalEndpoint
from libcalico.netlink.qdiscs import TokenBucket

#: What is queued waits this long at most, beyond a burst.
_LATENCY_S: Final = 0.025
#: Without a burst asked for: what comes in so long, at least a few packets of the largest usual size.
_BURST_S: Final = 0.01
_LEAST_BURST: Final = 32_768
#: A bucket that does not hold one packet would pass none at all.
_LARGEST_PACKET: Final = 9_216
_MOST: Final = 0xFFFFFFFF
#: Names of the devices that send what workloads send begin so.
DEVICE_PREFIX: Final = "bwcali"


@dataclass(frozen=True, slots=True)
class Shape:
    """How fast an endpoint may receive (ingress) and send (egress); None: as fast as it goes."""

    ingress: TokenBucket | None = None
    egress: TokenBucket | None = None


def shape(endpoint: LocalEndpoint) -> Shape:
    """Return how fast an endpoint may be."""
    return Shape(bucket(endpoint.quality.ingress), bucket(endpoint.quality.egress))


def bucket(limits: Limits) -> TokenBucket | None:
    """Return the token bucket of one direction; None without a limit of bandwidth."""
    if not limits.bandwidth:
        return None
    rate = max(limits.bandwidth // 8, 1)
    default = max(int(rate * _BURST_S), _LEAST_BURST)
    burst = min(max(limits.burst // 8, _LARGEST_PACKET) if limits.burst else default, _MOST)
    limit = min(burst + int(rate * _LATENCY_S), _MOST)
    if not limits.peakrate:
        return TokenBucket(rate, burst, limit)
    return TokenBucket(
        rate, burst, limit, limits.peakrate // 8, max(limits.minburst, _LARGEST_PACKET)
    )


def device(interface: str) -> str:
    """Return the name of the device that sends what comes from a workload's interface."""
    return DEVICE_PREFIX + hashlib.sha256(interface.encode()).hexdigest()[:9]


class Wanted:
    """Interface → its shape, kept under change. Of two endpoints that claim one the lowest has it."""

    def __init__(self) -> None:
        self._endpoints: dict[EndpointId, LocalEndpoint] = {}
        self._claims: dict[str, set[EndpointId]] = {}

    def change(self, endpoints: Mapping[EndpointId, LocalEndpoint | None]) -> set[str]:
        """Take in changed endpoints (None: gone); return the interfaces to look at."""
        touched: set[str] = set()
        for endpoint_id, endpoint in endpoints.items():
            if (old := self._endpoints.pop(endpoint_id, None)) is not None:
                self._claims[old.interface].discard(endpoint_id)
                touched.add(old.interface)
            if endpoint is not None:
                self._endpoints[endpoint_id] = endpoint
                self._claims.setdefault(endpoint.interface, set()).add(endpoint_id)
                touched.add(endpoint.interface)
        for interface in touched:
            if not self._claims[interface]:
                del self._claims[interface]
        return touched

    def shape_of(self, interface: str) -> Shape:
        """Return what an interface needs."""
        claims = self._claims.get(interface)
        return shape(self._endpoints[min(claims)]) if claims else Shape()

    def devices(self) -> set[str]:
        """Return the names of the devices that are needed."""
        limited = {i for i in self._claims if self.shape_of(i).egress}
        return set(map(device, limited))
