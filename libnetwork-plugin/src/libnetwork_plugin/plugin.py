"""Puts the plugin together, and runs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flask import Flask

from libcalico.client import Client
from libcalico.datastore import config
from libcalico.datastore.backend import Backend
from libcalico.ipam import IpamClient
from libnetwork_plugin import host
from libnetwork_plugin.addresses import Addresses
from libnetwork_plugin.app import create_app
from libnetwork_plugin.completion import Completion
from libnetwork_plugin.docker_api import Docker, DockerApi
from libnetwork_plugin.interface import HostInterfaces, Interfaces
from libnetwork_plugin.ipam_driver import IpamDriver
from libnetwork_plugin.network_driver import NetworkDriver, Scope
from libnetwork_plugin.server import Server
from libnetwork_plugin.store import Endpoints, Profiles

_log = logging.getLogger(__name__)
_STOP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the plugin is to run.

    Attributes:
        socket: where Docker finds it; its name without suffix is the driver's.
        docker_url: Docker's API.
        namespace: of the workload endpoints.
        scope: of networks, as Docker is told.
        node: the host's name in Calico.
        mtu: of containers' interfaces, in bytes.
        interface_prefix: as in Felix's InterfacePrefix.
    """

    socket: Path
    docker_url: str
    namespace: str
    scope: Scope
    node: str
    mtu: int
    interface_prefix: str


def assemble(
    settings: Settings, backend: Backend, connect: Callable[[], Docker], interfaces: Interfaces
) -> tuple[Flask, Completion]:
    """Return the application that answers Docker, and what completes the answers from Docker's API."""
    ipam = IpamClient(backend)
    client = Client(backend, addresses=ipam)
    endpoints = Endpoints(client, settings.node, settings.namespace)
    profiles = Profiles(client, settings.node)
    addresses = Addresses(ipam, endpoints)
    driver_name = settings.socket.stem
    completion = Completion(connect, driver_name, endpoints, profiles, addresses, interfaces)
    network = NetworkDriver(
        endpoints,
        profiles,
        interfaces,
        require_docker=completion.require,
        scope=settings.scope,
        mtu=settings.mtu,
        interface_prefix=settings.interface_prefix,
    )
    return create_app(network, IpamDriver(client, addresses)), completion


def serve(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        ConfigError: the datastore's settings or the socket cannot be used.
    """
    with config.connect(config.load(environ)) as backend:
        connect = partial(DockerApi, settings.docker_url)
        app, completion = assemble(settings, backend, connect, HostInterfaces())
        with Server(app, settings.socket) as server:
            server.stop_on_signals()
            follower = threading.Thread(target=completion.run, name="completion", daemon=True)
            follower.start()
            _log.info("plugin serves node=%s driver=%s", settings.node, settings.socket.stem)
            server.serve()
            completion.stop()
            follower.join(_STOP_S)


def node_and_mtu(node: str, mtu: int, environ: Mapping[str, str]) -> tuple[str, int]:
    """Return the host's name and MTU: those given, else those of calico-node on this host."""
    return node.strip().lower() or host.node_name(environ), mtu or host.mtu()
