"""Hypothesis strategies for every resource: valid, complete, and varied in what matters to policy."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy, composite

from libcalico.resources.bgpfilter import (
    AddCommunity,
    CommunityMatch,
    FilterOperation,
    FilterRule,
    MatchOperator,
    PrefixLengths,
    PrependASPath,
    SetPriority,
)
from libcalico.resources.endpoints import EndpointPort, WorkloadEndpoint
from libcalico.resources.hostendpoints import HostPort
from libcalico.resources.kubepolicy import IngressRule, IPBlock, LabelSelector, PolicyPeer
from libcalico.resources.model import Resource
from libcalico.resources.nodes import NodeBGPSpec
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    ICMPFields,
    NetworkPolicy,
    Rule,
    ServiceAccountMatch,
)
from libcalico.testing import builders

LABEL_KEYS = ("app", "role", "zone", "projectcalico.org/serviceaccount")
LABEL_VALUES = ("web", "api", "db", "a.b_c-1")
PORT_PROTOCOLS = ("TCP", "UDP", "SCTP", 6, 17, 132)


def names() -> SearchStrategy[str]:
    """DNS labels, short enough to collide sometimes."""
    return st.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)


def labels() -> SearchStrategy[dict[str, str]]:
    """Label maps over few keys and values, so that selectors find something."""
    return st.dictionaries(st.sampled_from(LABEL_KEYS), st.sampled_from(LABEL_VALUES), max_size=3)


@composite
def selectors(draw: st.DrawFn, depth: int = 2) -> str:
    """Selector texts over the keys and values of :func:`labels`."""
    key, value = draw(st.sampled_from(LABEL_KEYS)), draw(st.sampled_from(LABEL_VALUES))
    forms = [
        "all()",
        f"has({key})",
        f"!has({key})",
        f"{key} == '{value}'",
        f"{key} != '{value}'",
        f"{key} in {{'{value}', 'web'}}",
        f"{key} not in {{'{value}'}}",
        f"{key} starts with '{value[:1]}'",
    ]
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(forms))
    joint = draw(st.sampled_from(["&&", "||"]))
    left, right = draw(selectors(depth=depth - 1)), draw(selectors(depth=depth - 1))
    return f"({left}) {joint} ({right})"


def addresses(version: Literal[4, 6]) -> SearchStrategy[str]:
    """Addresses of a small range of one family, as canonical text."""
    net = IPv4Network("10.65.0.0/24") if version == 4 else IPv6Network("fd65::/120")
    return st.integers(0, 255).map(lambda offset: str(net[offset]))


def cidrs(version: Literal[4, 6]) -> SearchStrategy[str]:
    """CIDRs without host bits, some of which contain others."""
    if version == 4:
        return st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(
            lambda pair: str(IPv4Network(pair, strict=False))
        )
    return st.tuples(st.integers(0, 2**128 - 1), st.integers(1, 128)).map(
        lambda pair: str(IPv6Network(pair, strict=False))
    )


def ports(*, named_only: bool = False) -> SearchStrategy[int | str]:
    """Ports as numbers, ranges and names."""
    port_names: SearchStrategy[int | str] = st.sampled_from(["http", "dns"])
    if named_only:
        return port_names
    numbers: SearchStrategy[int | str] = st.integers(1, 65535)
    bounds = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted)
    ranges = bounds.filter(lambda pair: pair[0] < pair[1]).map(lambda pair: f"{pair[0]}:{pair[1]}")
    return st.one_of(numbers, ranges, port_names)


@composite
def entity_rules(
    draw: st.DrawFn, version: Literal[4, 6], port: SearchStrategy[int | str] | None
) -> EntityRule:
    """One side of a rule; ``port`` None: the rule's protocol has no ports."""
    texts = st.just("") | selectors()
    some_ports = st.just([]) if port is None else st.lists(port, max_size=3)
    return EntityRule(
        nets=draw(st.lists(cidrs(version), max_size=2)),
        not_nets=draw(st.lists(cidrs(version), max_size=1)),
        selector=draw(texts),
        not_selector=draw(texts),
        namespace_selector=draw(st.just("") | st.just("global()") | selectors()),
        ports=draw(some_ports),
        not_ports=draw(some_ports),
        service_accounts=draw(
            st.none() | st.builds(ServiceAccountMatch, names=st.lists(names(), max_size=2))
        ),
    )


@composite
def rules(draw: st.DrawFn) -> Rule:
    """Rules of every action, with and without protocol, of one or both families."""
    version: Literal[4, 6] = draw(st.sampled_from([4, 6]))
    protocols: list[int | str] = [*PORT_PROTOCOLS, "ICMP", "ICMPv6", 47]
    others: list[int | str] = ["UDPLite", 99]
    protocol = draw(st.none() | st.sampled_from(protocols))
    icmp = None
    if protocol in ("ICMP", "ICMPv6"):
        version = 4 if protocol == "ICMP" else 6
        icmp = draw(st.none() | st.builds(ICMPFields, type=st.integers(0, 254)))
    port = None
    if protocol is None or protocol in PORT_PROTOCOLS:
        port = ports(named_only=protocol is None)
    return Rule(
        action=draw(st.sampled_from(["Allow", "Deny", "Log", "Pass"])),
        ip_version=draw(st.none() | st.just(version)),
        protocol=protocol,
        not_protocol=draw(st.none() | st.sampled_from(others)),
        icmp=icmp,
        source=draw(entity_rules(version, port)),
        destination=draw(entity_rules(version, port)),
    )


def _policy_fields() -> dict[str, SearchStrategy[Any]]:
    return {
        "name": names(),
        "tier": st.sampled_from(["default", "platform"]),
        "order": st.none() | st.floats(-1e6, 1e9) | st.integers(-10, 10).map(float),
        "selector": st.just("") | selectors(),
        "ingress": st.lists(rules(), max_size=3),
        "egress": st.lists(rules(), max_size=3),
        "types": st.lists(st.sampled_from(["Ingress", "Egress"]), unique=True),
        "service_account_selector": st.just("") | selectors(),
    }


def _built(build: Callable[..., Any], **fields: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.fixed_dictionaries(fields).map(lambda values: build(**values))


def policies() -> SearchStrategy[NetworkPolicy]:
    """NetworkPolicies in two namespaces."""
    namespace = st.sampled_from(["default", "blue"])
    return _built(builders.a_policy, namespace=namespace, **_policy_fields())


def global_policies() -> SearchStrategy[GlobalNetworkPolicy]:
    """GlobalNetworkPolicies, without the host flavours."""
    texts = st.just("") | selectors()
    return _built(builders.a_global_policy, namespace_selector=texts, **_policy_fields())


def endpoint_ports() -> SearchStrategy[EndpointPort]:
    """Named ports of endpoints."""
    return st.builds(
        EndpointPort,
        name=st.sampled_from(["http", "dns"]),
        protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
        port=st.integers(1, 65535),
    )


def endpoints() -> SearchStrategy[WorkloadEndpoint]:
    """Workload endpoints on two nodes, in two namespaces."""
    return _built(
        builders.an_endpoint,
        namespace=st.sampled_from(["default", "blue"]),
        node=st.sampled_from(["node-1", "node-2"]),
        container_id=names(),
        labels=labels(),
        ip_networks=st.tuples(addresses(4), addresses(6)).map(
            lambda pair: [f"{pair[0]}/32", f"{pair[1]}/128"]
        ),
        profiles=st.lists(names(), max_size=2, unique=True),
        ports=st.lists(endpoint_ports(), max_size=2),
    )


def host_endpoints() -> SearchStrategy[Resource]:
    """Host endpoints of two nodes, by name, by address, and of all interfaces."""
    ports = st.builds(
        HostPort,
        name=st.sampled_from(["http", "dns"]),
        protocol=st.sampled_from(["TCP", "UDP"]),
        port=st.integers(1, 65535),
    )
    return _built(
        builders.a_host_endpoint,
        name=names(),
        node=st.sampled_from(["node-1", "node-2"]),
        interface_name=st.sampled_from(["eth0", "bond0.100", "*"]),
        expected_ips=st.lists(st.one_of(addresses(4), addresses(6)), max_size=2, unique=True),
        labels=labels(),
        profiles=st.lists(names(), max_size=2, unique=True),
        ports=st.lists(ports, max_size=2),
    )


def pools() -> SearchStrategy[Resource]:
    """IPPools of both families."""
    prefixes: SearchStrategy[str] = st.sampled_from(["10.65.0.0/16", "10.66.0.0/20", "fd65::/64"])
    return _built(
        builders.a_pool,
        name=names(),
        cidr=prefixes,
        nat_outgoing=st.booleans(),
        disabled=st.booleans(),
        vxlan_mode=st.sampled_from(["Never", "Always", "CrossSubnet"]),
        node_selector=selectors(),
    )


def nodes() -> SearchStrategy[Resource]:
    """Nodes with addresses of one or both families."""
    bgp = st.builds(
        NodeBGPSpec,
        ipv4_address=addresses(4).map(lambda text: f"{text}/24"),
        ipv6_address=st.just("") | addresses(6),
        as_number=st.none() | st.integers(1, 2**32 - 1),
    )
    return _built(builders.a_node, name=names(), labels=labels(), bgp=bgp)


@composite
def filter_rules(draw: st.DrawFn, version: Literal[4, 6]) -> FilterRule:
    """Rules of BGP filters, with every condition and operation."""
    operators: list[MatchOperator] = ["Equal", "NotEqual", "In", "NotIn"]
    cidr = draw(st.just("") | cidrs(version))
    accepts = draw(st.booleans())
    community = st.sampled_from(["65000:1", "65000:1:2"])
    number: SearchStrategy[int | str] = st.integers(1, 2**32 - 1)
    operations = st.one_of(
        st.builds(FilterOperation, add_community=st.builds(AddCommunity, value=community)),
        st.builds(
            FilterOperation,
            prepend_as_path=st.builds(
                PrependASPath, prefix=st.lists(number, min_size=1, max_size=3)
            ),
        ),
        st.builds(
            FilterOperation, set_priority=st.builds(SetPriority, value=st.integers(1, 2**31 - 2))
        ),
    )
    return FilterRule(
        cidr=cidr,
        match_operator=draw(st.sampled_from(operators)) if cidr else None,
        prefix_length=draw(st.none() | st.just(PrefixLengths(min=8, max=30))) if cidr else None,
        source=draw(st.sampled_from([None, "RemotePeers"])),
        interface=draw(st.sampled_from(["", "eth0", "cali*"])),
        peer_type=draw(st.sampled_from([None, "eBGP", "iBGP"])),
        communities=draw(
            st.none() | st.builds(CommunityMatch, values=community.map(lambda value: [value]))
        ),
        as_path_prefix=draw(st.lists(number, max_size=2)),
        priority=draw(st.none() | st.integers(1, 2**31 - 2)),
        action="Accept" if accepts else "Reject",
        operations=draw(st.lists(operations, max_size=2)) if accepts else [],
    )


def kubernetes_peers() -> SearchStrategy[list[PolicyPeer]]:
    """Peers of Kubernetes policies, also with selectors that are there and empty."""
    selector = st.builds(LabelSelector, match_labels=st.just({}) | labels())
    block = st.builds(IPBlock, cidr=cidrs(4))
    peer = st.builds(PolicyPeer, pod_selector=selector) | st.builds(PolicyPeer, ip_block=block)
    return st.lists(peer, max_size=2)


def _others() -> tuple[SearchStrategy[Resource], ...]:
    both = st.one_of(cidrs(4), cidrs(6), addresses(4), addresses(6))
    nets = st.lists(both, max_size=4)
    rule_lists = st.lists(rules(), max_size=2)
    return (
        _built(builders.a_tier, name=names(), order=st.floats(0, 1e9)),
        _built(builders.a_network_set, name=names(), labels=labels(), nets=nets),
        _built(builders.a_global_network_set, name=names(), labels=labels(), nets=nets),
        _built(
            builders.a_profile,
            name=names(),
            labels_to_apply=labels(),
            ingress=rule_lists,
            egress=rule_lists,
        ),
        _built(builders.a_reservation, name=names(), reserved_cidrs=nets),
        _built(
            builders.a_bgp_filter,
            name=names(),
            export_v4=st.lists(filter_rules(4), max_size=3),
            import_v6=st.lists(filter_rules(6), max_size=3),
        ),
        _built(
            builders.a_staged_policy,
            staged_action=st.sampled_from(["Set", "Learn", "Ignore"]),
            **_policy_fields(),
        ),
        _built(builders.a_staged_global_policy, **_policy_fields()),
        _built(
            builders.a_staged_kubernetes_policy,
            ingress=st.lists(st.builds(IngressRule, from_=kubernetes_peers()), max_size=2),
        ),
        _built(
            builders.a_kube_controllers_configuration,
            prometheus_metrics_port=st.none() | st.integers(0, 65535),
        ),
        _built(builders.a_bgp_peer, name=names(), as_number=st.integers(1, 2**32 - 1)),
        _built(builders.a_bgp_configuration, as_number=st.integers(1, 2**32 - 1)),
        _built(
            builders.a_felix_configuration,
            reporting_interval=st.integers(0, 999).map(lambda seconds: f"{seconds}s"),
            health_enabled=st.none() | st.booleans(),
        ),
        _built(builders.a_cluster_information, calico_version=st.sampled_from(["", "v3.32.1"])),
    )


def resources() -> SearchStrategy[Resource]:
    """Resources of every kind."""
    return st.one_of(
        policies(), global_policies(), endpoints(), host_endpoints(), pools(), nodes(), *_others()
    )
