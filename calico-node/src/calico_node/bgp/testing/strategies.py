"""Random clusters, valid and nearly valid, as node ``a`` sees them."""

from __future__ import annotations

from typing import Literal

from hypothesis import strategies as st

from calico_node.bgp.cluster import Cluster
from libcalico.resources.bgp import (
    BGPPassword,
    BGPPeer,
    Community,
    PrefixAdvertisement,
    SecretKeySelector,
)
from libcalico.resources.bgpfilter import BGPFilter
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node, NodeBGPSpec
from libcalico.testing import builders
from libcalico.testing.strategies import addresses, cidrs, filter_rules

_NAMES = ("a", "b", "c", "d")
_NODE_SETS = (_NAMES, ("a", "b"), ("a",), ("b",), ())
_AS = st.one_of(st.none(), st.integers(1, 2**32 - 1), st.just("1.10"))
_TIME = st.sampled_from([None, "1s", "90s", "1m30s", "0s", "soon"])
_SELECTOR = st.sampled_from(["", "all()", "rack == '1'", "has(rr)", "rack =="])
_STATE = st.sampled_from(["", "confirmed", "pending", "pendingDeletion"])


@st.composite
def _nodes(draw: st.DrawFn, name: str) -> Node:
    last = _NAMES.index(name) + 1
    bgp = NodeBGPSpec(
        as_number=draw(_AS),
        ipv4_address=draw(st.sampled_from([f"172.16.0.{last}/24", f"172.16.{last}.9", ""])),
        ipv6_address=draw(st.sampled_from([f"fd16::{last}/64", ""])),
        route_reflector_cluster_id=draw(st.sampled_from(["", "224.0.0.1", "1.2.3.4"])),
    )
    labels = draw(st.sampled_from([{}, {"rack": "1"}, {"rr": "", "rack": "2"}]))
    return builders.a_node(name=name, bgp=bgp, labels=labels)


_VERSIONS: tuple[Literal[4, 6], ...] = (4, 6)
#: The last one never exists.
_FILTER_NAMES = ("f", f"{'a.b-' * 12}c", "missing")
_FILTER_SETS: tuple[tuple[str, ...], ...] = ((), _FILTER_NAMES[:1], _FILTER_NAMES[1:2])


@st.composite
def _peers(draw: st.DrawFn, name: str) -> BGPPeer:
    address = draw(st.one_of(addresses(4), addresses(6)))
    is_v6 = ":" in address
    with_port = f"[{address}]:1790" if is_v6 else f"{address}:1790"
    near, far = draw(_SELECTOR), draw(_SELECTOR)
    secret = SecretKeySelector(name="s", key="k", optional=draw(st.booleans()))
    return builders.a_bgp_peer(
        name=name,
        node=draw(st.sampled_from(["", "a", "b"])),
        node_selector=near,
        peer_ip="" if far else draw(st.sampled_from([address, with_port, "router", ""])),
        peer_selector=far,
        as_number=None if far else draw(_AS),
        local_as_number=draw(_AS),
        keep_original_next_hop=draw(st.booleans()),
        next_hop_mode=draw(st.sampled_from([None, "Auto", "Self", "Keep"])),
        source_address=draw(st.sampled_from([None, "UseNodeIP", "None"])),
        max_restart_time=draw(_TIME),
        keepalive_time=draw(_TIME),
        num_allowed_local_as_numbers=draw(st.sampled_from([None, 0, 3, 255, 256])),
        ttl_security=draw(st.sampled_from([None, 0, 1, 2, 255])),
        reachable_by=draw(st.sampled_from(["", "172.16.0.254", "fd16::fe"])),
        password=draw(st.sampled_from([None, BGPPassword(secret_key_ref=secret)])),
        filters=draw(st.lists(st.sampled_from(_FILTER_NAMES), max_size=2, unique=True)),
    )


@st.composite
def _filters(draw: st.DrawFn, name: str) -> BGPFilter:
    rules = {
        f"{direction}_v{version}": draw(st.lists(filter_rules(version), max_size=1))
        for direction in ("import", "export")
        for version in _VERSIONS
    }
    return builders.a_bgp_filter(name=name, **rules)


@st.composite
def _pools(draw: st.DrawFn, name: str) -> IPPool:
    cidr = draw(st.one_of(cidrs(4), cidrs(6)))
    mode = draw(st.sampled_from([None, "Never", "Always", "CrossSubnet"]))
    return builders.a_pool(
        name=name, cidr=cidr, vxlan_mode=mode, disable_bgp_export=draw(st.booleans())
    )


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Return clusters whose every part varies; some peers and settings cannot be used."""
    advertised = draw(st.lists(st.one_of(cidrs(4), cidrs(6)), max_size=2))
    values = ["blue", "1:2", "65535:65535", "65536:1", "1:2:4294967295", "x"]
    words = st.lists(st.sampled_from(values), min_size=1, max_size=3)
    configuration = builders.a_bgp_configuration(
        name=draw(st.sampled_from(["default", "node.a"])),
        node_to_node_mesh_enabled=draw(st.sampled_from([None, True, False])),
        as_number=draw(_AS),
        log_severity_screen=draw(st.sampled_from(["", "Info", "Debug", "None", "Warning"])),
        listen_port=draw(st.sampled_from([0, 179, 1179])),
        bind_mode=draw(st.sampled_from([None, "None", "NodeIP"])),
        ignored_interfaces=draw(st.lists(st.sampled_from(["eth9", "wg*", "*", 'x"y']), max_size=2)),
        program_cluster_routes=draw(st.sampled_from([None, "Enabled", "Disabled"])),
        ipv4_normal_route_priority=draw(st.sampled_from([None, 1, 100, 2147483646])),
        communities=[Community(name="blue", value="65000:1")],
        prefix_advertisements=[
            PrefixAdvertisement(cidr=cidr, communities=draw(words)) for cidr in advertised
        ],
    )
    affine = draw(st.lists(st.one_of(cidrs(4), cidrs(6)), max_size=4))
    return Cluster(
        node_name="a",
        nodes={name: draw(_nodes(name)) for name in draw(st.sampled_from(_NODE_SETS))},
        peers={
            name: draw(_peers(name)) for name in draw(st.sets(st.sampled_from(["p", "q", "r"])))
        },
        filters={name: draw(_filters(name)) for name in draw(st.sampled_from(_FILTER_SETS))},
        pools={name: draw(_pools(name)) for name in draw(st.sets(st.sampled_from(["x", "y"])))},
        configurations={configuration.name: configuration},
        affinities={cidr: draw(_STATE) for cidr in affine},
        passwords=draw(st.sampled_from([{}, {("s", "k"): "secret\\n%$"}, {("s", "k"): 'a"b'}])),
        router_id_setting=draw(st.sampled_from(["", "hash", "9.9.9.9"])),
    )
