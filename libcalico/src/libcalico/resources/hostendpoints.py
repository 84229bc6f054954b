"""HostEndpoint: one interface of a host, or all of them, to which policy is to apply."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import number_if_numeric
from libcalico.resources.policy import Protocol

#: As an interface's name: all interfaces of the host that have no host endpoint of their own.
ALL_INTERFACES: Final = "*"


class HostPort(Model, omit_defaults=False):
    """A named port of a host endpoint."""

    name: str
    protocol: Protocol
    port: int

    def __post_init__(self) -> None:
        self.protocol = number_if_numeric(self.protocol)


class HostEndpointSpec(Model):
    """Spec of a HostEndpoint; without ``interface_name`` the addresses say which interface is meant."""

    node: str = ""
    interface_name: str = ""
    expected_ips: list[str] = field(default_factory=list, name="expectedIPs")
    profiles: list[str] = []
    ports: list[HostPort] = []


class HostEndpoint(Resource, tag="HostEndpoint"):
    """An interface of a node, protected by policy."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="HostEndpoint", plural="hostendpoints", aliases=("hep", "heps")
    )
    spec: HostEndpointSpec = field(default_factory=HostEndpointSpec)
