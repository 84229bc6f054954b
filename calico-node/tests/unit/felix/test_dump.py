"""The state as text: every section is there, and nothing that is at its default."""

from calico_node.felix import dump
from calico_node.felix.config import Source, resolve
from calico_node.felix.dump import Section
from calico_node.felix.messages import (
    EndpointId,
    EndpointPolicies,
    HostEndpoint,
    HostPolicies,
    LocalEndpoint,
    PolicyId,
    Problem,
    TierPolicies,
)
from libcalico.net.addresses import parse_cidr

DENY = PolicyId("GlobalNetworkPolicy", "", "deny")
WEB = EndpointId("shop", "web")
ENDPOINT = LocalEndpoint(
    "caliweb",
    (parse_cidr("10.65.0.1"), parse_cidr("fd65::1")),
    "",
    EndpointPolicies((TierPolicies("default", "Deny", (DENY,), ()),), ("open",)),
)


def test_a_page_has_every_section_also_if_there_is_nothing_to_say():
    text = dump.page("Felix", [Section("Routes", ("a", "b")), Section("Problems", ())])
    assert text == "Felix\n\n== Routes\na\nb\n\n== Problems\nnone\n"


def test_settings_name_who_set_them():
    config = resolve([Source("felix.cfg", {"InterfacePrefix": "tap", "HealthPort": "7"})])
    assert dump.settings(config).lines == (
        "HealthPort = 7   (felix.cfg)",
        "InterfacePrefix = tap   (felix.cfg)",
    )


def test_an_endpoint_tells_its_place_its_policies_and_whether_they_are_in_force():
    first, *others = dump.endpoints({WEB: ENDPOINT}, {WEB: True}).lines
    assert first == "shop/web: caliweb 10.65.0.1/32 fd65::1/128 in force"
    assert others == [
        "    tier default, Deny at its end: ingress GlobalNetworkPolicy(deny)",
        "    profiles: open",
    ]
    assert dump.endpoints({WEB: ENDPOINT}, {}).lines[0].endswith(" not in force")


def test_problems_are_sorted_by_their_object():
    found = {name: Problem(name, f"{name} is odd") for name in ("b", "a")}
    assert dump.problems(found).lines == ("a: a is odd", "b: b is odd")


def test_a_host_endpoint_tells_its_interface_and_its_policies_by_flavour():
    tier = TierPolicies("default", "Deny", (DENY,), ())
    host = HostEndpoint("edge", HostPolicies(EndpointPolicies((tier,), ()), pre_dnat=(tier,)))
    first, *others = dump.host_endpoints({"eth0": host}, {host.name: "up"}, is_in_force=False).lines
    assert first == "edge: interface eth0 not in force"
    assert [line.strip().split(":")[0] for line in others] == [
        "before NAT",
        "of the host",
        "profiles",
    ]
    assert "GlobalNetworkPolicy(deny)" in others[0]
