"""Ports by number, by range and by name, of each protocol that has ports, with real packets.

Two endpoints have a port of the same name, one is selected, the other is not; a third sends to them, or
is sent to by two more.
"""

import itertools

import pytest

from calico_node.felix.dataplane.testing.frames import SCTP, TCP, UDP
from libcalico.resources.endpoints import EndpointPort
from libcalico.testing import builders as a

NAMES = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
OTHER = {TCP: UDP, UDP: SCTP, SCTP: TCP}
#: Which port of an endpoint has the name: of the selected one, of the other.
NAMED = {TCP: (80, 81), UDP: (82, 83), SCTP: (84, 85)}
NUMBERS = {0: [], 1: [443], 16: [443, "8000:8001", *range(9000, 9014)]}
TRIED = (80, 81, 82, 83, 84, 85, 443, 8001, 9013)
STRANGER = "198.51.100.5"
#: Side of the rule → interfaces and addresses of the two that have named ports.
ENDS = {
    "destination": (("cali1", "10.65.0.1"), ("cali2", "10.65.0.2")),
    "source": (("cali3", "10.65.0.3"), ("cali4", "10.65.0.4")),
}
HUB = "10.65.0.5"
RESTRICTIONS = {
    "nothing": {},
    "selector": {"selector": "role == 'meant'"},
    "nets": {"nets": ["10.65.0.1/32", "10.65.0.3/32", "192.0.2.0/24"]},
}


def ports_of(which):
    return [
        EndpointPort(name="web", protocol=NAMES[protocol], port=ports[which])
        for protocol, ports in NAMED.items()
    ]


@pytest.fixture
def cluster(basics, endpoint):
    return [
        *basics,
        endpoint("cali5"),
        *(
            endpoint(interface, labels={"role": role}, ports=ports_of(which))
            for ends in ENDS.values()
            for which, ((interface, _), role) in enumerate(
                zip(ends, ("meant", "other"), strict=True)
            )
        ),
    ]


def expected(protocol, sent, end, port, *, numbers, negated, restriction):
    """What the words of the rule say about a port of the first end, of the second, or of a stranger."""
    if sent != protocol or (restriction != "nothing" and end != 0):
        return False
    is_numbered = bool(numbers) and port in (443, 8001, 9013)[: 1 if numbers == 1 else 3]
    has_name = end != 2 and port == NAMED[protocol][end]
    return (is_numbered or has_name) != negated


@pytest.mark.parametrize("protocol", NAMES, ids=NAMES.values())
@pytest.mark.parametrize("side", ENDS)
def test_named_ports_among_numbers(ruled, packet, cluster, protocol, side):
    ends = [address for _, address in ENDS[side]]
    tried = [
        (sent, end, port)
        for sent in (protocol, OTHER[protocol])
        for end in range(3 if side == "destination" else 2)
        for port in TRIED
    ]
    for negated, numbers, restriction in itertools.product((False, True), NUMBERS, RESTRICTIONS):
        where = "not_ports" if negated else "ports"
        criteria = {where: [*NUMBERS[numbers], "web"], **RESTRICTIONS[restriction]}
        rule = a.a_rule("Allow", protocol=NAMES[protocol], **{side: criteria})
        rules = {"egress": [rule]} if side == "destination" else {"ingress": [rule]}
        policy = a.a_global_policy(
            name="ports", selector="name == 'cali5'", **{"ingress": [], "egress": [], **rules}
        )
        ruled.put(*cluster, policy)
        packets = [
            packet(HUB, [*ends, STRANGER][end], sent, port)
            if side == "destination"
            else packet(ends[end], HUB, sent, 53, sport=port)
            for sent, end, port in tried
        ]
        wanted = [
            expected(*one, numbers=numbers, negated=negated, restriction=restriction)
            for one in ((protocol, *t) for t in tried)
        ]
        found = dict(zip(tried, ruled.passes(*packets), strict=True))
        assert found == dict(zip(tried, wanted, strict=True)), (negated, numbers, restriction)


def test_a_name_without_a_protocol_is_that_port_of_any_protocol(ruled, packet, cluster):
    rule = a.a_rule("Allow", destination={"ports": ["web"]})
    policy = {"name": "any", "selector": "name == 'cali5'", "ingress": []}
    ruled.put(*cluster, a.a_global_policy(egress=[rule], **policy))
    for protocol, (mine, another) in NAMED.items():
        tried = [packet(HUB, "10.65.0.1", protocol, port) for port in (mine, another)]
        assert ruled.passes(*tried) == [True, False]


def test_a_range_ends_with_its_ends(ruled, packet, cluster):
    rule = a.a_rule("Allow", protocol="TCP", destination={"ports": ["100:200"]})
    policy = {"name": "range", "selector": "name == 'cali5'", "ingress": []}
    ruled.put(*cluster, a.a_global_policy(egress=[rule], **policy))
    tried = [packet(HUB, "10.65.0.1", TCP, port) for port in (99, 100, 150, 200, 201)]
    assert ruled.passes(*tried) == [False, True, True, True, False]
