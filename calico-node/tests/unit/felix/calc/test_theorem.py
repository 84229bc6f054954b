"""The sum of all changes is a function of the last state, and it is what plain calculations say.

Datastores are random; a seed names one, so that a failing seed can be run again.
"""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.calc.rules import compile_rules
from calico_node.felix.calc.testing.dataplane import Dataplane
from calico_node.felix.dataplane.testing import network, worlds
from calico_node.felix.messages import EndpointId, PortMember
from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.net.ports import protocol_number
from libcalico.policy import World, evaluate_endpoint, governing
from libcalico.policy.evaluate import evaluate_profiles, evaluate_tiers
from libcalico.resources import codec
from libcalico.resources.bgp import ServiceCIDR
from libcalico.resources.nodes import NodeBGPSpec
from libcalico.testing import builders as a

SEEDS = st.integers(0, 2**32 - 1)
GARBAGE = (b"", b"{}", b"[1]", b"{", b'{"spec":null}', b'{"spec":{"ingress":7}}', b"\xff")
#: Text of a valid value → what makes one field of it wrong.
DAMAGE = (
    (b'"Allow"', b'"Maybe"'),
    (b"fd65::", b"fdxx::"),
    (b"10.65.", b"10.999."),
    (b" == ", b" === "),
    (b'"TCP"', b'"XTP"'),
    (b'"nets":[', b'"nets":[7,'),
    (b'"order":', b'"order":"x'),
    (b'"default"', b"7"),
    (b'"labels":{', b'"labels":{"x":7,'),
)


class Datastore:
    """A datastore that changes at random; tells its changes in random order."""

    def __init__(self, seed, *, damage=0.0):
        self.state = {}
        self._random = Random(seed)
        self._world = worlds.WorldMaker(seed)
        self._damage = damage
        self._facts = {}

    def interfaces(self):
        """Return the interfaces of the host: name → addresses, or None for those that are gone."""
        for name in (network.OUTSIDE, "wire9"):
            addresses = [parse_address(text) for text in (*network.UPLINK, "192.0.2.77")]
            kept = self._random.sample(addresses, self._random.randrange(3))
            yield name, self._random.choice([kept, kept, None])

    def change(self, share):
        self._world.change(share)
        for resource in self._some_facts():
            if self._random.random() < share:
                key = keys.path_of(codec_id(resource))
                self._facts[key] = None if self._random.random() < 0.2 else codec.encode(resource)
        for cidr in ("10.65.0.0/26", "fd65::/122", "nonsense"):
            if self._random.random() < share:
                host = self._random.choice([network.HOST, network.HOST, "node-2"])
                states = [None, b"", b'{"state":"pending"}', b'{"state":"confirmed"}', b"{"]
                key = keys.path_of(AffinityKey(host, cidr))
                self._facts[key] = self._random.choice(states)
        return self._updates()

    def _updates(self):
        world = self._world.resources
        wanted = {keys.path_of(which): codec.encode(r) for which, r in world.items()}
        wanted |= {key: value for key, value in self._facts.items() if value is not None}
        updates = [(key, None) for key in self.state.keys() - wanted.keys()]
        for key, value in wanted.items():
            if self.state.get(key) != value:
                updates.append((key, self._damaged(value)))
        self._random.shuffle(updates)
        for key, value in updates:
            self.state.pop(key, None)
            if value is not None:
                self.state[key] = value
        return updates

    def _damaged(self, value):
        if self._random.random() >= self._damage:
            return value
        if self._random.random() < 0.3:
            return self._random.choice(GARBAGE)
        for old, new in self._random.sample(DAMAGE, len(DAMAGE)):
            if old in value:
                return value.replace(old, new, 1)
        return value

    def _some_facts(self):
        pick = self._random.choice
        cidr = pick(["10.65.0.0/16", "10.66.0.0/16"])
        yield a.a_pool(name="v4", cidr=cidr, nat_outgoing=pick([True, False]), disabled=True)
        yield a.a_pool(name="v6", cidr="fd65::/64", vxlan_mode=pick(["Never", "Always"]))
        for name in (network.HOST, "node-2"):
            bgp = NodeBGPSpec(ipv4_address=f"172.16.0.{pick([1, 2])}/24", ipv6_address="fd99::1")
            yield a.a_node(name=name, labels={"zone": pick("ab")}, bgp=bgp)
        for name in ("default", f"node.{network.HOST}", "node.other", "some", "more"):
            yield a.a_felix_configuration(
                name=name,
                node_selector=pick(["", "zone == 'a'", "has(zone)"]),
                log_severity_screen=pick(["Info", "Debug"]),
                annotations=pick([{}, {"config.projectcalico.org/LogPrefix": "x"}]),
            )
        blocks = [ServiceCIDR(cidr=cidr) for cidr in ("10.96.0.0/12", "fd96::/112", "10.97.0.0/16")]
        yield a.a_bgp_configuration(
            service_cluster_ips=self._random.sample(blocks, pick([0, 1, 2]))
        )
        yield a.a_cluster_information(datastore_ready=pick([True, False]))


def test_workloads_and_tunnels_of_other_nodes_tell_where_addresses_are_if_they_are_asked():
    calculation = Calculation(network.HOST)

    def put(*resources):
        for resource in resources:
            calculation.on_update(keys.path_of(codec_id(resource)), codec.encode(resource))
        return calculation.flush().remotes

    bgp = NodeBGPSpec(ipv4_address="172.16.0.2/24", ipv4_ipip_tunnel_addr="10.65.0.9")
    there = a.an_endpoint(node="node-2", container_id="x", ip_networks=["10.65.0.8", "fd65::8"])
    here = a.an_endpoint(node=network.HOST, container_id="y", ip_networks=["10.65.0.7"])
    node = a.a_node(name="node-2", bgp=bgp, ipv6_vxlan_tunnel_addr="fd65::9")
    assert put(there, here, node) == {}
    texts = ("10.65.0.8", "fd65::8", "10.65.0.9", "fd65::9")
    addresses = dict.fromkeys(map(parse_address, texts), "node-2")
    assert calculation.route_by("WorkloadIPs") == addresses
    assert calculation.route_by("WorkloadIPs") == {}
    moved = there.with_(spec=there.spec.with_(ip_networks=["10.65.0.6"]))
    gone = {parse_address("10.65.0.8"): None, parse_address("fd65::8"): None}
    assert put(moved) == {**gone, parse_address("10.65.0.6"): "node-2"}
    left = dict.fromkeys((parse_address(t) for t in ("10.65.0.6", "10.65.0.9", "fd65::9")), None)
    assert calculation.route_by("CalicoIPAM") == left


def codec_id(resource):
    return keys.ResourceId(resource.kind, resource.namespace, resource.name)


def told_from_scratch(state, interfaces=()):
    calculation, dataplane = Calculation(network.HOST), Dataplane()
    for name, addresses in dict(interfaces).items():
        calculation.on_interface(name, addresses)
    for key in sorted(state):
        calculation.on_update(key, state[key])
    dataplane.apply(calculation.flush())
    return dataplane


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.lists(st.sampled_from([0.03, 0.1, 0.5]), max_size=8), st.sampled_from([0, 0.15]))
def test_the_sum_of_changes_depends_on_the_last_state_only(seed, shares, damage):
    datastore, rng = Datastore(seed, damage=damage), Random(seed)
    calculation, dataplane, interfaces = Calculation(network.HOST), Dataplane(), {}
    for share in [1.0, *shares]:
        flush_one_in = rng.choice([1, 3, 1000])
        interfaces |= datastore.interfaces()
        for name, addresses in interfaces.items():
            calculation.on_interface(name, addresses)
        for key, value in datastore.change(share):
            calculation.on_update(key, value)
            if not rng.randrange(flush_one_in):
                dataplane.apply(calculation.flush())
    dataplane.apply(calculation.flush())
    assert dataplane.state() == told_from_scratch(datastore.state, interfaces).state()
    for key, value in datastore.state.items():
        calculation.on_update(key, value)
    assert not calculation.flush()
    for key in datastore.state:
        calculation.on_update(key, None)
    dataplane.apply(calculation.flush())
    assert dataplane.state() == told_from_scratch({}).state()


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_packets_are_judged_as_the_reference_evaluator_judges_them(seed):
    maker = worlds.WorldMaker(seed)
    maker.change(1.0)
    resources = maker.resources
    dataplane = told_from_scratch({keys.path_of(w): codec.encode(r) for w, r in resources.items()})
    world = World.of(resources.values())
    local = [e for e in world.endpoints if endpoint_id(e) in dataplane.endpoints]
    for _ in range(20):
        packet = maker.packet()
        for endpoint in local:
            for direction in ("ingress", "egress"):
                expected = evaluate_endpoint(world, endpoint, direction, packet)
                told = dataplane.allows(endpoint_id(endpoint), direction, packet)
                assert told == expected.allowed, expected.steps


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_host_endpoints_judge_packets_as_the_reference_evaluator_does(seed):
    maker = worlds.WorldMaker(seed)
    maker.change(1.0)
    resources = maker.resources
    uplink = [parse_address(text) for text in network.UPLINK]
    state = {keys.path_of(w): codec.encode(r) for w, r in resources.items()}
    dataplane = told_from_scratch(state, {network.OUTSIDE: uplink, "cali1": [], "lo": uplink})
    world = World.of(resources.values())
    for interface, addresses in ((network.OUTSIDE, uplink), ("cali1", []), ("wire9", [])):
        host = governing(world, network.HOST, interface, addresses)
        there = dataplane.host_endpoints
        told = there.get(interface) or there.get("*")
        assert (told and told.name) == (host and host.id.name)
        if host is not None:
            agree(dataplane, told.policies, world, host, [maker.packet() for _ in range(15)])
    assert governing(world, network.HOST, "lo", uplink) is None
    assert "lo" not in dataplane.host_endpoints


def agree(dataplane, policies, world, host, packets):
    """The dataplane judges packets in each flavour as the evaluator does."""
    ways = [
        ("normal", policies.normal.tiers),
        ("forward", policies.forward),
        ("preDNAT", policies.pre_dnat),
        ("doNotTrack", policies.untracked),
    ]
    for packet, direction in itertools.product(packets, ("ingress", "egress")):
        for flavour, tiers in ways:
            if flavour == "doNotTrack" and host.interface == "*":
                assert not tiers
                continue
            steps = []
            expected = evaluate_tiers(world, host, direction, flavour, packet, steps)
            is_early = flavour in ("preDNAT", "doNotTrack")
            told = dataplane.judge_tiers(tiers, direction, packet, is_early=is_early)
            assert told == expected, steps
            if flavour == "normal" and expected is None:
                expected = evaluate_profiles(world, host, direction, packet, steps)
                assert dataplane.judge(policies.normal, direction, packet) == expected, steps


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.just(0.3), max_size=4))
def test_sets_hold_what_walking_their_selectors_finds(seed, shares):
    maker, calculation, dataplane = worlds.WorldMaker(seed), Calculation(network.HOST), Dataplane()
    known = {}
    for share in [1.0, *shares]:
        maker.change(share)
        state = {keys.path_of(w): codec.encode(r) for w, r in maker.resources.items()}
        for key in {**known, **state}:
            calculation.on_update(key, state.get(key))
        known = state
        dataplane.apply(calculation.flush())
    world = World.of(maker.resources.values())
    specs = set_specs(maker.resources.values())
    for set_id, members in dataplane.sets.items():
        assert members == expected_members(specs[set_id], world)


def endpoint_id(endpoint):
    return EndpointId(endpoint.id.namespace, endpoint.id.name)


def set_specs(resources):
    specs = {}
    for resource in resources:
        if resource.kind in ("NetworkPolicy", "GlobalNetworkPolicy", "Profile"):
            for rules in (resource.spec.ingress, resource.spec.egress):
                specs.update(compile_rules(rules, resource.namespace, "").sets)
    return specs


def expected_members(spec, world):
    endpoints = [e for e in (*world.endpoints, *world.hosts) if spec.selector.evaluate(e.labels)]
    if spec.port:
        return {
            PortMember(address, protocol_number(port.protocol), port.port)
            for endpoint in endpoints
            for address in endpoint.addresses
            for port in endpoint.ports
            if port.name == spec.port and spec.protocol in (None, protocol_number(port.protocol))
        }
    sets = [s for s in world.net_sets if spec.selector.evaluate(s.labels)]
    return {a for e in endpoints for a in e.addresses} | {n for s in sets for n in s.nets}


@pytest.mark.parametrize("key", ["/calico/x", "", "/calico/resources/v3/projectcalico.org/tiers/"])
def test_other_keys_are_passed_over(key):
    calculation = Calculation(network.HOST)
    calculation.flush()
    calculation.on_update(key, b"{}")
    assert not calculation.flush()


def test_set_of_a_shared_address_holds_it_until_the_last_owner_leaves():
    calculation, dataplane = Calculation(network.HOST), Dataplane()

    def put(resource, *, is_there=True):
        key = keys.path_of(codec_id(resource))
        calculation.on_update(key, codec.encode(resource) if is_there else None)
        dataplane.apply(calculation.flush())
        return [m for members in dataplane.sets.values() for m in members]

    owners = [
        a.an_endpoint(
            container_id=name, node="node-2", labels={"app": "x"}, ip_networks=["10.0.0.1"]
        )
        for name in ("one", "two")
    ]
    put(a.an_endpoint(container_id="here", ip_networks=["10.0.0.9/32"]))
    rule = a.a_rule(source=a.EntityRule(selector="app == 'x'"))
    put(a.a_global_policy(selector="all()", ingress=[rule]))
    for owner in owners:
        assert put(owner) == [parse_cidr("10.0.0.1")]
    assert put(owners[0], is_there=False) == [parse_cidr("10.0.0.1")]
    assert put(owners[1], is_there=False) == []
