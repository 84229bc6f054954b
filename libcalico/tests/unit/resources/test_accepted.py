"""Bounds of what a person may write: each rule's last allowed and first refused value.

Specs are written as in manifests and filled in as before storing. Source: calico-control-plane
reference, sections 1.4 and 2.1 to 2.7.
"""

import pytest

from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.defaults import with_defaults
from libcalico.resources.validate import problems_with

LONGEST_NAME = "a" * 253
NETS = {"nets": ["10.0.0.0/8"]}
SERVICE = {"services": {"name": "web", "namespace": "shop"}}
COMMUNITY = [{"name": "blue", "value": "1:2"}]


def manifest(kind, spec=None, name="a", **metadata):
    if kind.endswith("NetworkPolicy") and "Global" not in kind:
        metadata.setdefault("namespace", "default")
    metadata["name"] = name
    head = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata}
    return {**head, "spec": spec or {}}


def problems(document):
    try:
        return problems_with(with_defaults(codec.from_manifest(document)))
    except ValidationError as problem:
        return problem.problems


def pool(**spec):
    return manifest("IPPool", {"cidr": "10.0.0.0/16", **spec})


def peer(**spec):
    return manifest("BGPPeer", spec)


def config(name="default", **spec):
    return manifest("BGPConfiguration", spec, name)


def advertised(*communities, **spec):
    advertisement = {"cidr": "10.0.0.0/8", "communities": list(communities)}
    return config(prefixAdvertisements=[advertisement], **spec)


def filtered(version=4, **rule):
    return manifest("BGPFilter", {f"exportV{version}": [{"action": "Accept", **rule}]})


def policy(**spec):
    return manifest("GlobalNetworkPolicy", spec)


def ingress(**rule):
    return policy(ingress=[{"action": "Allow", **rule}])


def egress(**rule):
    return policy(egress=[{"action": "Allow", **rule}])


def tcp(**source):
    return ingress(protocol="TCP", source=source)


ACCEPTED = {
    "name of 253": pool() | {"metadata": {"name": LONGEST_NAME}},
    "tier of 63": manifest("Tier", name="a" * 63),
    "policy with one dot": manifest("GlobalNetworkPolicy", name="a.b"),
    "copy of kubernetes": manifest("NetworkPolicy", name="knp.default.a.b"),
    "copy of a security group": manifest("StagedNetworkPolicy", name="ossg.default.a.b"),
    "empty label value": manifest("IPPool", {"cidr": "10.0.0.0/16"}, labels={"a.b/C_d": ""}),
    "annotation in upper case": manifest("Tier", annotations={"Example.COM/Key": "?"}),
    "blocks of 20": pool(blockSize=20),
    "blocks of 32": pool(blockSize=32),
    "v6 blocks of 116": pool(cidr="fd00::/64", blockSize=116),
    "v6 blocks of 128": pool(cidr="fd00::/64", blockSize=128),
    "pool of one block": pool(cidr="10.0.0.0/26"),
    "small disabled pool": pool(cidr="10.0.0.0/30", disabled=True),
    "vxlan in v6": pool(cidr="fd00::/64", vxlanMode="CrossSubnet"),
    "reserved address": manifest("IPReservation", {"reservedCIDRs": ["10.0.0.1", "10.0.0.9/8"]}),
    "peer of nobody": peer(),
    "peer with port": peer(peerIP="10.0.0.1:65535", asNumber="1.10"),
    "peer selector with asn 0": peer(peerSelector="has(rr)", asNumber=0),
    "selected workloads": peer(localWorkloadSelector="all()", asNumber=64512),
    "keep and no mode": peer(keepOriginalNextHop=True, peerIP="10.0.0.1"),
    "mode and no keep": peer(keepOriginalNextHop=False, nextHopMode="Keep"),
    "ttl of 255": peer(ttlSecurity=255),
    "own asn 0 times": peer(numAllowedLocalASNumbers=0),
    "selector of 4096": peer(nodeSelector="all()".ljust(4096)),
    "level in any case": config(logSeverityScreen="dEBUG"),
    "port of a node": config("node.n", listenPort=65535),
    "first priority": config(ipv4NormalRoutePriority=1, ipv6NormalRoutePriority=2147483646),
    "named community": advertised("blue", communities=COMMUNITY),
    "unused community": advertised("1:2", communities=COMMUNITY),
    "largest community": advertised("65535:65535", "4294967295:0:4294967295"),
    "mesh's password": config(nodeMeshPassword={"secretKeyRef": {"name": "s", "key": "k"}}),
    "lengths of 0 to 32": filtered(
        cidr="10.0.0.0/8", matchOperator="In", prefixLength={"min": 0, "max": 32}
    ),
    "lengths up to 128": filtered(
        6, cidr="fd00::/8", matchOperator="NotIn", prefixLength={"max": 128}
    ),
    "any interface": filtered(interface="*", source="RemotePeers", peerType="eBGP"),
    "ten operations": filtered(operations=[{"setPriority": {"value": 1}}] * 10),
    "ten numbers": filtered(operations=[{"prependASPath": {"prefix": [64512] * 10}}]),
    "last type and code": ingress(protocol="ICMP", icmp={"type": 254, "code": 255}),
    "notICMP alone": ingress(notICMP={"type": 8}),
    "protocol in v4": ingress(protocol="ICMP", ipVersion=4, source=NETS),
    "protocol 255": ingress(protocol=255, notProtocol="UDPLite"),
    "protocol as digits": ingress(protocol="6", source={"ports": ["80", "1:65535"]}),
    "named port": ingress(source={"ports": ["http"], "notPorts": ["a" * 128]}),
    "other namespaces": ingress(source={"namespaceSelector": "global()"}),
    "service of source": ingress(source=SERVICE),
    "service and port": tcp(**SERVICE, ports=[80]),
    "service of destination": egress(destination=SERVICE),
    "service of the own namespace": manifest(
        "NetworkPolicy", {"ingress": [{"action": "Allow", "source": {"services": {"name": "a"}}}]}
    ),
    "twenty paths": ingress(http={"paths": [{"prefix": "/"}] * 20, "methods": ["GET", "PUT"]}),
    "untracked": policy(doNotTrack=True, applyOnForward=True, egress=[{"action": "Deny"}]),
    "before nat": policy(preDNAT=True, applyOnForward=True, types=["Ingress"]),
    "fractional order": policy(order=-0.5, performanceHints=["AssumeNeededOnEveryNode"]),
    "staged deletion": manifest(
        "StagedNetworkPolicy", {"stagedAction": "Delete", "tier": "a", "types": ["Egress"]}
    ),
}

REFUSED = {
    "name of 254": (pool() | {"metadata": {"name": LONGEST_NAME + "a"}}, "metadata.name"),
    "security group of all": (
        manifest("GlobalNetworkPolicy", name="ossg.default.a"),
        "metadata.name",
    ),
    "staged with two dots": (
        manifest("StagedGlobalNetworkPolicy", name="a.b.c"),
        "metadata.name",
    ),
    "label of 64": (manifest("Tier", labels={"a": "b" * 64}), "metadata.labels"),
    "blocks of 33": (pool(blockSize=33), "spec.blockSize"),
    "v6 blocks of 115": (pool(cidr="fd00::/64", blockSize=115), "spec.blockSize"),
    "v6 blocks of 129": (pool(cidr="fd00::/64", blockSize=129), "spec.blockSize"),
    "pool under a block": (pool(cidr="10.0.0.0/27"), "spec.cidr"),
    "pool over link-local": (pool(cidr="169.0.0.0/8"), "link-local"),
    "unknown use": (pool(allowedUses=["Host"]), "spec.allowedUses[0]"),
    "mode in lower case": (pool(ipipMode="always"), "write 'Always'"),
    "reserved name": (manifest("IPReservation", {"reservedCIDRs": ["a"]}), "reservedCIDRs[0]"),
    "port over the last": (peer(peerIP="10.0.0.1:65536"), "spec.peerIP"),
    "v6 port without brackets": (peer(peerIP="10.0.0.1:"), "spec.peerIP"),
    "peer with a length": (peer(peerIP="10.0.0.1/32"), "spec.peerIP"),
    "asn of 33 bits": (peer(asNumber=2**32), "spec.asNumber"),
    "half of 17 bits": (peer(asNumber="1.65536"), "spec.asNumber"),
    "asn as a fraction": (peer(asNumber=1.5), "spec.asNumber"),
    "asn of no digits": (peer(asNumber=""), "spec.asNumber"),
    "workloads with asn 0": (peer(localWorkloadSelector="all()", asNumber=0), "spec.asNumber"),
    "selector of 4097": (peer(nodeSelector="all()".ljust(4097)), "4097 characters"),
    "workloads of 1025": (
        peer(localWorkloadSelector="all()".ljust(1025), asNumber=1),
        "1025 characters",
    ),
    "keep and mode": (peer(keepOriginalNextHop=True, nextHopMode="Auto"), "spec.nextHopMode"),
    "negative ttl": (peer(ttlSecurity=-1), "spec.ttlSecurity"),
    "password of no key": (peer(password={"secretKeyRef": {"name": "s"}}), "secretKeyRef.key"),
    "negative port": (config(listenPort=-1), "spec.listenPort"),
    "mesh of a node": (config("node.n", nodeToNodeMeshEnabled=True), "nodeToNodeMeshEnabled"),
    "services of a node": (
        config("node.n", serviceClusterIPs=[{"cidr": "10.0.0.0/8"}]),
        "Cannot set serviceClusterIPs on a non default BGP Configuration.",
    ),
    "service address with host bits": (
        config(serviceLoadBalancerIPs=[{"cidr": "10.0.0.1/8"}]),
        "serviceLoadBalancerIPs[0].cidr",
    ),
    "no advertisement": (config(communities=COMMUNITY), "spec.communities: used by nothing"),
    "community's name": (
        advertised("1:2", communities=[{"name": "Sky Blue", "value": "1:2"}]),
        "spec.communities[0].name: 'Sky Blue' is no name",
    ),
    "half of a community": (advertised("65536:1"), "communities[0]"),
    "third of a community": (advertised("1:2:4294967296"), "communities[0]"),
    "last priority": (config(ipv6NormalRoutePriority=2147483647), "ipv6NormalRoutePriority"),
    "length of 33": (
        filtered(cidr="10.0.0.0/8", matchOperator="In", prefixLength={"max": 33}),
        "prefixLength.max",
    ),
    "length alone": (filtered(prefixLength={"max": 8}), "prefixLength: needs a cidr"),
    "operator alone": (filtered(matchOperator="In"), "cidr: missing"),
    "v6 in v4": (filtered(cidr="fd00::/8", matchOperator="In"), "is no IPv4 CIDR"),
    "interface of 16": (filtered(interface="a" * 16), "interface"),
    "two communities": (filtered(communities={"values": ["1:2", "1:3"]}), "exactly one"),
    "priority 0": (filtered(priority=0), "priority"),
    "eleven operations": (
        filtered(operations=[{"setPriority": {"value": 1}}] * 11),
        "at most 10",
    ),
    "empty operation": (filtered(operations=[{}]), "exactly one of"),
    "eleven numbers": (
        filtered(operations=[{"prependASPath": {"prefix": [1] * 11}}]),
        "1 to 10",
    ),
    "operation of Reject": (
        filtered(action="Reject", operations=[{"setPriority": {"value": 1}}]),
        "action Accept",
    ),
    "action in lower case": (policy(ingress=[{"action": "allow"}]), "write 'Allow'"),
    "rule of no action": (policy(ingress=[{}]), "spec.ingress[0].action: missing"),
    "protocol in lower case": (ingress(protocol="tcp"), "'tcp' is no protocol; use TCP"),
    "not protocol in upper case": (ingress(notProtocol="ICMPV6"), "notProtocol: 'ICMPV6'"),
    "not icmp in v6": (
        ingress(notProtocol="ICMP", ipVersion=6),
        "ipVersion: 6 contradicts notProtocol ICMP",
    ),
    "not icmpv6 in v4": (ingress(notProtocol=58, ipVersion=4), "contradicts notProtocol ICMPv6"),
    "version 5": (ingress(ipVersion=5), "ipVersion"),
    "icmp of tcp": (ingress(protocol="TCP", icmp={"type": 8}), "icmp: needs protocol ICMP"),
    "not code alone": (ingress(notICMP={"code": 0}), "notICMP.code: needs a type"),
    "port of many digits": (tcp(ports=["99999999999"]), "ports[0]: '99999999999' is no port"),
    "range from 0": (tcp(ports=["0:1"]), "ports[0]"),
    "range past the last": (tcp(notPorts=["1:65536"]), "notPorts[0]"),
    "port's name of 129": (tcp(ports=["a" * 129]), "ports[0]"),
    "ports of UDPLite": (ingress(protocol="UDPLite", source={"ports": [1]}), "has no ports"),
    "all of v6 left out": (ingress(source={"notNets": ["::/0"]}), "could never match"),
    "accounts' selector": (tcp(serviceAccounts={"selector": "("}), "serviceAccounts.selector"),
    "service's name": (tcp(services={"name": "A b", "namespace": "n"}), "services.name: 'A b'"),
    "service's namespace": (tcp(services={"name": "a", "namespace": "N"}), "services.namespace"),
    "service and accounts": (
        tcp(**SERVICE, serviceAccounts={}),
        "serviceAccounts: cannot be combined with services",
    ),
    "service and other ports": (
        egress(protocol="TCP", destination={**SERVICE, "notPorts": [1]}),
        "notPorts: cannot be combined with services",
    ),
    "http of UDP": (ingress(protocol="UDP", http={"methods": ["GET"]}), "http: needs protocol TCP"),
    "path with a query": (ingress(http={"paths": [{"exact": "/a?b"}]}), "http.paths[0]"),
    "21 paths": (ingress(http={"paths": [{"exact": "/"}] * 21}), "http.paths: 21 are too many"),
    "three types": (policy(types=["Ingress", "Egress", "Egress"]), "spec.types"),
    "egress before nat": (
        policy(preDNAT=True, applyOnForward=True, types=["Egress"]),
        "spec.types: a preDNAT policy",
    ),
    "unknown hint": (policy(performanceHints=["Fast"]), "spec.performanceHints[0]"),
    "order as text": (policy(order="10"), "spec.order: expected a number"),
    "host fields of a namespace": (
        manifest("NetworkPolicy", {"doNotTrack": True}),
        "spec.doNotTrack: unknown field",
    ),
    "deletion with an order": (
        manifest("StagedNetworkPolicy", {"stagedAction": "Delete", "order": 1}),
        "spec.order: must be empty",
    ),
}


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_the_last_allowed_value_is_accepted(document):
    assert problems(document) == []


@pytest.mark.parametrize(("document", "problem"), REFUSED.values(), ids=REFUSED)
def test_the_first_value_beyond_is_refused(document, problem):
    found = problems(document)
    assert any(problem in text for text in found), found


@pytest.mark.parametrize(
    "rule",
    [
        {"protocol": "tcp", "source": {"ports": [80]}},
        {"protocol": "Tcp", "http": {"methods": ["GET"]}},
        {"protocol": "icmp", "icmp": {"type": 8}},
    ],
    ids=["ports", "http", "icmp"],
)
def test_a_protocol_in_the_wrong_case_is_one_mistake(rule):
    assert len(problems(ingress(**rule))) == 1


STORED = {
    "asn of 0": (peer(peerSelector="a", asNumber=0), b'{"peerSelector":"a"}'),
    "dotted asn": (peer(peerIP="10.0.0.1", asNumber="1.10"), b'"asNumber":65546'),
    "own asn of 0": (peer(localASNumber=0), b'{"localASNumber":0}'),
    "secret's name first": (
        peer(password={"secretKeyRef": {"key": "k", "name": "s"}}),
        b'"secretKeyRef":{"name":"s","key":"k"}',
    ),
    "port of digits": (tcp(ports=["80", "81:81", "1:2"]), b'"ports":[80,81,"1:2"]'),
    "protocol of digits": (ingress(protocol="17"), b'"protocol":17'),
    "whole order": (policy(order=10.0), b'"order":10,'),
}


@pytest.mark.parametrize(("document", "text"), STORED.values(), ids=STORED)
def test_values_are_stored_in_their_canonical_form(document, text):
    assert text in codec.encode(with_defaults(codec.from_manifest(document)))
