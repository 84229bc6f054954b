"""Host endpoints in the oracle, by examples that quote the reference (calico-control-plane, section 4)."""

from dataclasses import replace

import pytest

from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.policy import (
    Failsafe,
    Failsafes,
    Packet,
    Passage,
    World,
    evaluate_passage,
    governing,
    is_untracked,
)
from libcalico.testing import builders as a

HERE, PEER = parse_address("192.0.2.1"), parse_address("192.0.2.9")
SSH, DNS = Failsafe(6, 22), Failsafe(17, 53, parse_cidr("192.0.2.0/24"))
FAILSAFES = Failsafes((SSH,), (DNS,))


def packet(port=80, protocol=6, source=PEER, destination=HERE, source_port=40000):
    return Packet(
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=source_port,
        destination_port=port,
    )


def policy(action="Deny", **fields):
    rules = [a.a_rule(action, protocol="TCP", destination={"ports": [80]})]
    defaults = {"types": ["Ingress"], "ingress": rules, "egress": rules, "apply_on_forward": True}
    return a.a_global_policy(**{**defaults, **fields})


def decide(*resources, kind="in", of=None, host=None, **fields):
    of, host = of or packet(), host or a.a_host_endpoint(profiles=["open"])
    world = World.of([a.a_tier(name="default"), a.a_profile(name="open"), host, *resources])
    endpoint = governing(world, "node-1", "eth0", [])
    sides = {"in": ["arriving"], "out": ["leaving"], "through": ["arriving", "leaving"]}[kind]
    passage = Passage(kind=kind, packet=of, **dict.fromkeys(sides, endpoint), **fields)
    return evaluate_passage(world, passage, FAILSAFES).allowed


def named(name, interface="", addresses=(), node="node-1"):
    return a.a_host_endpoint(
        name=name, node=node, interface_name=interface, expected_ips=list(addresses)
    )


@pytest.mark.parametrize(
    ("hosts", "interface", "expected"),
    [
        ([named("b", "eth0"), named("a", "*")], "eth0", "b"),
        ([named("b", "eth0"), named("a", "*")], "eth1", "a"),
        ([named("b", "eth0"), named("a", "*")], "lo", None),
        ([named("b", "eth0"), named("a", "", ["192.0.2.1"])], "eth0", "a"),
        ([named("b", "eth0"), named("c", "", ["192.0.2.1"])], "eth0", "b"),
        ([named("b", "eth1", ["192.0.2.1"])], "eth0", None),
        ([named("b", "eth0", node="node-2")], "eth0", None),
        ([named("b", "", ["192.0.2.1"])], "lo", None),
    ],
)
def test_one_host_endpoint_governs_an_interface(hosts, interface, expected):
    found = governing(World.of(hosts), "node-1", interface, [HERE])
    assert (found and found.id.name) == expected


@pytest.mark.parametrize("kind", ["in", "out"])
def test_a_host_endpoint_without_policies_and_profiles_is_closed_but_for_failsafes(kind):
    host = a.a_host_endpoint()
    assert not decide(host=host, kind=kind)
    assert decide(host=host, kind="in", of=packet(22))
    assert not decide(host=host, kind="out", of=packet(22))
    assert decide(host=host, kind="out", of=packet(53, 17, HERE, PEER))
    assert not decide(host=host, kind="out", of=packet(53, 17, HERE, parse_address("10.0.0.1")))
    assert decide(host=host, kind="through")


def test_neighbour_discovery_is_never_closed():
    asks = Packet(
        source=parse_address("fe80::1"),
        destination=parse_address("ff02::1:ff00:1"),
        protocol=58,
        icmp_type=135,
        icmp_code=0,
    )
    assert decide(host=a.a_host_endpoint(), of=asks)
    assert not decide(host=a.a_host_endpoint(), of=replace(asks, icmp_type=128))


def test_policy_of_forwarded_traffic_is_that_which_applies_on_forward():
    assert not decide(policy(), kind="through")
    assert decide(policy(apply_on_forward=False), kind="through")
    assert not decide(policy(apply_on_forward=False), kind="in")
    assert decide(policy("Pass"), kind="through")
    assert not decide(policy("Allow"), kind="through", of=packet(81)), "end of tier"
    assert not decide(policy(types=["Egress"]), kind="through")


def test_policy_before_nat_sees_the_port_that_was_asked_for():
    early = policy(pre_dnat=True)
    hidden = packet(8080)
    assert not decide(early, kind="through", of=packet(), translated=hidden)
    assert decide(early, kind="through", of=hidden, translated=packet())
    assert decide(early, of=packet(81)), "the end of its tier passes"
    assert decide(policy("Allow", pre_dnat=True), policy(name="late"), kind="in")
    assert decide(policy("Allow", pre_dnat=True), policy(name="late"), kind="through")


@pytest.mark.parametrize("kind", ["in", "through"])
def test_untracked_policy_comes_first_and_ends_where_it_allows(kind):
    first, early = policy(do_not_track=True), policy(name="early", pre_dnat=True)
    assert not decide(first, kind=kind)
    assert decide(policy("Allow", do_not_track=True), early, kind=kind)


def test_no_nat_is_done_to_what_untracked_policy_allows():
    host = a.a_host_endpoint()
    raw = policy("Allow", do_not_track=True)
    world = World.of([a.a_tier(name="default"), host, raw])
    (endpoint,) = world.hosts
    for kind, port, side, expected in (
        ("in", 80, "arriving", True),
        ("through", 81, "arriving", False),
        ("through", 80, "leaving", False),
        ("out", 80, "leaving", False),
    ):
        passage = Passage(kind=kind, packet=packet(port), **{side: endpoint})
        assert is_untracked(world, passage, FAILSAFES) == expected


def test_untracked_policy_is_asked_in_each_direction_and_leaves_failsafe_ports_alone():
    both = policy(do_not_track=True, types=["Egress"])
    assert not decide(both, kind="out")
    assert decide(both, kind="out", of=packet(source_port=22)), "an answer of a failsafe port"
    assert decide(both, kind="through")


def test_a_host_endpoint_of_all_interfaces_has_no_untracked_policy_and_spares_workloads():
    of_all = a.a_host_endpoint(interface_name="*")
    assert decide(policy(do_not_track=True), host=of_all, kind="through")
    assert decide(host=of_all, kind="out", to_workload=True)
    assert decide(host=of_all, kind="in", from_workload=True)
    assert not decide(policy(), host=of_all, kind="through", from_workload=True)
    assert not decide(policy(pre_dnat=True), host=of_all, kind="in", from_workload=True)


def test_rules_select_the_expected_addresses_of_host_endpoints():
    peer = a.a_host_endpoint(
        name="peer", node="node-2", expected_ips=[str(PEER.address)], labels={"role": "peer"}
    )
    rule = a.a_rule(source={"selector": "role == 'peer'"})
    opened = a.a_global_policy(selector="!has(role)", ingress=[rule])
    assert decide(peer, opened)
    assert not decide(peer, opened, of=packet(source=parse_address("192.0.2.8")))
