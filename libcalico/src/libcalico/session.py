"""One connection to a datastore, from settings to a client with IPAM behind it: how scripts begin."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from libcalico.client import AddressCleanup, Client
from libcalico.datastore import config
from libcalico.datastore.backend import Backend
from libcalico.resources.endpoints import WorkloadEndpoint

_log = logging.getLogger(__name__)


@contextmanager
def connect(
    environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Iterator[Client]:
    """Yield a client of the configured datastore; leaving the block closes the connection.

    Deletions of nodes and pools give their addresses back. The connection is made when it is first
    used, so a datastore that is away is an UnavailableError of the first call.

    Args:
        environment: ``ETCD_ENDPOINTS`` and its like; the process's own if None.
        file: a CalicoAPIConfig file, which must exist; None is ``/etc/calico/calicoctl.cfg`` if it exists.
            With a file the environment does not count.

    Raises:
        ConfigError: a setting cannot be used; says which, and what to set.
    """
    settings = config.load(os.environ if environment is None else environment, file)
    endpoints = ",".join(endpoint.url for endpoint in settings.endpoints)
    _log.info("datastore endpoints=%s user=%s", endpoints, settings.username or "none")
    with config.connect(settings) as backend:
        yield Client(backend, _Ipam(backend))


class _Ipam:
    """IPAM that is loaded by the first deletion that gives addresses back: few programs make one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def release_pool_affinities(self, cidr: str) -> None:
        self._client().release_pool_affinities(cidr)

    def release_endpoint(self, endpoint: WorkloadEndpoint) -> None:
        self._client().release_endpoint(endpoint)

    def release_host(self, host: str) -> None:
        self._client().release_host(host)

    def _client(self) -> AddressCleanup:
        from libcalico.ipam import IpamClient  # noqa: PLC0415 - as the docstring says

        return IpamClient(self._backend)
