"""Endpoints, interfaces, routes, profiles and labels."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.net.addresses import parse_cidr
from libcalico.net.macs import WORKLOAD_HOST_MAC
from libcalico.resources.validate import problems_with
from libcalico.selector import parse
from libnetwork_plugin import plan, wire

NET, ID = "db50" * 16, "30b4355e6ab1" * 5
WHO = plan.identity("host-1", "libnetwork", ID)


def asked(address="192.168.99.2/32", address6="", mac="", endpoint_id=ID):
    interface = wire.Interface(address=address, address_ipv6=address6, mac_address=mac)
    return wire.CreateEndpoint(network_id=NET, endpoint_id=endpoint_id, interface=interface)


def made(**fields):
    request = asked(**fields)
    who = plan.identity("host-1", "libnetwork", request.endpoint_id)
    return plan.endpoint(request, who, plan.host_interface(request.endpoint_id))


def test_an_endpoint_is_valid_and_closed_until_its_container_is_known():
    endpoint = made(address6="fd00::2/128")
    assert problems_with(endpoint) == []
    assert endpoint.name == f"host--1-libnetwork-libnetwork-{ID}"
    assert endpoint.spec.ip_networks == ["192.168.99.2/32", "fd00::2/128"]
    assert endpoint.spec.interface_name == "cali30b4355e6ab"
    assert endpoint.spec.profiles == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": ""}, "no address"),
        ({"address": "nonsense"}, "is not a CIDR"),
        ({"mac": "nonsense"}, "is not a MAC"),
        ({"endpoint_id": "-"}, "must not begin or end"),
    ],
)
def test_an_endpoint_that_lacks_something_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        made(**fields)


def test_an_endpoint_request_without_an_interface_is_refused():
    request = wire.CreateEndpoint(network_id=NET, endpoint_id=ID)
    with pytest.raises(ValidationError, match="no address"):
        plan.addresses_of(request)


HOST_MAC = "ee:ee:ee:ee:ee:ee"


def test_a_mac_is_the_known_one_without_ipv6():
    assert plan.mac_of(asked()) == WORKLOAD_HOST_MAC
    assert plan.created_interface(asked(), made()) == {"MacAddress": HOST_MAC}
    assert made(mac=HOST_MAC).spec.mac == HOST_MAC


@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_mac_is_the_endpoints_own_with_ipv6(endpoint_id):
    request = asked(address6="fd00::2/128", endpoint_id=endpoint_id)
    mac = plan.mac_of(request)
    assert mac == plan.mac_of(request)
    assert mac[0] & 3 == 2  # locally administered, of one station
    assert mac != WORKLOAD_HOST_MAC


def test_the_mac_of_the_ipv6_gateway_is_refused():
    with pytest.raises(ValidationError, match="that of the IPv6 gateway"):
        made(address6="fd00::2/128", mac=HOST_MAC.upper())


def test_a_mac_that_docker_decided_is_not_answered():
    given_mac = asked(mac="02:42:aa:bb:cc:dd")
    endpoint = made(mac="02:42:aa:bb:cc:dd")
    assert endpoint.spec.mac == "02:42:aa:bb:cc:dd"
    assert plan.created_interface(given_mac, endpoint) == {}
    assert plan.created_interface(asked(), made()) == {"MacAddress": made().spec.mac}


def test_names_of_both_ends_fit_the_kernel_and_only_one_is_felixs():
    assert plan.peer_interface(ID) == "tmp30b4355e6ab"
    assert not plan.peer_interface(ID).startswith("cali")


@pytest.mark.parametrize(
    ("cidrs", "gateway", "gateway6", "destinations"),
    [
        (["10.0.0.1/32"], "169.254.1.1", "", ["169.254.1.1/32"]),
        (["fd00::1/128"], "", "fe80::ecee:eeff:feee:eeee", ["fe80::ecee:eeff:feee:eeee/128"]),
        (
            ["10.0.0.1/32", "fd00::1/128"],
            "169.254.1.1",
            "fe80::ecee:eeff:feee:eeee",
            ["169.254.1.1/32", "fe80::ecee:eeff:feee:eeee/128"],
        ),
    ],
)
def test_a_container_sends_everything_to_its_host(cidrs, gateway, gateway6, destinations):
    assert plan.joined(ID, [parse_cidr(text) for text in cidrs]) == {
        "InterfaceName": {"SrcName": "tmp30b4355e6ab", "DstPrefix": "cali"},
        "Gateway": gateway,
        "GatewayIPv6": gateway6,
        "StaticRoutes": [
            {"Destination": text, "RouteType": 1, "NextHop": ""} for text in destinations
        ],
    }


def test_a_sandbox_has_one_endpoint():
    first = plan.in_sandbox(made(), "/run/docker/netns/c919")
    plan.refuse_second(ID, "/run/docker/netns/c919", [first])
    plan.refuse_second("cafe", "/run/docker/netns/d00d", [first])
    plan.refuse_second("cafe", "", [made()])
    with pytest.raises(ValidationError, match="it can be on one only"):
        plan.refuse_second("cafe", "/run/docker/netns/c919", [first])
    plan.refuse_second("cafe", "/run/docker/netns/c919", [plan.in_sandbox(first, "")])


def test_completing_an_endpoint_gives_it_labels_profile_and_container():
    endpoint = plan.completed(made(), "c0ffee", {"app": "web"}, "net1")
    assert problems_with(endpoint) == []
    assert plan.is_complete(endpoint, "c0ffee", "net1")
    assert not plan.is_complete(made(), "c0ffee", "net1")
    assert endpoint.metadata.labels == {
        "app": "web",
        "projectcalico.org/namespace": "libnetwork",
        "projectcalico.org/orchestrator": "libnetwork",
    }
    assert endpoint.metadata.annotations[plan.NETWORK_ID] == NET


def test_a_repeated_request_changes_no_labels():
    stored = plan.completed(made(), "c0ffee", {"app": "web"}, "net1")
    assert plan.again(stored, made()) == stored


@given(st.dictionaries(st.text(), st.text()))
def test_whatever_docker_allows_as_label_the_endpoint_stays_valid(labels):
    assert problems_with(plan.completed(made(), "c0ffee", labels, "net1")) == []


def test_labels_that_can_be_the_endpoints_are():
    container = {
        "app": "web",
        "com.docker.compose.project": "shop",
        "role": "plain",
        "org.projectcalico.label.role": "db",
        "projectcalico.org/network": "net2",
        "org.projectcalico.label.projectcalico.org/namespace": "other",
        "description": "with spaces",
        "-": "x",
    }
    assert plan.labels(container) == {
        "app": "web",
        "com.docker.compose.project": "shop",
        "role": "db",
    }


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,80}", fullmatch=True))
def test_a_profile_is_valid_whatever_docker_calls_the_network(network):
    name = plan.profile_name(network)
    profile = plan.profile(name)
    assert problems_with(profile) == []
    assert parse(profile.spec.ingress[0].source.selector).evaluate(profile.spec.labels_to_apply)


def test_a_profile_is_called_as_the_network_if_calico_can():
    assert plan.profile_name("net1") == "net1"
    assert plan.profile_name("my.net-1") == "my.net-1"
    assert plan.profile_name("Net_1").startswith("net-1-")
    assert plan.profile_name("Net_1") != plan.profile_name("net_1")
    assert len(plan.profile_name("x" * 70)) == 49


def test_members_of_a_network_reach_each_other_only():
    [rule] = plan.profile("net1").spec.ingress
    selector = parse(rule.source.selector)
    assert selector.evaluate({"projectcalico.org/network": "net1"})
    assert not selector.evaluate({"projectcalico.org/network": "net2"})
    assert not selector.evaluate({})


def test_networks_of_a_profile_are_on_file():
    profile = plan.with_networks(plan.profile("net1"), {"b": "host-2", "a": "host-1"})
    assert plan.networks_of(profile) == {"a": "host-1", "b": "host-2"}
    foreign = profile.with_(metadata=profile.metadata.with_(annotations={}))
    assert plan.networks_of(foreign) is None
    for text in ("no json", "[]"):
        broken = profile.metadata.with_(annotations={plan.NETWORKS: text})
        assert plan.networks_of(profile.with_(metadata=broken)) is None


def data(space="CalicoLocalAddressSpace"):
    return wire.IPAMData(address_space=space, pool="0.0.0.0/0", gateway="0.0.0.0/0")


def test_a_network_has_one_subnet_of_a_family_and_calicos_addresses():
    plan.check_network(wire.CreateNetwork(network_id=NET, ipv4_data=(data(),), ipv6_data=(data(),)))
    with pytest.raises(ValidationError, match="one IPv6 subnet"):
        plan.check_network(wire.CreateNetwork(network_id=NET, ipv6_data=(data(), data())))
    with pytest.raises(ValidationError, match="--ipam-driver"):
        plan.check_network(wire.CreateNetwork(network_id=NET, ipv4_data=(data("LocalDefault"),)))


def test_options_and_published_ports_are_noticed():
    options = {"com.docker.network.generic": {"b": "1", "a": "2"}}
    assert plan.unknown_options(wire.CreateNetwork(network_id=NET, options=options)) == ["a", "b"]
    assert plan.unknown_options(wire.CreateNetwork(network_id=NET)) == []
    port = {"Proto": 6, "Port": 80, "HostPort": 8081}
    for portmap, published in (([port, {}, 7], [80]), ([], []), (None, []), (7, []), ("80", [])):
        request = wire.ExternalConnectivity(
            network_id=NET, endpoint_id=ID, options={"com.docker.network.portmap": portmap}
        )
        assert plan.published_ports(request) == published


def test_a_time_that_is_none_is_not_old():
    now = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert plan.is_older("2026-01-02T03:04:04Z", now)
    for text in ("2026-01-02T03:04:05Z", "", None, "yesterday", "2026-01-01"):
        assert not plan.is_older(text, now)
