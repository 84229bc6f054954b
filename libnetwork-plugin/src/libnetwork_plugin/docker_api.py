"""Docker's API, as far as the plugin asks it: networks, who is on them, containers' labels, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import docker
import docker.errors
import requests.exceptions
from docker.types.daemon import CancellableStream

from libcalico.errors import CalicoError, UnavailableError

DEFAULT_URL = "unix:///var/run/docker.sock"
_TIMEOUT_S = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of this driver.

    Attributes:
        containers: endpoint id → container id, of running containers.
        reserved: addresses of the network itself: gateways and auxiliary ones.
    """

    id: str
    name: str
    containers: Mapping[str, str] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a network: ``create``, ``connect``, ``disconnect``, ``destroy``..."""

    action: str
    network_id: str


class Docker(Protocol):
    """What the plugin asks. Every method raises UnavailableError if Docker does not answer."""

    def networks(self, driver: str) -> Sequence[Network]:
        """Return all networks of a driver."""
        ...

    def network(self, network_id: str) -> Network | None:
        """Return a network, None if it is gone."""
        ...

    def labels(self, container_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return container id → labels, of those containers that exist."""
        ...

    @contextmanager
    def events(self, driver: str) -> Iterator[Iterator[Event]]:
        """Yield the events of a driver's networks from now on, until Docker ends or :meth:`close`."""
        ...

    def close(self) -> None:
        """Release connections, which ends :meth:`events`; from any thread."""
        ...


class DockerApi:
    """A Docker engine.

    Args:
        url: such as ``unix:///var/run/docker.sock``.

    Raises:
        UnavailableError: it does not answer.
    """

    def __init__(self, url: str = DEFAULT_URL) -> None:
        self._url = url
        with self._translated():
            self._client = docker.APIClient(base_url=url, version="auto", timeout=_TIMEOUT_S)
        self._streams: list[CancellableStream] = []

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except CalicoError:
            raise
        except (
            docker.errors.DockerException,
            requests.exceptions.RequestException,
            OSError,
        ) as error:
            raise UnavailableError(f"Docker's API at {self._url}: {error}") from error

    def networks(self, driver: str) -> list[Network]:
        """See :class:`Docker`."""
        with self._translated():
            listed = self._client.networks(filters={"driver": driver})
        found = (self.network(one["Id"]) for one in listed if one["Driver"] == driver)
        return [network for network in found if network is not None]

    def network(self, network_id: str) -> Network | None:
        """See :class:`Docker`."""
        with self._translated():
            try:
                return parse_network(self._client.inspect_network(network_id))
            except docker.errors.NotFound:
                return None

    def labels(self, container_ids: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """See :class:`Docker`."""
        if not container_ids:
            return {}
        with self._translated():
            wanted = {"id": list(container_ids)}
            listed = self._client.containers(all=True, filters=wanted)
        return {one["Id"]: one.get("Labels") or {} for one in listed}

    @contextmanager
    def events(self, driver: str) -> Iterator[Iterator[Event]]:
        """See :class:`Docker`."""
        with self._translated():
            stream = self._client.events(filters={"type": "network"}, decode=True)
        self._streams.append(stream)
        yield self._read(stream, driver)

    def _read(self, stream: CancellableStream, driver: str) -> Iterator[Event]:
        with self._translated():
            for raw in stream:
                event = parse_event(raw, driver)
                if event is not None:
                    yield event

    def close(self) -> None:
        """See :class:`Docker`."""
        while self._streams:
            with suppress(OSError):  # Docker was faster
                self._streams.pop().close()
        self._client.close()


def parse_network(raw: Mapping[str, Any]) -> Network:
    """Read what Docker says about a network. Endpoints of other hosts (``ep-...``) are left out."""
    containers = {
        one["EndpointID"]: container
        for container, one in (raw.get("Containers") or {}).items()
        if not container.startswith("ep-")
    }
    reserved: set[str] = set()
    for config in (raw.get("IPAM") or {}).get("Config") or ():
        reserved |= {config.get("Gateway") or ""} | set(
            (config.get("AuxiliaryAddresses") or {}).values()
        )
    addresses = frozenset(text.partition("/")[0] for text in reserved if text)
    return Network(id=raw["Id"], name=raw["Name"], containers=containers, reserved=addresses)


def parse_event(raw: Mapping[str, Any], driver: str) -> Event | None:
    """Read an event; None if it is not about a network of that driver."""
    actor = raw.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    if raw.get("Type") != "network" or attributes.get("type") != driver:
        return None
    return Event(str(raw.get("Action", "")), str(actor.get("ID", "")))
