"""Endpoints and interface requests of an attachment, without I/O."""

from __future__ import annotations

import json

import pytest

from libcalico.errors import ValidationError
from libcalico.net.addresses import parse_cidr
from libcalico.netlink.routes import DEFAULT_PRIORITY_V6, PROTOCOL_BOOT, Route, encode_replace
from libcalico.netlink.rules import Rule, encode_add
from libcalico.resources import codec
from libcalico.resources.endpoints import EndpointPort
from libcalico.workload import plan, precedence, status
from libcalico.workload.fetch import fetch
from libcalico.workload.model import GATEWAY_V4, GATEWAY_V6, Attachment, Identity

MAC = bytes.fromhex("020000000001")
FOUR, SIX = parse_cidr("10.65.0.3/32"), parse_cidr("fd00::3/128")
WHO = Identity(
    node="node-1",
    orchestrator="cni",
    namespace="default",
    container_id="abc123",
    endpoint="eth0",
)


def an_attachment(**fields):
    defaults = {"identity": WHO, "host_interface": "caliabc123", "interface": "eth0"}
    return Attachment(**(defaults | fields))


def test_the_endpoint_is_stored_as_go_stores_it():
    attachment = an_attachment(labels={"app": "web"}, profiles=["net"])
    endpoint = plan.endpoint(attachment, MAC, [FOUR])
    assert codec.encode(endpoint) == (
        b'{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":'
        b'{"name":"node--1-cni-abc123-eth0","namespace":"default","labels":{"app":"web",'
        b'"projectcalico.org/namespace":"default","projectcalico.org/orchestrator":"cni"}},'
        b'"spec":{"orchestrator":"cni","node":"node-1","containerID":"abc123","endpoint":"eth0",'
        b'"ipNetworks":["10.65.0.3/32"],"profiles":["net"],"interfaceName":"caliabc123",'
        b'"mac":"02:00:00:00:00:01"}}'
    )


def test_labels_of_ours_cannot_be_overridden():
    attachment = an_attachment(labels={"projectcalico.org/namespace": "other"})
    endpoint = plan.endpoint(attachment, MAC, [FOUR])
    assert endpoint.metadata.labels["projectcalico.org/namespace"] == "default"


def test_an_incomplete_identity_has_no_name():
    with pytest.raises(ValidationError, match="containerID"):
        plan.endpoint_name(Identity(node="n", orchestrator="cni", namespace="d", endpoint="eth0"))


def test_annotations_are_stored_and_those_of_others_stay():
    stored = plan.endpoint(an_attachment(annotations={"mine": "1"}), MAC, [FOUR])
    assert stored.metadata.annotations == {"mine": "1"}
    annotations = stored.metadata.annotations | {"theirs": "2"}
    stored = stored.with_(metadata=stored.metadata.with_(annotations=annotations))
    wanted = plan.endpoint(an_attachment(annotations={"mine": "3"}), MAC, [FOUR])
    again = plan.again(stored, wanted)
    assert again.metadata.annotations == {"mine": "3", "theirs": "2"}


def test_attaching_again_keeps_what_others_added():
    stored = plan.endpoint(an_attachment(), MAC, [FOUR])
    spec = stored.spec.with_(ipv4_gateway="10.0.0.1")
    stored = stored.with_(spec=spec, metadata=stored.metadata.with_(annotations={"a": "b"}))
    ports = [EndpointPort(name="http", protocol="TCP", port=80)]
    wanted = plan.endpoint(an_attachment(labels={"x": "y"}, ports=ports), MAC[::-1], [SIX])
    merged = plan.again(stored, wanted)
    assert merged.metadata.annotations == {"a": "b"}
    assert merged.spec.ipv4_gateway == "10.0.0.1"
    assert (merged.spec.ip_networks, merged.metadata.labels["x"]) == ([str(SIX)], "y")
    assert (merged.spec.ports, merged.spec.mac) == (ports, "01:00:00:00:00:02")


def test_a_family_that_is_not_used_is_not_touched():
    assert not any("ipv6" in key for key in plan.host_sysctls("calix", [FOUR]))
    assert not any("ipv4" in key for key in plan.host_sysctls("calix", [SIX]))
    assert plan.inside_sysctls(an_attachment(), [FOUR]) == {}
    assert plan.host_gateway(3, [FOUR]) == []


def test_ipv6_addresses_wait_for_nothing():
    settings = plan.inside_sysctls(an_attachment(), [SIX])
    assert settings["net/ipv6/conf/eth0/accept_dad"] == "0"
    assert settings["net/ipv6/conf/all/disable_ipv6"] == "0"
    assert plan.host_sysctls("calix", [SIX])["net/ipv6/conf/calix/accept_dad"] == "0"


def test_requests_are_the_same_for_the_same_attachment():
    one = plan.inside(an_attachment(), 2, [FOUR, SIX])
    assert one == plan.inside(an_attachment(), 2, [FOUR, SIX])
    # lo, link; two addresses; a neighbour and a default route each; the link route of IPv4.
    assert len(one) == 2 + 2 + 4 + 1


def test_a_further_interface_does_not_take_the_default_route():
    default4, default6 = parse_cidr("0.0.0.0/0"), parse_cidr("::/0")
    assert precedence.priority_behind(3, []) == 0
    assert precedence.priority_behind(3, [Route(FOUR, 2), Route(default4, 3)]) == 0
    for default in (default4, default6):
        assert precedence.priority_behind(3, [Route(default, 2)]) > DEFAULT_PRIORITY_V6
    behind = plan.inside(an_attachment(), 3, [FOUR, SIX], 1027)
    first = plan.inside(an_attachment(), 3, [FOUR, SIX])
    assert sum(one != other for one, other in zip(behind, first, strict=False)) == 3


def test_what_comes_from_a_further_interfaces_addresses_leaves_by_it():
    requests = plan.inside(an_attachment(), 3, [FOUR, SIX], 1027)
    assert requests[-2:] == [encode_add(Rule(cidr, 1003, 1000)) for cidr in (FOUR, SIX)]
    for default, gateway in (
        (parse_cidr("0.0.0.0/0"), GATEWAY_V4),
        (parse_cidr("::/0"), GATEWAY_V6),
    ):
        way = Route(default, 3, gateway, table=1003, protocol=PROTOCOL_BOOT)
        assert encode_replace(way) in requests


def test_rules_of_interfaces_that_are_gone_are_known_by_their_tables():
    gone, there = Rule(FOUR, 1003, 1000), Rule(FOUR, 1004, 1000)
    others = [Rule(FOUR, 1003, 999), Rule(FOUR, 254, 1000), Rule(parse_cidr("::/0"), 254, 32766)]
    assert precedence.left_rules([gone, there, *others], [1, 4]) == [gone]


def test_routes_that_are_given_take_the_place_of_the_default_route():
    routes = [parse_cidr("10.0.0.0/8")]
    with_default = plan.inside(an_attachment(routes=routes), 2, [FOUR])
    without = plan.inside(an_attachment(routes=routes, default_route=False), 2, [FOUR])
    assert len(with_default) == len(without) + 1
    # A family without routes of its own keeps its default route.
    six = plan.inside(an_attachment(routes=routes, default_route=False), 2, [SIX])
    assert six == plan.inside(an_attachment(), 2, [SIX])


class TestStatusFiles:
    ENDPOINT = plan.endpoint(an_attachment(), MAC, [FOUR, SIX])
    REPORT = {
        "ifaceName": "caliabc123",
        "mac": "02:00:00:00:00:01",
        "ipv4Nets": ["10.65.0.3/32"],
        "ipv6Nets": ["fd00::3/128"],
    }

    def test_the_name_is_escaped_as_go_escapes_it(self):
        assert (
            status.file_name(self.ENDPOINT.namespace, self.ENDPOINT.name)
            == "cni default%2Fabc123 eth0"
        )

    def test_a_report_of_the_endpoint_as_it_is(self):
        assert status.tells(json.dumps(self.REPORT).encode(), self.ENDPOINT)

    @pytest.mark.parametrize(
        "change",
        [{"ifaceName": "x"}, {"mac": "02:00:00:00:00:02"}, {"ipv4Nets": []}, {"ipv6Nets": None}],
    )
    def test_a_report_of_what_it_was_before(self, change):
        assert not status.tells(json.dumps(self.REPORT | change).encode(), self.ENDPOINT)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
    def test_a_file_that_is_being_written(self, content):
        assert not status.tells(content, self.ENDPOINT)


def test_several_resources_are_fetched_in_one_round_trip():
    from libcalico.client import Client
    from libcalico.datastore.memory import MemoryBackend
    from libcalico.resources.model import ObjectMeta, ResourceId
    from libcalico.resources.profiles import Profile

    backend = MemoryBackend()
    profiles = Client(backend).profiles
    for name in ("net", "net2"):
        profiles.create(Profile(metadata=ObjectMeta(name=name)))
    backend.put("/calico/resources/v3/projectcalico.org/tiers/t", b"{broken")
    wanted = [ResourceId("Profile", "", "net"), ResourceId("Profile", "", "none")]
    found = fetch(backend, *wanted, ResourceId("Tier", "", "t"))
    assert list(found) == wanted[:1]
    assert isinstance(found[wanted[0]], Profile)


def test_addresses_come_and_go_each_once():
    stored = plan.endpoint(an_attachment(), MAC, [FOUR])
    more = plan.with_addresses(stored, [SIX, FOUR])
    assert more.spec.ip_networks == [str(FOUR), str(SIX)]
    assert plan.without_addresses(more, [SIX]) == stored
    assert plan.without_addresses(stored, [SIX]) == stored
