"""Completes what Docker does not tell a driver: networks' names, containers and their labels.

Docker's API tells them. A thread follows its events, and looks at everything whenever it has (again)
connected and every few minutes, so that nothing depends on having seen an event. Until an endpoint is
completed it has neither labels nor profile, and policy denies; the event comes before the container's
first process is started.

Whoever Docker does not know any more is removed then, too: what is left of containers that ended while
the plugin or the datastore was not there.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from libcalico.errors import (
    CalicoError,
    DatastoreError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from libcalico.resources.endpoints import WorkloadEndpoint
from libnetwork_plugin import plan
from libnetwork_plugin.addresses import Addresses
from libnetwork_plugin.docker_api import Docker, Event, Network
from libnetwork_plugin.interface import Interfaces
from libnetwork_plugin.store import Endpoints, Profiles

_log = logging.getLogger(__name__)
#: How long a container may take to start: what is younger may be unknown to Docker's API yet.
_GRACE = dt.timedelta(minutes=2)
_RETRY_S = 1.0
_AUDIT_S = 300.0
_CONNECT_S = 3.0


class Completion:
    """Follows Docker.

    Attributes:
        problem: why Docker was not followed last.

    Args:
        connect: opens Docker's API.
        driver: our name in Docker.
        endpoints: of this host.
        profiles: of the networks.
        addresses: that Docker has on this host.
        interfaces: of this host.
        now: the time, with a zone.
    """

    def __init__(
        self,
        connect: Callable[[], Docker],
        driver: str,
        endpoints: Endpoints,
        profiles: Profiles,
        addresses: Addresses,
        interfaces: Interfaces,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._connect = connect
        self._driver = driver
        self._endpoints = endpoints
        self._profiles = profiles
        self._addresses = addresses
        self._interfaces = interfaces
        self._now = now
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._docker: Docker | None = None
        self._told = ""
        self.problem = "not connected yet"

    def require(self) -> None:
        """Wait a moment for Docker's API.

        Raises:
            UnavailableError: it does not answer; the text says why.
        """
        if not self._connected.wait(_CONNECT_S):
            raise UnavailableError(
                f"{self.problem}; the names of networks and the labels of containers come from it"
            )

    def run(self) -> None:
        """Follow Docker until :meth:`stop`; whatever fails is tried again, and told once."""
        while not self._stopping.is_set():
            self.problem = self._follow_to_its_end()
            self._connected.clear()
            if not self._stopping.is_set() and self.problem != self._told:
                _log.warning("docker is not followed, trying on error=%r", self.problem)
                self._told = self.problem
            self._stopping.wait(_RETRY_S)

    def _follow_to_its_end(self) -> str:
        """Follow Docker as long as it goes well; return what ended it."""
        try:
            self._follow()
        except CalicoError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread: it must go on
            _log.exception("docker is not understood")
            return repr(error)
        return "Docker closed its stream of events"

    def stop(self) -> None:
        """End :meth:`run`, from another thread."""
        self._stopping.set()
        if self._docker is not None:
            self._docker.close()

    def _follow(self) -> None:
        docker = self._docker = self._connect()
        try:
            if self._stopping.is_set():
                return
            with docker.events(self._driver) as events:
                self._connected.set()
                self.synchronize(docker)
                _log.info("docker is followed driver=%s", self._driver)
                self._told = ""
                self._handle_all(docker, events)
        finally:
            docker.close()

    def _handle_all(self, docker: Docker, events: Iterator[Event]) -> None:
        """Handle events until there are no more, and look at everything from time to time."""
        arrived: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(events, arrived), name="events", daemon=True).start()
        audit = time.monotonic() + _AUDIT_S
        while True:
            try:
                event = arrived.get(timeout=max(0.0, audit - time.monotonic()))
            except queue.Empty:
                self.synchronize(docker)
                audit = time.monotonic() + _AUDIT_S
                continue
            if event is None:
                return
            self.handle(docker, event)

    def handle(self, docker: Docker, event: Event) -> None:
        """Do what an event asks for."""
        if event.action == "destroy":
            self._profiles.forget(event.network_id)
            return
        if event.action not in ("create", "connect"):
            return
        network = docker.network(event.network_id)
        if network is not None:
            self._complete(docker, network, self._endpoints.all())

    def synchronize(self, docker: Docker) -> None:
        """Look at all networks and endpoints, complete them, and remove what Docker does not know."""
        stored = self._endpoints.all()
        networks = docker.networks(self._driver)
        for network in networks:
            self._complete(docker, network, stored)
        self._profiles.forget_others({network.id for network in networks})
        self._remove_unknown(networks, stored)

    def _complete(
        self, docker: Docker, network: Network, stored: Iterable[WorkloadEndpoint]
    ) -> None:
        profile = plan.profile_name(network.name)
        with _on_its_own(f"Profile({profile})"):
            self._profiles.ensure(profile, network.id)
        wanted = {
            endpoint.spec.endpoint: network.containers[endpoint.spec.endpoint]
            for endpoint in stored
            if endpoint.spec.endpoint in network.containers
            and not plan.is_complete(endpoint, network.containers[endpoint.spec.endpoint], profile)
        }
        labels = docker.labels(sorted(set(wanted.values())))
        for endpoint_id, container in wanted.items():
            if container in labels:
                self._complete_endpoint(endpoint_id, container, labels[container], profile)

    def _complete_endpoint(
        self, endpoint_id: str, container: str, labels: Mapping[str, str], profile: str
    ) -> None:
        with _on_its_own(f"endpoint {endpoint_id}"), suppress(NotFoundError):
            self._endpoints.change(
                endpoint_id, lambda found: plan.completed(found, container, labels, profile)
            )
            _log.info("endpoint completed endpoint=%s container=%s", endpoint_id, container)

    def _remove_unknown(
        self, networks: Sequence[Network], stored: Sequence[WorkloadEndpoint]
    ) -> None:
        """Remove old endpoints that Docker does not know, and free old addresses that nobody has.

        An endpoint whose interface is in a container stays: another engine may have made it.
        """
        before = self._now() - _GRACE
        known = {endpoint_id for network in networks for endpoint_id in network.containers}
        kept = set[str]().union(*(network.reserved for network in networks))
        for endpoint in stored:
            if self._is_left_over(endpoint, known, before):
                _log.warning("endpoint is unknown to docker and removed endpoint=%s", endpoint.name)
                self._interfaces.remove(endpoint.spec.interface_name)
                self._endpoints.delete(endpoint.spec.endpoint)
            else:
                kept |= {cidr.address for cidr in plan.cidrs_of(endpoint)}
        self._addresses.release_others(kept, before)

    def _is_left_over(
        self, endpoint: WorkloadEndpoint, known: set[str], before: dt.datetime
    ) -> bool:
        return (
            endpoint.spec.endpoint not in known
            and plan.is_older(endpoint.metadata.creation_timestamp, before)
            and not self._interfaces.is_in_use(endpoint.spec.interface_name)
        )


@contextmanager
def _on_its_own(what: str) -> Iterator[None]:
    """Have an object that cannot be stored not keep the others from it; the next audit tries again."""
    try:
        yield
    except (ValidationError, DatastoreError) as error:
        _log.error("cannot be completed what=%r error=%r", what, str(error))


def _read(events: Iterator[Event], arrived: queue.SimpleQueue[Event | None]) -> None:
    """Pass on all events, and None behind the last."""
    try:
        for event in events:
            arrived.put(event)
    except CalicoError as error:
        _log.info("events of docker ended error=%r", str(error))
    finally:
        arrived.put(None)
