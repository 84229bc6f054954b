"""Rules of workload and host endpoints. Source: ``calico-control-plane.md`` 1.7, 2.8 and 2.10."""

from __future__ import annotations

from collections.abc import Iterator

from libcalico.errors import ValidationError
from libcalico.net.dscp import parse_dscp
from libcalico.resources import fieldchecks as check
from libcalico.resources.endpoints import (
    EndpointPort,
    QoSControls,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from libcalico.resources.hostendpoints import ALL_INTERFACES, HostEndpoint, HostPort
from libcalico.resources.names import name_of
from libcalico.resources.shape import fields_of

_PORT_PROTOCOLS = frozenset({"tcp", "udp", "sctp", 6, 17, 132})
_PETA = 10**15
_LONGEST_NAME = 253
#: QoS field (without its direction) → inclusive bounds.
_QOS_BOUNDS = {
    "Bandwidth": (1_000, _PETA),
    "Burst": (1_000, 34_359_738_360),
    "Peakrate": (1_010, _PETA + _PETA // 100),
    "Minburst": (1_000, 100_000_000),
    "PacketRate": (1, 10_000),
    "PacketBurst": (1, 10_000),
    "MaxConnections": (1, 0xFFFFFFFF),
}


def check_endpoint(endpoint: WorkloadEndpoint) -> Iterator[str]:
    """Check a WorkloadEndpoint."""
    spec = endpoint.spec
    yield from _check_name(endpoint)
    if not spec.interface_name:
        yield "spec.interfaceName: missing; name the host's side of the interface"
    else:
        path = "spec.interfaceName"
        yield from check.matches(path, spec.interface_name, check.INTERFACE, "interface name")
    if spec.container_id:
        path = "spec.containerID"
        yield from check.matches(path, spec.container_id, check.CONTAINER_ID, "container id")
    if spec.mac:
        yield from check.mac("spec.mac", spec.mac)
    for index, port in enumerate(spec.ports):
        yield from _check_port(f"spec.ports[{index}]", port)
    for index, name in enumerate(spec.profiles):
        yield from check.subdomain(f"spec.profiles[{index}]", name)
    yield from _check_addresses(spec)
    if spec.qos_controls is not None:
        yield from _check_qos(spec.qos_controls)


def _check_name(endpoint: WorkloadEndpoint) -> Iterator[str]:
    try:
        expected = name_of(endpoint.spec)
    except ValidationError as problem:
        yield from problem.problems
        return
    if endpoint.name and endpoint.name != expected:
        yield (
            f"metadata.name: {endpoint.name!r} does not match the primary identifiers assigned in "
            f"the Spec: expected name {expected}"
        )


def check_host_endpoint(endpoint: HostEndpoint) -> Iterator[str]:
    """Check a HostEndpoint."""
    spec = endpoint.spec
    if not spec.node:
        yield "spec.node: missing; name the node that has the interface"
    elif len(spec.node) > _LONGEST_NAME:
        yield f"spec.node: {spec.node!r} is too long; at most {_LONGEST_NAME} characters are allowed"
    if not spec.interface_name and not spec.expected_ips:
        yield "spec: must have interfaceName or expectedIPs; '*' means all interfaces"
    if spec.interface_name not in ("", ALL_INTERFACES):
        path = "spec.interfaceName"
        yield from check.matches(path, spec.interface_name, check.INTERFACE, "interface name")
    for index, text in enumerate(spec.expected_ips):
        yield from check.address(f"spec.expectedIPs[{index}]", text)
    yield from check.unique("spec.expectedIPs", spec.expected_ips)
    for index, name in enumerate(spec.profiles):
        yield from check.subdomain(f"spec.profiles[{index}]", name)
    yield from check.unique("spec.profiles", spec.profiles)
    for index, port in enumerate(spec.ports):
        yield from _check_named_port(f"spec.ports[{index}]", port)


def _check_port(path: str, port: EndpointPort) -> Iterator[str]:
    yield from _check_named_port(path, port)
    yield from check.whole_number(f"{path}.hostPort", port.host_port, 0, 65535)
    if port.host_ip:
        yield from check.address(f"{path}.hostIP", port.host_ip)


def _check_named_port(path: str, port: EndpointPort | HostPort) -> Iterator[str]:
    if port.name:
        yield from check.matches(f"{path}.name", port.name, check.PORT_NAME, "port name")
    protocol = port.protocol.lower() if isinstance(port.protocol, str) else port.protocol
    if protocol not in _PORT_PROTOCOLS:
        yield f"{path}.protocol: {port.protocol!r} has no ports; use TCP, UDP or SCTP"
    yield from check.whole_number(f"{path}.port", port.port, 1, 65535)


def _check_addresses(spec: WorkloadEndpointSpec) -> Iterator[str]:
    for index, text in enumerate(spec.ip_networks):
        path = f"spec.ipNetworks[{index}]"
        net = check.parse_network(text)
        if net is None:
            yield f"{path}: {text!r} is no address; write it as 10.0.0.1/32 or fd00::1/128"
        elif net.prefixlen != net.max_prefixlen:
            yield f"{path}: {text!r} is more than one address; the length must be {net.max_prefixlen}"
    for version, text in ((4, spec.ipv4_gateway), (6, spec.ipv6_gateway)):
        if text:
            yield from check.address(f"spec.ipv{version}Gateway", text, version)
    for index, text in enumerate(spec.allow_spoofed_source_prefixes):
        yield from check.network_or_address(f"spec.allowSpoofedSourcePrefixes[{index}]", text)
    yield from _check_nats(spec)


def _check_nats(spec: WorkloadEndpointSpec) -> Iterator[str]:
    nets = [check.parse_network(text) for text in spec.ip_networks]
    own = {net.network_address for net in nets if net is not None}
    for index, nat in enumerate(spec.ip_nats):
        path = f"spec.ipNATs[{index}]"
        internal, external = map(check.parse_address, (nat.internal_ip, nat.external_ip))
        if internal is None or external is None:
            yield from check.address(f"{path}.internalIP", nat.internal_ip)
            yield from check.address(f"{path}.externalIP", nat.external_ip)
            continue
        if internal not in own:
            yield f"{path}.internalIP: {nat.internal_ip} is not in spec.ipNetworks"
        if internal.version != external.version:
            yield f"{path}: both addresses must be of one family"


def _check_qos(qos: QoSControls) -> Iterator[str]:
    for field in fields_of(QoSControls):
        value = getattr(qos, field.attribute)
        bounds = _QOS_BOUNDS.get(field.name.removeprefix("ingress").removeprefix("egress"))
        if bounds and value:
            yield from check.whole_number(f"spec.qosControls.{field.name}", value, *bounds)
    for direction, bandwidth, peak in (
        ("ingress", qos.ingress_bandwidth, qos.ingress_peakrate),
        ("egress", qos.egress_bandwidth, qos.egress_peakrate),
    ):
        if peak and peak <= bandwidth:
            yield f"spec.qosControls.{direction}Peakrate: must be above {direction}Bandwidth"
    yield from check_dscp("spec.qosControls.dscp", qos.dscp)


def check_dscp(path: str, value: int | str | None) -> Iterator[str]:
    """Require a DSCP: 0 to 63 or a name such as EF or AF41."""
    if isinstance(value, int):
        yield from check.whole_number(path, value, 0, 63)
    if not isinstance(value, str):
        return
    try:
        parse_dscp(value)
    except ValidationError as error:
        yield f"{path}: {error}"
