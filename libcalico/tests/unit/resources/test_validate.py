import pytest
from hypothesis import given, settings

from libcalico.errors import ValidationError
from libcalico.resources.bgp import (
    BGPPassword,
    Community,
    PrefixAdvertisement,
    SecretKeySelector,
    ServiceCIDR,
)
from libcalico.resources.endpoints import IPNAT, EndpointPort, QoSControls
from libcalico.resources.felixconfig import HealthTimeoutOverride, ProtoPort, RouteTableRange
from libcalico.resources.hostendpoints import HostPort
from libcalico.resources.model import ObjectMeta
from libcalico.resources.nodes import (
    NodeAddress,
    NodeBGPSpec,
    NodeInterface,
    NodeWireguardSpec,
)
from libcalico.resources.policy import (
    HTTPMatch,
    ICMPFields,
    RuleMetadata,
    ServiceAccountMatch,
    ServiceMatch,
    Tier,
    TierSpec,
)
from libcalico.resources.validate import problems_with, validate
from libcalico.testing import builders as a
from libcalico.testing.strategies import resources


def port(**fields):
    return EndpointPort(**{"name": "http", "protocol": "TCP", "port": 80, **fields})


def rule(**fields):
    return a.a_policy(ingress=[a.a_rule(**fields)])


def egress(**fields):
    return a.a_global_policy(egress=[a.a_rule(**fields)])


def http(**fields):
    return HTTPMatch(**fields)


BROKEN = [
    # metadata
    (a.a_pool(name=""), "metadata.name: missing"),
    (a.a_pool(name="", generate_name="p-"), "metadata.name: missing; generateName is not supported"),
    (a.a_pool(name="Big"), "metadata.name: 'Big' is no name"),
    (a.a_pool(name="x" * 254), "metadata.name: "),
    (a.a_tier(name="a.b"), "metadata.name: 'a.b' is not allowed for a Tier"),
    (a.a_tier(name="x" * 64), "metadata.name: "),
    (a.a_global_policy(name="a.b.c"), "metadata.name: 'a.b.c' is not allowed"),
    (a.a_policy(name="knq.default.a.b"), "metadata.name: 'knq.default.a.b' is not allowed"),
    (a.a_policy(namespace=""), "metadata.namespace: missing"),
    (a.a_pool(namespace="x"), "metadata.namespace: namespace should not be specified"),
    (a.a_policy(namespace="a/b"), "metadata.namespace: 'a/b' is no name"),
    (a.a_pool(labels={"a b": ""}), "metadata.labels['a b']: the key"),
    (a.a_pool(labels={"A_/b": ""}), "metadata.labels['A_/b']: the prefix 'A_'"),
    (a.a_pool(labels={"a": "-"}), "metadata.labels['a']: the value '-'"),
    (a.a_pool(annotations={"a": "x" * 262144}), "metadata.annotations: 262145 bytes"),
    (a.a_pool(annotations={"?": ""}), "metadata.annotations['?']: the key"),
    (a.a_pool(creation_timestamp="yesterday"), "metadata.creationTimestamp: 'yesterday' is no time"),
    (a.a_pool(creation_timestamp="2026-13-02T03:04:05Z"), "metadata.creationTimestamp: "),
    (a.a_pool(creation_timestamp="2026-01-02T03:04:05"), "metadata.creationTimestamp: "),
    (a.a_pool(creation_timestamp="2026-01-02"), "metadata.creationTimestamp: "),
    # shape, when built in Python
    (a.a_pool(vxlan_mode="Sometimes"), "spec.vxlanMode: 'Sometimes' is not allowed"),
    (a.a_policy(types=["Both"]), "spec.types[0]: 'Both' is not allowed"),
    (a.a_policy(order=float("nan")), "spec.order: expected a number"),
    (a.a_node(interfaces=[NodeInterface(name=5)]),
     "spec.interfaces[0].name: expected text, got 5"),
    # pools
    (a.a_pool(cidr=""), "spec.cidr: missing"),
    (a.a_pool(cidr="10.0.0.0"), "spec.cidr: '10.0.0.0' is no CIDR"),
    (a.a_pool(cidr="10.0.0.0/255.0.0.0"), "is no CIDR"),
    (a.a_pool(cidr="10.0.0.1/16"), "did you mean '10.0.0.0/16'?"),
    (a.a_pool(cidr="169.254.0.0/20"), "link-local range 169.254.0.0/16"),
    (a.a_pool(cidr="fe80::/64"), "link-local range fe80::/10"),
    (a.a_pool(block_size=19), "spec.blockSize: 19 is out of range; an IPv4 pool has 20 to 32"),
    (a.a_pool(cidr="fd00::/64", block_size=26), "an IPv6 pool has 116 to 128"),
    (a.a_pool(cidr="10.0.0.0/27"), "spec.cidr: 10.0.0.0/27 is smaller than one block of /26"),
    (a.a_pool(cidr="fd00::/64", ipip_mode="Always"), "spec.ipipMode: IPIP carries IPv4 only"),
    (a.a_pool(ipip_mode="Always", vxlan_mode="Always"), "spec.vxlanMode: cannot be set together"),
    (a.a_pool(node_selector="a ="), "spec.nodeSelector: "),
    (a.a_pool(node_selector="global()"), "spec.nodeSelector: global() is not allowed"),
    (a.a_pool(namespace_selector="a == 'b'"), "spec.namespaceSelector: cannot be set for a pool of"),
    (a.a_pool(allowed_uses=["Tunnel", "Tunnel"]), "spec.allowedUses: 'Tunnel' is there twice"),
    (a.a_pool(allowed_uses=["LoadBalancer", "Tunnel"]), "LoadBalancer cannot be combined"),
    (a.a_pool(allowed_uses=["LoadBalancer"], ipip_mode="Always"), "neither ipipMode nor vxlanMode"),
    (a.a_pool(allowed_uses=["LoadBalancer"], node_selector="has(a)"), "spec.nodeSelector: must be"),
    (a.a_pool(allowed_uses=["LoadBalancer"], disable_bgp_export=True), "spec.disableBGPExport"),
    # network sets
    (a.a_network_set(nets=["10.0.0.0/8", "x"]), "spec.nets[1]: 'x' is neither"),
    (a.a_network_set(nets=["fe80::1%eth0"]), "spec.nets[0]"),
    (a.a_global_network_set(labels={"projectcalico.org/namespace": "x"}), "cannot be set on a net"),
    # host endpoints
    (a.a_host_endpoint(node=""), "spec.node: missing"),
    (a.a_host_endpoint(node="n" * 254), "is too long"),
    (a.a_host_endpoint(interface_name=""), "spec: must have interfaceName or expectedIPs"),
    (a.a_host_endpoint(interface_name="eth 0"), "spec.interfaceName: 'eth 0'"),
    (a.a_host_endpoint(interface_name="e*"), "spec.interfaceName: 'e*'"),
    (a.a_host_endpoint(expected_ips=["10.0.0.1", "x"]), "spec.expectedIPs[1]: 'x' is no IP"),
    (a.a_host_endpoint(expected_ips=["10.0.0.1/32"]), "spec.expectedIPs[0]"),
    (a.a_node().with_(status={"wireguardPublicKey": "c2hvcnQ="}),
     "status.wireguardPublicKey: 'c2hvcnQ=' is no WireGuard key"),
    (a.a_node().with_(status={"wireguardPublicKeyV6": 7}), "status.wireguardPublicKeyV6: 7 is no"),
    (a.a_host_endpoint(expected_ips=["10.0.0.1"] * 2), "spec.expectedIPs: '10.0.0.1' is there twice"),
    (a.a_host_endpoint(profiles=["web", "web"]), "spec.profiles: 'web' is there twice"),
    (a.a_host_endpoint(profiles=["A"]), "spec.profiles[0]: 'A' is no name"),
    (a.a_host_endpoint(ports=[HostPort("http", "ICMP", 1)]), "spec.ports[0].protocol: 'ICMP' has"),
    (a.a_host_endpoint(ports=[HostPort("http", "TCP", 0)]), "spec.ports[0].port: 0 is out of range"),
    # policies
    (a.a_policy(tier="A"), "spec.tier: 'A' is no name"),
    (a.a_policy(selector="global()"), "spec.selector: global() is not allowed"),
    (a.a_policy(selector="has("), "spec.selector: "),
    (a.a_policy(service_account_selector="a"), "spec.serviceAccountSelector: "),
    (a.a_policy(types=["Ingress", "Ingress"]), "spec.types: 'Ingress' is there twice"),
    (a.a_global_policy(namespace_selector="global()"), "spec.namespaceSelector: global() is not"),
    (a.a_global_policy(do_not_track=True, pre_dnat=True, apply_on_forward=True),
     "spec.preDNAT: cannot be true together"),
    (a.a_global_policy(do_not_track=True), "spec.applyOnForward: must be true because spec.doNotT"),
    (a.a_global_policy(pre_dnat=True), "spec.applyOnForward: must be true because spec.preDNAT"),
    (a.a_global_policy(pre_dnat=True, apply_on_forward=True, egress=[a.a_rule()]), "spec.egress: "),
    (a.a_global_policy(pre_dnat=True, apply_on_forward=True, types=["Ingress", "Egress"]),
     "spec.types: a preDNAT"),
    # rules
    (rule(protocol="TPC"), "spec.ingress[0].protocol: 'TPC' is no protocol; use one of TCP, UDP"),
    (rule(protocol=0), "spec.ingress[0].protocol: 0 is out of range"),
    (rule(not_protocol=256), "spec.ingress[0].notProtocol: 256 is out of range"),
    (rule(icmp=ICMPFields(type=3)), "spec.ingress[0].icmp: needs protocol ICMP or ICMPv6"),
    (rule(protocol="ICMP", icmp=ICMPFields(code=3)), "spec.ingress[0].icmp.code: needs a type"),
    (rule(protocol="ICMP", icmp=ICMPFields(type=255)), "icmp.type: 255 is out of range"),
    (rule(not_icmp=ICMPFields(type=3, code=256)), "notICMP.code: 256 is out of range"),
    (rule(protocol="ICMP", ip_version=6), "ingress[0].ipVersion: 6 contradicts protocol ICMP"),
    (rule(protocol="ICMPv6", ip_version=4), "ingress[0].ipVersion: 4 contradicts protocol ICMPv6"),
    (rule(source={"nets": ["10.0.0.1"]}), "ingress[0].source.nets[0]: '10.0.0.1' is no CIDR"),
    (rule(source={"nets": ["10.0.0.1/8"]}), "did you mean '10.0.0.0/8'?"),
    (rule(source={"not_nets": ["0.0.0.0/0"]}), "source.notNets[0]: '0.0.0.0/0' excludes every"),
    (rule(source={"nets": ["10.0.0.0/8"]}, destination={"not_nets": ["fd00::/8"]}),
     "spec.ingress[0]: rule contains both IPv4 and IPv6 CIDRs"),
    (rule(source={"nets": ["10.0.0.0/8"]}, ip_version=6), "ipVersion: 6 contradicts the family"),
    (rule(source={"ports": [80]}), "source.ports: numbers need a protocol"),
    (rule(source={"not_ports": ["1:2"]}), "source.notPorts: numbers need a protocol"),
    (rule(protocol="ICMP", source={"ports": ["http"]}), "source.ports: protocol ICMP has no ports"),
    (rule(protocol="TCP", source={"ports": [0]}), "source.ports[0]: 0 is no port"),
    (rule(protocol="TCP", source={"ports": ["9:8"]}), "source.ports[0]: '9:8' is no range"),
    (rule(protocol="TCP", source={"ports": ["a b"]}), "source.ports[0]: 'a b' is no port"),
    (rule(protocol="TCP", source={"ports": [99999]}), "source.ports[0]: 99999 is no port"),
    (rule(source={"selector": "global()"}), "source.selector: global() is not allowed"),
    (rule(source={"not_selector": "a =="}), "source.notSelector: "),
    (rule(source={"namespace_selector": "global() || has(a)"}), "global() cannot be combined"),
    (rule(source={"service_accounts": ServiceAccountMatch(names=["?"])}), "serviceAccounts.names[0]"),
    (rule(source={"service_accounts": ServiceAccountMatch(selector="?")}),
     "serviceAccounts.selector"),
    (rule(metadata=RuleMetadata(annotations={"?": "x"})), "metadata.annotations['?']"),
    (rule(source={"services": ServiceMatch()}), "source.services.name: missing"),
    (rule(destination={"services": ServiceMatch(name="s")}), "ingress rules have services in their"),
    (rule(source={"services": ServiceMatch(name="s"), "nets": ["10.0.0.0/8"]}),
     "source.nets: cannot be combined with services"),
    (egress(protocol="TCP", destination={"services": ServiceMatch(name="s"), "ports": [80]}),
     "destination.ports: cannot be combined with services"),
    (egress(destination={"services": ServiceMatch(name="s")}), "services.namespace: missing"),
    (egress(source={"services": ServiceMatch(name="s", namespace="n")}), "in their destination only"),
    (rule(action="Deny", http=http()), "http: only an Allow rule may match HTTP"),
    (egress(http=http()), "http: only ingress rules may match HTTP"),
    (rule(protocol=6, http=http()), "http: needs protocol TCP"),
    (rule(http=http(methods=["GET", "GET"])), "http.methods: 'GET' is there twice"),
    (rule(http=http(methods=[str(n) for n in range(21)])), "http.methods: 21 are too many"),
    (rule(http=http(paths=[{"exact": "x"}])), "http.paths[0]: 'x' is no path"),
    (rule(http=http(paths=[{"exact": "/x", "prefix": "/"}])), "http.paths[0]: write either"),
    # profiles and tiers
    (a.a_profile(labels_to_apply={"a b": "c"}), "spec.labelsToApply['a b']: the key"),
    (a.a_profile(egress=[a.a_rule(protocol="x")]), "spec.egress[0].protocol"),
    (a.a_tier(name="default", order=5.0), "spec.order: must be 1000000 in tier 'default'"),
    (a.a_tier(name="kube-admin", default_action="Deny"), "spec.defaultAction: must be Pass"),
    # endpoints
    (a.an_endpoint(name="other"), "expected name node--1-cni-abc123-eth0"),
    (a.an_endpoint(node=""), "spec.node: insufficient identifiers, missing 'node'"),
    (a.an_endpoint(orchestrator="k8s"), "spec.pod: insufficient identifiers, missing 'pod'"),
    (a.an_endpoint(endpoint="-x"), "spec.endpoint: '-x' must not begin or end with '-'"),
    (a.an_endpoint(interface_name=""), "spec.interfaceName: missing"),
    (a.an_endpoint(interface_name="x" * 16), "is no interface name"),
    (a.an_endpoint(container_id="a_b"), "spec.containerID: 'a_b' is no container id"),
    (a.an_endpoint(mac="ee"), "spec.mac: 'ee' is no MAC address"),
    (a.an_endpoint(profiles=["A"]), "spec.profiles[0]: 'A' is no name"),
    (a.an_endpoint(ip_networks=["10.0.0.1"]), "spec.ipNetworks[0]: '10.0.0.1' is no address"),
    (a.an_endpoint(ip_networks=["10.0.0.0/31"]), "more than one address; the length must be 32"),
    (a.an_endpoint(ipv4_gateway="fd00::1"), "spec.ipv4Gateway: 'fd00::1' is no IPv4 address"),
    (a.an_endpoint(allow_spoofed_source_prefixes=["x"]), "spec.allowSpoofedSourcePrefixes[0]"),
    (a.an_endpoint(ports=[port(name="a b")]), "spec.ports[0].name: 'a b' is no port name"),
    (a.an_endpoint(ports=[port(protocol="ICMP")]), "spec.ports[0].protocol: 'ICMP' has no ports"),
    (a.an_endpoint(ports=[port(port=0)]), "spec.ports[0].port: 0 is out of range"),
    (a.an_endpoint(ports=[port(host_port=-1)]), "spec.ports[0].hostPort: -1 is out of range"),
    (a.an_endpoint(ports=[port(host_ip="x")]), "spec.ports[0].hostIP: 'x' is no IP address"),
    (a.an_endpoint(ip_nats=[IPNAT(internal_ip="10.9.9.9", external_ip="1.1.1.1")]),
     "spec.ipNATs[0].internalIP: 10.9.9.9 is not in spec.ipNetworks"),
    (a.an_endpoint(ip_nats=[IPNAT(internal_ip="10.65.0.1", external_ip="fd00::1")]), "one family"),
    (a.an_endpoint(ip_nats=[IPNAT(internal_ip="x")]), "spec.ipNATs[0].internalIP: 'x' is no IP"),
    (a.an_endpoint(qos_controls=QoSControls(ingress_bandwidth=1)), "qosControls.ingressBandwidth: 1"),
    (a.an_endpoint(qos_controls=QoSControls(egress_bandwidth=2000, egress_peakrate=2000)),
     "spec.qosControls.egressPeakrate: must be above egressBandwidth"),
    (a.an_endpoint(qos_controls=QoSControls(dscp=64)), "spec.qosControls.dscp: 64 is out of range"),
    (a.an_endpoint(qos_controls=QoSControls(dscp="XX")), "spec.qosControls.dscp: 'XX' is no DSCP"),
    # nodes
    (a.a_node(bgp=NodeBGPSpec()), "spec.bgp: must not be empty"),
    (a.a_node(bgp=NodeBGPSpec(as_number="x")), "spec.bgp.asNumber: 'x' is no AS number"),
    (a.a_node(bgp=NodeBGPSpec(as_number=2**32)), "spec.bgp.asNumber: 4294967296 is no AS number"),
    (a.a_node(bgp=NodeBGPSpec(ipv4_address="fd00::1")), "spec.bgp.ipv4Address: 'fd00::1' is no IPv4"),
    (a.a_node(bgp=NodeBGPSpec(ipv6_address="x")), "spec.bgp.ipv6Address: 'x' is no address"),
    (a.a_node(bgp=NodeBGPSpec(ipv4_ipip_tunnel_addr="x")), "spec.bgp.ipv4IPIPTunnelAddr"),
    (a.a_node(bgp=NodeBGPSpec(route_reflector_cluster_id="1")), "spec.bgp.routeReflectorClusterID"),
    (a.a_node(ipv4_vxlan_tunnel_addr="x"), "spec.ipv4VXLANTunnelAddr: 'x' is no IP address"),
    (a.a_node(vxlan_tunnel_mac_addr="x"), "spec.vxlanTunnelMACAddr: 'x' is no MAC address"),
    (a.a_node(wireguard=NodeWireguardSpec()), "spec.wireguard: must not be empty"),
    (a.a_node(wireguard=NodeWireguardSpec(interface_ipv4_address="x")),
     "spec.wireguard.interfaceIPv4Address"),
    (a.a_node(addresses=[NodeAddress(address="x")]), "spec.addresses[0].address: 'x' is no address"),
    (a.a_node(interfaces=[NodeInterface(name="", addresses=["y"])]), "interfaces[0].name: missing"),
    (a.a_node(interfaces=[NodeInterface(name="e", addresses=["y"])]), "interfaces[0].addresses[0]"),
    # BGP
    (a.a_bgp_configuration(name="x"), "metadata.name: 'x' is not allowed"),
    (a.a_bgp_configuration(name="node.n", as_number=1),
     "spec.asNumber: Cannot set asNumber on a non default BGP Configuration."),
    (a.a_bgp_configuration(log_severity_screen="Loud"), "spec.logSeverityScreen: 'Loud'"),
    (a.a_bgp_configuration(listen_port=65536), "spec.listenPort: 65536 is out of range"),
    (a.a_bgp_configuration(node_mesh_max_restart_time="x"), "spec.nodeMeshMaxRestartTime: 'x'"),
    (a.a_bgp_configuration(node_mesh_max_restart_time="1s", node_to_node_mesh_enabled=False),
     "spec.nodeMeshMaxRestartTime: cannot be set"),
    (a.a_bgp_configuration(node_mesh_password=BGPPassword()), "nodeMeshPassword.secretKeyRef.key"),
    (a.a_bgp_configuration(
        node_to_node_mesh_enabled=False,
        node_mesh_password=BGPPassword(secret_key_ref=SecretKeySelector(key="k")),
    ), "spec.nodeMeshPassword: cannot be set"),
    (a.a_bgp_configuration(service_cluster_ips=[ServiceCIDR(cidr="x")]),
     "spec.serviceClusterIPs[0].cidr"),
    (a.a_bgp_configuration(communities=[Community(name="c", value="1:2")]),
     "spec.communities: used by nothing"),
    (a.a_bgp_configuration(
        communities=[Community(name="c", value="1:70000")],
        prefix_advertisements=[PrefixAdvertisement(cidr="10.0.0.0/8", communities=["c"])],
    ), "spec.communities[0].value: '1:70000' is no community"),
    (a.a_bgp_configuration(prefix_advertisements=[PrefixAdvertisement(cidr="10.0.0.0/8")]),
     "spec.prefixAdvertisements[0].communities: missing"),
    (a.a_bgp_configuration(
        prefix_advertisements=[PrefixAdvertisement(cidr="x", communities=["y"])]
    ), "spec.prefixAdvertisements[0].communities[0]: 'y' is no community"),
    (a.a_bgp_configuration(ignored_interfaces=["*"]), "'*' would ignore every interface"),
    (a.a_bgp_configuration(local_workload_peering_ipv6="1.1.1.1"), "localWorkloadPeeringIPV6"),
    (a.a_bgp_configuration(ipv4_normal_route_priority=0), "spec.ipv4NormalRoutePriority: 0"),
    (a.a_bgp_peer(node="n", node_selector="all()"), "spec.nodeSelector: cannot be set together"),
    (a.a_bgp_peer(node_selector="x" * 5000), "spec.nodeSelector: 5000 characters are too many"),
    (a.a_bgp_peer(peer_selector="all()"), "spec.peerIP: cannot be set together with spec.peerSelect"),
    (a.a_bgp_peer(peer_ip="", peer_selector="all()"), "spec.asNumber: must be empty"),
    (a.a_bgp_peer(peer_ip="", as_number=None, local_workload_selector="all()"),
     "spec.asNumber: missing"),
    (a.a_bgp_peer(peer_ip="", peer_selector="all()", local_workload_selector="all()"),
     "spec.localWorkloadSelector: cannot be set together"),
    (a.a_bgp_peer(peer_ip="x"), "spec.peerIP: 'x' is no peer; write 10.0.0.1, 10.0.0.1:179"),
    (a.a_bgp_peer(peer_ip="10.0.0.1:0"), "spec.peerIP: '10.0.0.1:0' is no peer"),
    (a.a_bgp_peer(keep_original_next_hop=True, next_hop_mode="Self"), "spec.nextHopMode: cannot"),
    (a.a_bgp_peer(keepalive_time="x"), "spec.keepaliveTime: 'x' is no duration"),
    (a.a_bgp_peer(max_restart_time="-1s"), "spec.maxRestartTime: '-1s' is negative"),
    (a.a_bgp_peer(num_allowed_local_as_numbers=-1), "spec.numAllowedLocalASNumbers: -1"),
    (a.a_bgp_peer(ttl_security=256), "spec.ttlSecurity: 256 is out of range"),
    (a.a_bgp_peer(reachable_by="fd00::1"), "spec.reachableBy: fd00::1 is not of the family"),
    (a.a_bgp_peer(reachable_by="x"), "spec.reachableBy: 'x' is no IP address"),
    (a.a_bgp_peer(peer_ip="", reachable_by="10.0.0.1"), "spec.reachableBy: needs spec.peerIP"),
    (a.a_bgp_peer(filters=["A"]), "spec.filters[0]: 'A' is no name"),
    # Felix and the cluster
    (a.a_felix_configuration(reporting_interval="1.5s"), "without fractions"),
    (a.a_felix_configuration(log_severity_screen="Loud"), "spec.logSeverityScreen: expected one of"),
    (a.a_felix_configuration(nftables_mode="auto"), "spec.nftablesMode: 'auto' is not allowed"),
    (a.a_felix_configuration(health_port=70000), "spec.healthPort: expected a whole number from 0"),
    (a.a_felix_configuration(interface_prefix="a/b"), "spec.interfacePrefix: expected text that"),
    (a.a_felix_configuration(mtu_iface_pattern="("), "spec.mtuIfacePattern: expected a regular"),
    (a.a_felix_configuration(nat_port_range="http"), "spec.natPortRange: expected a port or a range"),
    (a.a_felix_configuration(nat_port_range=0), "spec.natPortRange: 0 is no port"),
    (a.a_felix_configuration(bpf_conntrack_timeouts={"tcpSynSent": "soon"}),
     "spec.bpfConntrackTimeouts.tcpSynSent: 'soon' is no duration"),
    (a.a_felix_configuration(bpf_conntrack_timeouts={"tcpSlowSent": "1s"}),
     "spec.bpfConntrackTimeouts.tcpSlowSent: there is no such timeout"),
    (a.a_felix_configuration(kube_node_port_ranges=[80] * 8), "at most 7 port ranges"),
    (a.a_felix_configuration(failsafe_inbound_host_ports=[ProtoPort(protocol="x", port=1)]),
     "spec.failsafeInboundHostPorts: 'x:1' is no port"),
    (a.a_felix_configuration(
        health_timeout_overrides=[HealthTimeoutOverride(name="a", timeout="1s")] * 2
    ), "spec.healthTimeoutOverrides: 'a' is set twice"),
    (a.a_felix_configuration(route_table_range=RouteTableRange(min=0, max=5)), "routeTableRange"),
    (a.a_felix_configuration(
        route_table_range=RouteTableRange(min=1, max=5),
        route_table_ranges=[RouteTableRange(min=1, max=5)],
    ), "spec.routeTableRange: cannot be set together"),
    (a.a_felix_configuration(node_selector="all()"), "spec.nodeSelector: cannot be set on 'default'"),
    (a.a_felix_configuration(name="rack"), "spec.nodeSelector: missing"),
    (a.a_cluster_information(name="x"), "metadata.name: 'x' is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "problem"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_broken_rule_is_named_with_its_place(resource, problem):
    found = problems_with(resource)
    assert any(problem in text for text in found), found


@given(resources())
@settings(max_examples=80)
def test_what_the_strategies_and_builders_make_is_valid(resource):
    assert problems_with(resource) == []


VALID = [
    a.a_pool(creation_timestamp="2026-01-02T03:04:05Z"),
    a.a_pool(creation_timestamp="2026-01-02T03:04:05.123456789+02:00"),
    a.a_pool(cidr="10.0.0.0/27", disabled=True),
    a.a_pool(namespace_selector="a == 'b'", allowed_uses=["Workload"]),
    a.a_pool(allowed_uses=["LoadBalancer"]),
    a.a_pool(node_selector="a == 'global()'"),
    a.a_host_endpoint(interface_name="*"),
    a.a_host_endpoint(interface_name="", expected_ips=["10.0.0.1", "fd00::1"]),
    a.a_host_endpoint(ports=[HostPort("http", "tcp", 80), HostPort("x", 17, 53)]),
    a.a_policy(name="knp.default.a.b.c"),
    a.a_policy(name="default.old"),
    rule(source={"namespace_selector": "global()"}),
    rule(source={"ports": ["http"]}),
    rule(protocol="TCP", source={"ports": [80, "8080:8090", "http"]}),
    rule(source={"services": ServiceMatch(name="s")}),
    rule(protocol="TCP", http=http(methods=["GET"], paths=[{"prefix": "/"}])),
    egress(destination={"services": ServiceMatch(name="s", namespace="n")}),
    a.a_global_policy(pre_dnat=True, apply_on_forward=True),
    a.a_tier(name="kube-baseline", order=None),
    a.an_endpoint(ports=[port(name="")]),
    a.an_endpoint(ip_nats=[IPNAT(internal_ip="10.65.0.1", external_ip="1.1.1.1")]),
    a.an_endpoint(qos_controls=QoSControls(ingress_bandwidth=1000, dscp="af41")),
    a.a_node(bgp=NodeBGPSpec(ipv4_address="10.0.0.5", route_reflector_cluster_id="1.0.0.1")),
    a.a_node(bgp=None),
    a.a_bgp_configuration(name="node.n-1", listen_port=179),
    a.a_bgp_configuration(
        communities=[Community(name="c", value="1:2:3")],
        prefix_advertisements=[PrefixAdvertisement(cidr="10.0.0.0/8", communities=["c", "5:6"])],
    ),
    a.a_bgp_peer(peer_ip="[fd00::1]:179", reachable_by="fd00::2"),
    a.a_bgp_peer(peer_ip="", as_number=None, peer_selector="has(rr)", node_selector="!has(rr)"),
    a.a_felix_configuration(
        log_severity_screen="debug",
        default_endpoint_to_host_action="ACCEPT",
        failsafe_inbound_host_ports=[],
        iptables_mark_mask=0xFFFF0000,
        nat_port_range="32768:65535",
        live_migration_route_convergence_time="1.5s",
        bpf_conntrack_timeouts={"tcpSynSent": "20s", "tcpFinsSeen": "Auto"},
    ),
    a.a_felix_configuration(name="rack", node_selector="rack == '1'"),
    a.a_felix_configuration(name="node.node-1"),
    a.a_node().with_(
        status={
            "wireguardPublicKey": "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=",
            "podCIDRs": [],
        }
    ),
]


@pytest.mark.parametrize("resource", VALID)
def test_what_is_allowed_is_accepted(resource):
    assert problems_with(resource) == []


def test_all_problems_are_in_one_error():
    with pytest.raises(ValidationError) as caught:
        validate(Tier(metadata=ObjectMeta(name="A", labels={"?": ""}), spec=TierSpec()))
    assert len(caught.value.problems) == 2
    assert str(caught.value) == "; ".join(caught.value.problems)


def test_fields_of_newer_versions_do_not_break_rules():
    pool = a.a_pool()
    pool.spec.keep_unknown({"colour": "blue"})
    assert problems_with(pool) == []
