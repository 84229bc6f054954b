"""Named clusters as node ``a`` sees them. Each has a golden bird.conf."""

from __future__ import annotations

from typing import Any

from calico_node.bgp.cluster import Cluster
from libcalico.resources.bgp import (
    BGPPassword,
    Community,
    PrefixAdvertisement,
    SecretKeySelector,
)
from libcalico.resources.bgpfilter import (
    AddCommunity,
    CommunityMatch,
    FilterOperation,
    FilterRule,
    PrefixLengths,
    PrependASPath,
    SetPriority,
)
from libcalico.resources.nodes import Node, NodeBGPSpec
from libcalico.testing import builders

_POOL = builders.a_pool(name="pool-4", cidr="10.65.0.0/16")
_POOL_6 = builders.a_pool(name="pool-6", cidr="fd65::/64")


def node(name: str, last: int, **bgp: Any) -> Node:
    """Return a node with addresses 172.16.0.<last> and fd16::<last>; ``bgp`` overrides its BGP spec."""
    addresses = {"ipv4_address": f"172.16.0.{last}/24", "ipv6_address": f"fd16::{last}/64"}
    return builders.a_node(name=name, bgp=NodeBGPSpec(**{**addresses, **bgp}))


def cluster(**parts: Any) -> Cluster:
    """Return a cluster of three nodes with a pool of each family; ``parts`` replace its fields."""
    nodes = [node("a", 1), node("b", 2), node("c", 10)]
    defaults: dict[str, Any] = {
        "node_name": "a",
        "nodes": {n.name: n for n in nodes},
        "pools": {"pool-4": _POOL, "pool-6": _POOL_6},
        "affinities": {"10.65.1.0/26": "confirmed", "fd65::40/122": "confirmed"},
    }
    return Cluster(**{**defaults, **parts})


def peers(*given: Any) -> dict[str, Any]:
    """Return peers, or configurations, by name."""
    return {resource.name: resource for resource in given}


def _without_mesh(**fields: Any) -> dict[str, Any]:
    default = builders.a_bgp_configuration(
        name="default", node_to_node_mesh_enabled=False, **fields
    )
    return peers(default)


def _reflectors() -> Cluster:
    labelled = node("a", 1, route_reflector_cluster_id="224.0.0.1")
    labelled = labelled.with_(metadata=labelled.metadata.with_(labels={"rr": "true"}))
    nodes = [labelled, node("b", 2), node("c", 10)]
    to_reflectors = builders.a_bgp_peer(
        name="to-rr",
        peer_ip="",
        as_number=None,
        node_selector="all()",
        peer_selector="rr == 'true'",
    )
    return cluster(nodes=peers(*nodes), peers=peers(to_reflectors), configurations=_without_mesh())


def _communities() -> Cluster:
    advertisements = [
        PrefixAdvertisement(cidr="10.65.0.0/16", communities=["blue", "65000:2"]),
        PrefixAdvertisement(cidr="fd65::/64", communities=["65000:1:3"]),
    ]
    default = builders.a_bgp_configuration(
        name="default",
        communities=[Community(name="blue", value="65000:1")],
        prefix_advertisements=advertisements,
    )
    return cluster(configurations=peers(default))


def _every_peer_option() -> Cluster:
    secret = BGPPassword(secret_key_ref=SecretKeySelector(name="tor", key="password"))
    peer = builders.a_bgp_peer(
        name="tor",
        node="a",
        peer_ip="[fd99::1]:1790",
        as_number=64600,
        local_as_number=64601,
        next_hop_mode="Self",
        source_address="None",
        max_restart_time="30s",
        keepalive_time="10s",
        num_allowed_local_as_numbers=2,
        ttl_security=3,
        reachable_by="fd16::fe",
        password=secret,
    )
    own = builders.a_bgp_configuration(
        name="node.a", listen_port=1179, bind_mode="NodeIP", ignored_interfaces=["eth9", "wg*"]
    )
    return cluster(
        peers=peers(peer),
        configurations=peers(own),
        passwords={("tor", "password"): "pass word#1"},
    )


def _filters() -> Cluster:
    own_as = PrependASPath(prefix=[64512, 64513])
    exports = [
        FilterRule(action="Reject", cidr="10.65.1.0/26", match_operator="Equal", peer_type="eBGP"),
        FilterRule(
            action="Accept",
            cidr="10.65.0.0/16",
            match_operator="In",
            prefix_length=PrefixLengths(min=8, max=28),
            source="RemotePeers",
            operations=[
                FilterOperation(add_community=AddCommunity(value="65000:1")),
                FilterOperation(add_community=AddCommunity(value="65000:1:2")),
                FilterOperation(prepend_as_path=own_as),
                FilterOperation(set_priority=SetPriority(value=512)),
            ],
        ),
        FilterRule(action="Reject", interface="wg*", peer_type="iBGP"),
    ]
    imports = [
        FilterRule(
            action="Accept",
            communities=CommunityMatch(values=["65000:7"]),
            as_path_prefix=[64513],
            priority=100,
        ),
        FilterRule(action="Accept", communities=CommunityMatch(values=["65000:7:9"])),
        FilterRule(action="Reject"),
    ]
    outward = builders.a_bgp_filter(name="outward", export_v4=exports, import_v6=imports)
    inward = builders.a_bgp_filter(name=f"{'long-' * 10}name", export_v4=[], import_v4=imports)
    names = [outward.name, inward.name]
    by_v4 = builders.a_bgp_peer(name="tor-4", peer_ip="172.16.0.254", filters=names)
    by_v6 = builders.a_bgp_peer(name="tor-6", peer_ip="fd16::fe", filters=names)
    return cluster(
        peers=peers(by_v4, by_v6),
        filters=peers(outward, inward),
        configurations=_without_mesh(),
    )


#: Name → cluster; the golden file of each is ``<name>.conf``.
GOLDEN: dict[str, Cluster] = {
    "mesh-dual-stack": cluster(),
    "global-peer": cluster(
        peers=peers(builders.a_bgp_peer(name="tor", peer_ip="172.16.0.254:1790", as_number=64513)),
        configurations=_without_mesh(as_number=64999),
    ),
    "node-peer": cluster(
        peers=peers(
            builders.a_bgp_peer(name="mine", node="a", peer_ip="172.16.0.254", as_number=64512),
            builders.a_bgp_peer(name="other", node="b", peer_ip="172.16.0.253", as_number=64512),
        )
    ),
    "route-reflector": _reflectors(),
    "no-peers": cluster(nodes=peers(node("a", 1, ipv6_address=""))),
    "export-disabled": cluster(
        pools=peers(
            builders.a_pool(name="hidden", cidr="10.66.0.0/16", disable_bgp_export=True),
            builders.a_pool(name="vxlan", cidr="10.67.0.0/16", vxlan_mode="CrossSubnet"),
            builders.a_pool(name="shown", cidr="10.65.0.0/16"),
        ),
        affinities={
            "10.65.1.0/26": "confirmed",
            "10.66.1.0/26": "",
            "10.65.2.0/26": "pending",
            "10.65.3.0/26": "pendingDeletion",
            "10.65.4.7/32": "confirmed",
        },
    ),
    "communities": _communities(),
    "every-peer-option": _every_peer_option(),
    "filters": _filters(),
}
