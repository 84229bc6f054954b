"""The endpoints of this host: which profiles they use, and what the dataplane is told of them."""

from __future__ import annotations

import re
from typing import Final

from calico_node.felix.calc.active import Users
from calico_node.felix.calc.decode import Endpoint
from calico_node.felix.calc.policies import PolicyResolver
from calico_node.felix.calc.told import Told
from calico_node.felix.messages import EndpointId, LocalEndpoint
from libcalico.errors import ValidationError
from libcalico.net.macs import parse_mac

#: What the kernel and our rules take for an interface's name.
_INTERFACE: Final = re.compile(r"[a-zA-Z0-9_.-]{1,15}")


class LocalEndpoints:
    """Keeps the endpoints that are on this host."""

    def __init__(self, resolver: PolicyResolver, profiles: Users[str]) -> None:
        self._resolver = resolver
        self._profiles = profiles
        self._endpoints: dict[EndpointId, Endpoint] = {}
        self._told: Told[EndpointId, LocalEndpoint] = Told()

    def put(self, endpoint_id: EndpointId, endpoint: Endpoint) -> str:
        """An endpoint is on this host; return why it cannot be connected, or nothing."""
        if problem := _problem_with(endpoint):
            self.remove(endpoint_id)
            return f"{problem}; the endpoint is not connected"
        old = self._endpoints.get(endpoint_id)
        self._profiles.change(old.profiles if old is not None else (), endpoint.profiles)
        self._endpoints[endpoint_id] = endpoint
        self._resolver.on_endpoint(endpoint_id, endpoint.labels, endpoint.profiles)
        return ""

    def remove(self, endpoint_id: EndpointId) -> None:
        """An endpoint is not on this host any more; one that never was is passed over."""
        endpoint = self._endpoints.pop(endpoint_id, None)
        if endpoint is not None:
            self._profiles.change(endpoint.profiles, ())
            self._resolver.on_endpoint_removed(endpoint_id)

    def settle(self) -> dict[EndpointId, LocalEndpoint | None]:
        """Return what is to be told anew since the last call."""
        for endpoint_id in self._resolver.take_dirty():
            self._told.put(endpoint_id, self._resolved(endpoint_id))
        return self._told.take()

    def _resolved(self, endpoint_id: EndpointId) -> LocalEndpoint | None:
        endpoint = self._endpoints.get(endpoint_id)
        if endpoint is None:
            return None
        return LocalEndpoint(
            endpoint.interface,
            endpoint.owner.nets,
            endpoint.mac,
            self._resolver.policies_of(endpoint_id),
            endpoint.allowed_sources,
            endpoint.floating,
            endpoint.quality,
        )


def _problem_with(endpoint: Endpoint) -> str:
    """Names go into files and sysctls, so that ``..`` must not be one."""
    name = endpoint.interface
    if not _INTERFACE.fullmatch(name) or not name.strip("."):
        return f"spec.interfaceName: {name!r} is no interface's name"
    try:
        if endpoint.mac:
            parse_mac(endpoint.mac)
    except ValidationError as error:
        return f"spec.mac: {error}"
    return ""
