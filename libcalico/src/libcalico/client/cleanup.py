"""The port to IPAM, for deletions that must give addresses back."""

from __future__ import annotations

from typing import Protocol

from libcalico.resources.endpoints import WorkloadEndpoint


class AddressCleanup(Protocol):
    """What the client asks of IPAM. ``libcalico.ipam``'s client fits."""

    def release_pool_affinities(self, cidr: str) -> None:
        """Give up the affinities of all blocks inside a pool; delete the blocks that are empty."""
        ...

    def release_endpoint(self, endpoint: WorkloadEndpoint) -> None:
        """Release the addresses of a workload endpoint."""
        ...

    def release_host(self, host: str) -> None:
        """Release a host's tunnel addresses and affinities, and delete its IPAM key."""
        ...
