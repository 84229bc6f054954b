"""Rules of nodes, Felix settings and the cluster. Source: ``calico-control-plane.md`` 2.9, 2.11, 2.15."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libcalico.resources import fieldchecks as check
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.felixconfig import FelixConfiguration, FelixConfigurationSpec
from libcalico.resources.felixparams import BY_FIELD, CONNTRACK_TIMEOUTS
from libcalico.resources.nodes import Node, NodeBGPSpec
from libcalico.resources.shape import fields_of

_MAX_NODE_SELECTOR = 1024
_MAX_TABLE = 250
#: Names as in a configuration file, folded; a FelixConfiguration begins them in lower case.
_CONNTRACK_TIMEOUTS = frozenset(name.lower() for name in CONNTRACK_TIMEOUTS)
#: 32 bytes in base64.
_WIREGUARD_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


def check_node(node: Node) -> Iterator[str]:
    """Check a Node."""
    spec = node.spec
    if spec.bgp is not None:
        yield from _check_node_bgp(spec.bgp)
    for version, text in ((4, spec.ipv4_vxlan_tunnel_addr), (6, spec.ipv6_vxlan_tunnel_addr)):
        if text:
            yield from check.address(f"spec.ipv{version}VXLANTunnelAddr", text, version)
    for field, text in (
        ("vxlanTunnelMACAddr", spec.vxlan_tunnel_mac_addr),
        ("vxlanTunnelMACAddrV6", spec.vxlan_tunnel_mac_addr_v6),
    ):
        if text:
            yield from check.mac(f"spec.{field}", text)
    yield from _check_wireguard(node)
    for index, found in enumerate(spec.addresses):
        yield from _address_or_interface(f"spec.addresses[{index}].address", found.address, 0)
    for index, interface in enumerate(spec.interfaces):
        if not interface.name:
            yield f"spec.interfaces[{index}].name: missing"
        for number, text in enumerate(interface.addresses):
            path = f"spec.interfaces[{index}].addresses[{number}]"
            yield from _address_or_interface(path, text, 0)
    yield from _check_wireguard_keys(node)


def _check_node_bgp(bgp: NodeBGPSpec) -> Iterator[str]:
    if bgp == NodeBGPSpec():
        yield "spec.bgp: must not be empty; leave it out, or set asNumber or an address"
    if bgp.as_number is not None:
        yield from check.as_number("spec.bgp.asNumber", bgp.as_number)
    for version, text in ((4, bgp.ipv4_address), (6, bgp.ipv6_address)):
        if text:
            yield from _address_or_interface(f"spec.bgp.ipv{version}Address", text, version)
    if bgp.ipv4_ipip_tunnel_addr:
        yield from check.address("spec.bgp.ipv4IPIPTunnelAddr", bgp.ipv4_ipip_tunnel_addr, 4)
    if bgp.route_reflector_cluster_id:
        path = "spec.bgp.routeReflectorClusterID"
        yield from check.address(path, bgp.route_reflector_cluster_id, 4)


def _check_wireguard(node: Node) -> Iterator[str]:
    wireguard = node.spec.wireguard
    if wireguard is None:
        return
    addresses = ((4, wireguard.interface_ipv4_address), (6, wireguard.interface_ipv6_address))
    if not any(text for _, text in addresses):
        yield "spec.wireguard: must not be empty; leave it out, or set an address"
    for version, text in addresses:
        if text:
            yield from check.address(f"spec.wireguard.interfaceIPv{version}Address", text, version)


def _check_wireguard_keys(node: Node) -> Iterator[str]:
    """Peers encrypt with these keys, so what is none must not be stored."""
    for field in ("wireguardPublicKey", "wireguardPublicKeyV6"):
        key = node.status.get(field)
        if key and not (isinstance(key, str) and _WIREGUARD_KEY.fullmatch(key)):
            yield f"status.{field}: {key!r} is no WireGuard key; it is 32 bytes in base64"


def _address_or_interface(path: str, text: str, version: int) -> Iterator[str]:
    """Require ``address`` or ``address/length``; host bits may be set."""
    net, address = check.parse_network(text), check.parse_address(text)
    found = net.version if net else address.version if address else 0
    if not found:
        yield f"{path}: {text!r} is no address; write it as 10.0.0.5 or 10.0.0.5/24"
    elif version and found != version:
        yield f"{path}: {text!r} is no IPv{version} address"


def check_cluster_information(info: ClusterInformation) -> Iterator[str]:
    """Check the ClusterInformation; only the name ``default`` exists."""
    if info.name != "default":
        yield f"metadata.name: {info.name!r} is not allowed; the only ClusterInformation is 'default'"


def check_felix_configuration(config: FelixConfiguration) -> Iterator[str]:
    """Check a FelixConfiguration: each field against its parameter, then fields against each other."""
    spec = config.spec
    for field in fields_of(FelixConfigurationSpec):
        value, param = getattr(spec, field.attribute), BY_FIELD.get(field.name)
        if param is None or value == field.unset:
            continue
        problem = param.problem_with(value)
        if problem:
            yield f"spec.{field.name}: {problem}"
    if spec.nat_port_range == 0:
        yield "spec.natPortRange: 0 is no port; leave it out to use any port"
    yield from _check_conntrack_timeouts(spec)
    yield from _check_scope(config)
    yield from _check_route_tables(spec)


def _check_conntrack_timeouts(spec: FelixConfigurationSpec) -> Iterator[str]:
    for name, text in (spec.bpf_conntrack_timeouts or {}).items():
        path = f"spec.bpfConntrackTimeouts.{name}"
        if name.lower() not in _CONNTRACK_TIMEOUTS:
            yield f"{path}: there is no such timeout"
        elif text != "Auto":
            yield from check.duration(path, text)


def _check_scope(config: FelixConfiguration) -> Iterator[str]:
    selector = config.spec.node_selector
    is_named = config.name == "default" or config.name.startswith("node.")
    if selector and is_named:
        yield f"spec.nodeSelector: cannot be set on {config.name!r}; use another name"
    elif not selector and not is_named:
        yield (
            f"spec.nodeSelector: missing; only 'default' and 'node.<name>' apply without one, "
            f"{config.name!r} would never apply"
        )
    path = "spec.nodeSelector"
    yield from check.selector(path, selector, max_length=_MAX_NODE_SELECTOR)


def _check_route_tables(spec: FelixConfigurationSpec) -> Iterator[str]:
    tables = spec.route_table_range
    if tables is None:
        return
    if spec.route_table_ranges is not None:
        yield "spec.routeTableRange: cannot be set together with spec.routeTableRanges"
    if not 1 <= tables.min <= tables.max <= _MAX_TABLE:
        yield f"spec.routeTableRange: min and max must be within 1 to {_MAX_TABLE}, in this order"
