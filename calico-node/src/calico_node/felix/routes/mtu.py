"""How large packets of workloads can be. Pure.

Source: calico-dataplane reference, sections 3.3, 3.4 and 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

#: Bytes that VXLAN adds, by the outer packet's IP version.
VXLAN_OVERHEAD: Final = {4: 50, 6: 70}
#: Bytes that IPIP adds.
IPIP_OVERHEAD: Final = 20
#: What any network carries, for a host none of whose interfaces is known as its own.
FALLBACK: Final = 1460


def of_host(links: Iterable[tuple[str, int]], pattern: str) -> int:
    """Return the smallest MTU of the host's own interfaces.

    Args:
        links: name and MTU of each interface.
        pattern: what the names of the host's own interfaces match.
    """
    return min((size for name, size in links if is_own(name, pattern)), default=FALLBACK)


def is_own(name: str, pattern: str) -> bool:
    """Whether an interface is one of the host's own, to the network."""
    return re.search(pattern, name) is not None


def of_vxlan(version: int, host_mtu: int, configured: Mapping[int, int]) -> int:
    """Return the MTU of a VXLAN device; what is configured (not 0) counts."""
    return configured.get(version, 0) or host_mtu - VXLAN_OVERHEAD[version]


def of_ipip(host_mtu: int, configured: int) -> int:
    """Return the MTU of the IPIP device; what is configured (not 0) counts."""
    return configured or host_mtu - IPIP_OVERHEAD


def of_workloads(host_mtu: int, tunnels: Collection[int]) -> int:
    """Return the MTU for workloads' interfaces: what every tunnel in use carries, or what the host does."""
    return min(tunnels, default=host_mtu)
