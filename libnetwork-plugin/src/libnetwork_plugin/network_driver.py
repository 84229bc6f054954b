"""The network driver's calls: endpoints and their interfaces for Docker's containers.

Order of a container's start: ``CreateEndpoint`` stores the endpoint, ``Join`` makes its interface, which
Docker moves into the container; then Docker's API tells who the container is (:mod:`.completion`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final, Literal

from libcalico.errors import NotFoundError
from libcalico.resources.endpoints import WorkloadEndpoint
from libnetwork_plugin import plan, wire
from libnetwork_plugin.interface import Interfaces, remove_quietly
from libnetwork_plugin.store import Endpoints, Profiles

Scope = Literal["local", "global"]

_log = logging.getLogger(__name__)
_NOTHING: Final[dict[str, Any]] = {}


class NetworkDriver:
    """Answers the network driver's calls. Thread-safe. Every method may raise UnavailableError.

    Args:
        endpoints: of this host.
        profiles: of the networks.
        interfaces: of this host.
        require_docker: raises UnavailableError if Docker's API cannot be asked about networks.
        scope: what Docker is told: ``global`` if its daemons share a store of networks.
        mtu: of containers' interfaces, in bytes.
        interface_prefix: what Felix knows workload interfaces by.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        profiles: Profiles,
        interfaces: Interfaces,
        *,
        require_docker: Callable[[], None],
        scope: Scope = "local",
        mtu: int = 1500,
        interface_prefix: str = "cali",
    ) -> None:
        self._endpoints = endpoints
        self._profiles = profiles
        self._interfaces = interfaces
        self._require_docker = require_docker
        self._scope = scope
        self._mtu = mtu
        self._prefix = interface_prefix

    @property
    def calls(self) -> Mapping[str, Callable[[Any], dict[str, Any]]]:
        """Method as in the URL → what answers it."""
        return {
            "NetworkDriver.GetCapabilities": self.capabilities,
            "NetworkDriver.CreateNetwork": self.create_network,
            "NetworkDriver.DeleteNetwork": self.delete_network,
            "NetworkDriver.CreateEndpoint": self.create_endpoint,
            "NetworkDriver.EndpointOperInfo": self.endpoint_info,
            "NetworkDriver.DeleteEndpoint": self.delete_endpoint,
            "NetworkDriver.Join": self.join,
            "NetworkDriver.Leave": self.leave,
            "NetworkDriver.ProgramExternalConnectivity": self.program_connectivity,
            "NetworkDriver.RevokeExternalConnectivity": self.ignore,
            "NetworkDriver.DiscoverNew": self.ignore,
            "NetworkDriver.DiscoverDelete": self.ignore,
        }

    def capabilities(self, request: wire.Request) -> dict[str, Any]:
        """Say whether networks are this host's or the cluster's."""
        del request
        return {"Scope": self._scope}

    def ignore(self, request: wire.Request) -> dict[str, Any]:
        """Answer a call that there is nothing to do for."""
        del request
        return _NOTHING

    def create_network(self, request: wire.CreateNetwork) -> dict[str, Any]:
        """Accept a network. Its name, and so its profile, is known only when Docker announces it.

        Raises:
            ValidationError: it cannot work.
            UnavailableError: Docker's API does not answer, so that its name would never be known.
        """
        plan.check_network(request)
        self._require_docker()
        for name in plan.unknown_options(request):
            _log.warning(
                "option of a network is ignored option=%s network=%s", name, request.network_id
            )
        return _NOTHING

    def delete_network(self, request: wire.DeleteNetwork) -> dict[str, Any]:
        """Delete the network's profile, unless another network uses it."""
        self._profiles.forget(request.network_id)
        return _NOTHING

    def create_endpoint(self, request: wire.CreateEndpoint) -> dict[str, Any]:
        """Store the endpoint.

        Raises:
            ValidationError: the request lacks something.
        """
        who = self._endpoints.identity(request.endpoint_id)
        endpoint = plan.endpoint(request, who, self._host_end(request.endpoint_id))
        self._endpoints.add(endpoint)
        return {"Interface": plan.created_interface(request, endpoint)}

    def _host_end(self, endpoint_id: str) -> str:
        return plan.host_interface(endpoint_id, self._prefix)

    def endpoint_info(self, request: wire.EndpointRequest) -> dict[str, Any]:
        """Say nothing more about an endpoint than Docker knows."""
        del request
        return {"Value": {}}

    def join(self, request: wire.Join) -> dict[str, Any]:
        """Make the endpoint's interface for Docker to move into the container.

        Raises:
            NotFoundError: there is no such endpoint.
            ValidationError: the container is on another of our networks.
            NetlinkError: the kernel refused.
        """
        known = self._endpoints.all()
        plan.refuse_second(request.endpoint_id, request.sandbox_key, known)
        ours = (one for one in known if one.spec.endpoint == request.endpoint_id)
        stored = next(ours, None) or self._endpoints.get(request.endpoint_id)
        with ExitStack() as undo:
            self._make_interface(stored)
            undo.callback(remove_quietly, self._interfaces, stored.spec.interface_name)
            self._endpoints.change(
                request.endpoint_id, lambda found: plan.in_sandbox(found, request.sandbox_key)
            )
            undo.pop_all()
        return plan.joined(request.endpoint_id, plan.cidrs_of(stored))

    def _make_interface(self, stored: WorkloadEndpoint) -> None:
        attachment = plan.attachment(
            self._endpoints.identity(stored.spec.endpoint), stored.spec.interface_name, self._mtu
        )
        self._interfaces.make(attachment, plan.mac_bytes(stored), plan.cidrs_of(stored))

    def leave(self, request: wire.EndpointRequest) -> dict[str, Any]:
        """Remove the interface, also without a datastore: the container is off the network at once."""
        self._interfaces.remove(self._host_end(request.endpoint_id))
        with suppress(NotFoundError):
            self._endpoints.change(request.endpoint_id, lambda found: plan.in_sandbox(found, ""))
        return _NOTHING

    def delete_endpoint(self, request: wire.EndpointRequest) -> dict[str, Any]:
        """Remove the interface, if that is still there, and the endpoint."""
        self._interfaces.remove(self._host_end(request.endpoint_id))
        self._endpoints.delete(request.endpoint_id)
        return _NOTHING

    def program_connectivity(self, request: wire.ExternalConnectivity) -> dict[str, Any]:
        """Publish no port: a container's address is routed, and policy says who reaches it."""
        ports = plan.published_ports(request)
        if ports:
            _log.warning("ports are not published endpoint=%s ports=%s", request.endpoint_id, ports)
        return _NOTHING
