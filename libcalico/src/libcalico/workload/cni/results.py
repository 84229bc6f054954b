"""One result inside, one encoder for each version that can be asked for.

Source: CNI SPEC of each version, section "Result".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from libcalico.errors import ValidationError
from libcalico.net.addresses import parse_address, parse_cidr, parse_interface
from libcalico.workload.cni.errors import UNDECODABLE, CniError
from libcalico.workload.cni.model import (
    VERSIONS,
    Interface,
    IpConfig,
    Result,
    RouteConfig,
)

Encoder = Callable[[Result], dict[str, Any]]


def encode(result: Result, version: str) -> dict[str, Any]:
    """Return the object to print for a version."""
    return {"cniVersion": version} | ENCODERS[version](result)


def _v0_2(result: Result) -> dict[str, Any]:
    """One address of each family; interfaces are not told."""
    document: dict[str, Any] = {}
    for version in (4, 6):
        ips = [ip for ip in result.ips if ip.address.version == version]
        if ips:
            routes = [_route(r) for r in result.routes if r.dst.version == version]
            first = _without_empty({"ip": str(ips[0].address), "gateway": ips[0].gateway})
            document[f"ip{version}"] = first | ({"routes": routes} if routes else {})
    return document | {"dns": dict(result.dns)}


def _v0_3(result: Result) -> dict[str, Any]:
    document = _v1_0(result)
    document["ips"] = [
        {"version": str(ip.address.version)} | encoded
        for ip, encoded in zip(result.ips, document.get("ips", ()), strict=True)
    ]
    return document


def _v1_0(result: Result) -> dict[str, Any]:
    document = _without_empty(
        {
            "interfaces": [_interface(interface) for interface in result.interfaces],
            "ips": [_ip(ip) for ip in result.ips],
            "routes": [_route(route) for route in result.routes],
        }
    )
    return document | {"dns": dict(result.dns)}


def _v1_1(result: Result) -> dict[str, Any]:
    document = _v1_0(result)
    for interface, encoded in zip(result.interfaces, document.get("interfaces", ()), strict=True):
        if interface.mtu:
            encoded["mtu"] = interface.mtu
    return document


def _interface(interface: Interface) -> dict[str, Any]:
    optional = _without_empty({"mac": interface.mac, "sandbox": interface.sandbox})
    return {"name": interface.name} | optional


def _ip(ip: IpConfig) -> dict[str, Any]:
    index = {} if ip.interface is None else {"interface": ip.interface}
    return index | {"address": str(ip.address)} | _without_empty({"gateway": ip.gateway})


def _route(route: RouteConfig) -> dict[str, Any]:
    return {"dst": str(route.dst)} | _without_empty({"gw": route.gateway})


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


ENCODERS: dict[str, Encoder] = {
    "0.1.0": _v0_2,
    "0.2.0": _v0_2,
    "0.3.0": _v0_3,
    "0.3.1": _v0_3,
    "0.4.0": _v0_3,
    "1.0.0": _v1_0,
    "1.1.0": _v1_1,
}


def decode(document: Mapping[str, Any]) -> Result:
    """Read a result of any version, as another plugin printed it or the runtime kept it.

    Raises:
        CniError: it is no result.
    """
    try:
        if "ip4" in document or "ip6" in document:
            return _decode_v0_2(document)
        return Result(
            interfaces=[_decode_interface(raw) for raw in document.get("interfaces") or ()],
            ips=[_decode_ip(raw) for raw in document.get("ips") or ()],
            routes=[_decode_route(raw) for raw in document.get("routes") or ()],
            dns=dict(document.get("dns") or {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as problem:
        raise CniError(UNDECODABLE, f"this is no CNI result: {problem!r}") from problem


def _decode_v0_2(document: Mapping[str, Any]) -> Result:
    ips, routes = [], []
    for key in ("ip4", "ip6"):
        raw = document.get(key)
        if raw:
            address = parse_interface(raw["ip"])
            ips.append(IpConfig(address, None, _gateway(raw.get("gateway"))))
            routes += [_decode_route(route) for route in raw.get("routes") or ()]
    return Result(ips=ips, routes=routes, dns=dict(document.get("dns") or {}))


def _decode_interface(raw: Mapping[str, Any]) -> Interface:
    return Interface(
        str(raw["name"]),
        str(raw.get("mac") or ""),
        str(raw.get("sandbox") or ""),
        int(raw.get("mtu") or 0),
    )


def _decode_ip(raw: Mapping[str, Any]) -> IpConfig:
    index = raw.get("interface")
    return IpConfig(
        parse_interface(raw["address"]),
        None if index is None else int(index),
        _gateway(raw.get("gateway")),
    )


def _decode_route(raw: Mapping[str, Any]) -> RouteConfig:
    return RouteConfig(parse_cidr(raw["dst"], strict=False), _gateway(raw.get("gw")))


def _gateway(raw: str | None) -> str:
    return parse_address(raw).address if raw else ""


def supported(version: str) -> dict[str, Any]:
    """Return the answer to VERSION."""
    return {"cniVersion": version, "supportedVersions": list(VERSIONS)}


def error(version: str, problem: CniError) -> dict[str, Any]:
    """Return an error object."""
    document = {"cniVersion": version, "code": problem.code, "msg": str(problem)}
    return document | ({"details": problem.details} if problem.details else {})
