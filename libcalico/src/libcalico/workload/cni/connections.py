"""Datastores by their settings, opened once and kept warm: a resident server answers many networks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from libcalico.client import Client
from libcalico.datastore import config
from libcalico.datastore.backend import Backend
from libcalico.datastore.config import DatastoreConfig
from libcalico.errors import ConfigError, NotFoundError
from libcalico.ipam import IpamClient
from libcalico.workload import status
from libcalico.workload.apply import Workloads
from libcalico.workload.cni.model import NetConf


class Connections:
    """Thread-safe.

    Args:
        default: settings for networks that name no datastore.
        open_backend: opens a datastore.
        status_directory: where Felix reports, for networks that name no other place.
    """

    def __init__(
        self,
        default: Callable[[], DatastoreConfig],
        open_backend: Callable[[DatastoreConfig], Backend] = config.connect,
        status_directory: Path = status.DEFAULT_DIRECTORY,
    ) -> None:
        self._default = default
        self._open_backend = open_backend
        self._status_directory = status_directory
        self._lock = threading.Lock()
        self._opened: dict[DatastoreConfig, tuple[Client, IpamClient]] = {}

    def workloads(self, conf: NetConf) -> Workloads:
        """Return what attaches workloads of a network.

        Raises:
            ConfigError: its datastore settings cannot be used.
        """
        client, ipam = self._connect(self._settings(conf))
        directory = Path(conf.status_directory) if conf.status_directory else self._status_directory
        return Workloads(client, ipam, directory)

    def _settings(self, conf: NetConf) -> DatastoreConfig:
        if not {"ETCD_ENDPOINTS", "ETCD_DISCOVERY_SRV"} & conf.etcd.keys():
            return self._default()
        try:
            return config.from_environment(conf.etcd)
        except ConfigError as error:
            text = str(error).replace("environment: ETCD_", "network configuration: ETCD_")
            raise ConfigError(text) from error

    def _connect(self, settings: DatastoreConfig) -> tuple[Client, IpamClient]:
        with self._lock:
            if settings not in self._opened:
                backend = self._open_backend(settings)
                ipam = IpamClient(backend)
                self._opened[settings] = (Client(backend, addresses=ipam), ipam)
            return self._opened[settings]

    def warm_up(self) -> None:
        """Open the datastore of networks that name none, so that the first call need not.

        Raises:
            CalicoError: it cannot be used, or not now; calls will say the same.
        """
        client, _ = self._connect(self._default())
        with suppress(NotFoundError):
            client.clusterinformations.get("default")

    def close(self) -> None:
        """Close all datastores."""
        with self._lock:
            opened, self._opened = self._opened, {}
        for client, _ in opened.values():
            client.backend.close()
