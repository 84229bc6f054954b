"""Requests that Docker sends to a remote network or IPAM driver, and the replies it expects.

Docker sends JSON without a content type, and nothing at all for requests without arguments. Field names
are Docker's. Source: requests recorded from Docker 20.10 (platform reference, section 3) and the remote
driver documents of moby/libnetwork.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from libcalico.errors import ValidationError

ACTIVATE = "Plugin.Activate"


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A request without arguments, and the base of all others."""


class RequestPool(Request, frozen=True, kw_only=True, rename="pascal"):
    """IPAM: which pool is this network to use? Empty ``pool``: choose one."""

    address_space: str = ""
    pool: str = ""
    sub_pool: str = ""
    options: dict[str, str] | None = None
    v6: bool = msgspec.field(default=False, name="V6")


class ReleasePool(Request, frozen=True, kw_only=True, rename="pascal"):
    """IPAM: the network is gone."""

    pool_id: str = msgspec.field(name="PoolID")


class RequestAddress(Request, frozen=True, kw_only=True, rename="pascal"):
    """IPAM: assign an address of a pool. Empty ``address``: choose one."""

    pool_id: str = msgspec.field(name="PoolID")
    address: str = ""
    options: dict[str, str] | None = None


class ReleaseAddress(Request, frozen=True, kw_only=True, rename="pascal"):
    """IPAM: the address, without prefix length, is no longer used."""

    pool_id: str = msgspec.field(name="PoolID")
    address: str = ""


class IPAMData(Request, frozen=True, kw_only=True, rename="pascal"):
    """Addressing of a network."""

    address_space: str = ""
    pool: str = ""
    gateway: str = ""
    aux_addresses: dict[str, str] | None = None


class CreateNetwork(Request, frozen=True, kw_only=True, rename="pascal"):
    """Network: a network was created on this host."""

    network_id: str = msgspec.field(name="NetworkID")
    options: dict[str, Any] | None = None
    ipv4_data: tuple[IPAMData, ...] | None = msgspec.field(default=None, name="IPv4Data")
    ipv6_data: tuple[IPAMData, ...] | None = msgspec.field(default=None, name="IPv6Data")


class DeleteNetwork(Request, frozen=True, kw_only=True, rename="pascal"):
    """Network: a network was removed."""

    network_id: str = msgspec.field(name="NetworkID")


class Interface(Request, frozen=True, kw_only=True, rename="pascal"):
    """Addresses of an endpoint, with prefix lengths, and its MAC."""

    address: str = ""
    address_ipv6: str = msgspec.field(default="", name="AddressIPv6")
    mac_address: str = ""


class EndpointRequest(Request, frozen=True, kw_only=True, rename="pascal"):
    """Network: a request about one endpoint."""

    network_id: str = msgspec.field(name="NetworkID")
    endpoint_id: str = msgspec.field(name="EndpointID")


class CreateEndpoint(EndpointRequest, frozen=True, kw_only=True, rename="pascal"):
    """Network: make an endpoint for a container."""

    interface: Interface | None = None
    options: dict[str, Any] | None = None


class Join(EndpointRequest, frozen=True, kw_only=True, rename="pascal"):
    """Network: put the endpoint into the sandbox, a network namespace given by path."""

    sandbox_key: str = ""
    options: dict[str, Any] | None = None


class ExternalConnectivity(EndpointRequest, frozen=True, kw_only=True, rename="pascal"):
    """Network: publish ports of the endpoint."""

    options: dict[str, Any] | None = None


class Discovery(Request, frozen=True, kw_only=True, rename="pascal"):
    """Network: a Docker node came or went (daemons that share a store)."""

    discovery_type: int = 0
    discovery_data: Any = None


#: Method as in the URL → the request it carries.
METHODS: Mapping[str, type[Request]] = MappingProxyType(
    {
        ACTIVATE: Request,
        "NetworkDriver.GetCapabilities": Request,
        "NetworkDriver.CreateNetwork": CreateNetwork,
        "NetworkDriver.DeleteNetwork": DeleteNetwork,
        "NetworkDriver.CreateEndpoint": CreateEndpoint,
        "NetworkDriver.EndpointOperInfo": EndpointRequest,
        "NetworkDriver.DeleteEndpoint": EndpointRequest,
        "NetworkDriver.Join": Join,
        "NetworkDriver.Leave": EndpointRequest,
        "NetworkDriver.ProgramExternalConnectivity": ExternalConnectivity,
        "NetworkDriver.RevokeExternalConnectivity": EndpointRequest,
        "NetworkDriver.DiscoverNew": Discovery,
        "NetworkDriver.DiscoverDelete": Discovery,
        "IpamDriver.GetCapabilities": Request,
        "IpamDriver.GetDefaultAddressSpaces": Request,
        "IpamDriver.RequestPool": RequestPool,
        "IpamDriver.ReleasePool": ReleasePool,
        "IpamDriver.RequestAddress": RequestAddress,
        "IpamDriver.ReleaseAddress": ReleaseAddress,
    }
)
#: Made while this module is imported, by one thread: msgspec learns a class's fields when it first
#: needs them, and a second thread that comes meanwhile crashes the process.
_DECODERS: Mapping[str, msgspec.json.Decoder[Request]] = {
    method: msgspec.json.Decoder(form) for method, form in METHODS.items()
}


def decode(method: str, body: bytes) -> Request:
    """Return the request in a call's body; an empty body is an empty object.

    Raises:
        ValidationError: the method is unknown or the body does not fit it.
    """
    if method not in METHODS:
        raise ValidationError(f"{method}: no such method")
    try:
        return _DECODERS[method].decode(body.strip() or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValidationError(f"{method}: {error}") from error


def error(text: str) -> bytes:
    """Return the reply that fails a call."""
    return msgspec.json.encode({"Err": text})
