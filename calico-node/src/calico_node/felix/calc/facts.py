"""What is told to the dataplane as it is: pools, hosts, this host's blocks, readiness."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple, cast

import msgspec

from calico_node.felix.calc.active import Definition
from calico_node.felix.calc.decode import Reading
from calico_node.felix.calc.rules import compile_rules
from calico_node.felix.messages import NodeNetwork, Pool, Vtep
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr, parse_interface
from libcalico.resources import codec
from libcalico.resources.bgp import BGPConfiguration, BGPConfigurationSpec
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node
from libcalico.resources.policy import Rule

_ABSENT: Final = "it is treated as absent"
_MAC_BYTES: Final = 6
#: In the first byte of a MAC: it is that of a group.
_GROUP: Final = 1
_BROADCAST: Final = ip_address("255.255.255.255")


class NodeFacts(NamedTuple):
    """A node's labels, its addresses of both families, and how it is reached."""

    labels: dict[str, str]
    addresses: tuple[Cidr, ...]
    network: NodeNetwork = NodeNetwork()


def allow_all() -> Definition:
    """Return the definition of the built-in profile that allows everything."""
    rules = [Rule(action="Allow")]
    return Definition("", compile_rules(rules, "", ""), compile_rules(rules, "", ""))


def pool(value: bytes) -> Reading[Pool | None]:
    """Read an IPPool; disabled ones count: addresses of theirs may be in use."""
    try:
        spec = cast(IPPool, codec.decode(value, kind="IPPool", keep_unknown=False)).spec
        cidr = parse_cidr(spec.cidr, strict=False)
    except ValidationError as error:
        return Reading(None, f"{error}; {_ABSENT}")
    ipip, vxlan = spec.ipip_mode or "Never", spec.vxlan_mode or "Never"
    return Reading(Pool(cidr, spec.nat_outgoing, ipip, vxlan))


def services(value: bytes) -> Reading[tuple[Cidr, ...]]:
    """Read the addresses of services of the cluster's BGPConfiguration; what cannot be read is left out."""
    try:
        spec = cast(
            BGPConfiguration, codec.decode(value, kind="BGPConfiguration", keep_unknown=False)
        ).spec
    except ValidationError as error:
        return Reading((), f"{error}; {_ABSENT}")
    found, problems = list[Cidr](), list[str]()
    for path, cidr in _blocks(spec):
        try:
            found.append(parse_cidr(cidr, strict=False))
        except ValidationError as error:
            problems.append(f"{path}: {error}; it is left out")
    return Reading(tuple(found), "; ".join(problems))


def _blocks(spec: BGPConfigurationSpec) -> Iterator[tuple[str, str]]:
    """Yield where a CIDR of services is, and its text."""
    for field, blocks in (
        ("serviceClusterIPs", spec.service_cluster_ips),
        ("serviceExternalIPs", spec.service_external_ips),
        ("serviceLoadBalancerIPs", spec.service_load_balancer_ips),
    ):
        for number, block in enumerate(blocks):
            if block.cidr:
                yield f"spec.{field}[{number}].cidr", block.cidr


def node(value: bytes) -> Reading[NodeFacts | None]:
    """Read a Node; its addresses are those of BGP, else internal, else external ones."""
    try:
        stored = cast(Node, codec.decode(value, kind="Node", keep_unknown=False))
    except ValidationError as error:
        return Reading(None, f"{error}; {_ABSENT}")
    labels = stored.metadata.labels
    try:
        addresses = _addresses(stored)
    except ValidationError as error:
        return Reading(NodeFacts(labels, ()), f"{error}; it has no address")
    try:
        network = NodeNetwork(_networks(stored), _vteps(stored), _ipip(stored))
        return Reading(NodeFacts(labels, addresses, network))
    except ValidationError as error:
        return Reading(NodeFacts(labels, addresses), f"{error}; it has no tunnel")


def _addresses(stored: Node) -> tuple[Cidr, ...]:
    bgp = stored.spec.bgp
    texts = [text for text in (bgp.ipv4_address, bgp.ipv6_address) if text] if bgp else []
    if texts:
        return tuple(parse_interface(text).host() for text in texts)
    for kind in ("InternalIP", "ExternalIP"):
        if found := [known.address for known in stored.spec.addresses if known.type == kind]:
            return tuple(parse_address(text) for text in found)
    return ()


def _networks(stored: Node) -> tuple[Cidr, ...]:
    """Return the node's addresses with the length of their networks, as far as BGP's tell it."""
    bgp = stored.spec.bgp
    texts = [text for text in (bgp.ipv4_address, bgp.ipv6_address) if text] if bgp else []
    return tuple(map(parse_interface, texts)) if texts else _addresses(stored)


def _vteps(stored: Node) -> tuple[Vtep, ...]:
    """Return its ends of the VXLAN overlay, with MACs as its Felix derives them unless it wrote others.

    Source: calico-dataplane reference, section 3.3.
    """
    spec, name = stored.spec, stored.metadata.name
    ends = (
        (4, spec.ipv4_vxlan_tunnel_addr, spec.vxlan_tunnel_mac_addr, name),
        (6, spec.ipv6_vxlan_tunnel_addr, spec.vxlan_tunnel_mac_addr_v6, f"{name}-v6"),
    )
    return tuple(
        Vtep(_end(address, version), _mac(mac) if mac else _derived_mac(seed))
        for version, address, mac, seed in ends
        if address
    )


def _end(text: str, version: int) -> Cidr:
    """Read the address of an end of a tunnel: one that the kernel takes for a gateway."""
    found = parse_address(text)
    address = ip_address(found.packed())
    is_one = not (address.is_multicast or address.is_unspecified or address.is_loopback)
    if found.version != version or not is_one or address == _BROADCAST:
        raise ValidationError(f"{text!r} is no address of one end of an IPv{version} tunnel")
    return found


def _ipip(stored: Node) -> Cidr | None:
    """Return the address of its IPIP tunnel."""
    text = stored.spec.bgp.ipv4_ipip_tunnel_addr if stored.spec.bgp else ""
    return parse_address(text) if text else None


def _derived_mac(seed: str) -> bytes:
    digest = hashlib.sha1(seed.encode(), usedforsecurity=False).digest()
    return b"\x66" + digest[:5]


def _mac(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        found = b""
    if len(found) != _MAC_BYTES or found[0] & _GROUP or not any(found):
        raise ValidationError(f"{text!r} is no MAC of one device")
    return found


def is_ready(value: bytes) -> Reading[bool]:
    """Read whether ClusterInformation says that the datastore may be used."""
    try:
        stored = codec.decode(value, kind="ClusterInformation", keep_unknown=False)
    except ValidationError as error:
        return Reading(False, f"{error}; the datastore is treated as not ready")
    return Reading(bool(cast(ClusterInformation, stored).spec.datastore_ready))


def claim(text: str, value: bytes | None) -> Reading[tuple[Cidr, bool] | None]:
    """Read a block that this host has an affinity to, and whether the block is claimed.

    It is in every state but ``pending``; values of old releases are empty.
    """
    try:
        block = parse_cidr(text)
    except ValidationError as error:
        return Reading(None, f"{error}; {_ABSENT}" if value is not None else "")
    if value is None:
        return Reading((block, False))
    try:
        affinity = msgspec.json.decode(value or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Reading((block, True), f"not JSON: {error}; the block is treated as claimed")
    is_pending = isinstance(affinity, dict) and affinity.get("state") == "pending"
    return Reading((block, not is_pending))
