"""What leads through the overlay depends on pools, nodes and blocks as they are now, on nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import NodeNetwork, Pool, Vtep
from calico_node.felix.routes import mtu
from calico_node.felix.routes.overlay import NODE_LINKS, VXLAN_DEVICES, Changed, Overlay, Peer
from calico_node.felix.routes.plan import Target
from libcalico.net.addresses import parse_address, parse_cidr, parse_interface

MODES = ["Never", "Always", "CrossSubnet"]
NODES = ["here", "near", "far"]
DESTINATIONS = [
    parse_cidr(t) for t in ("10.65.0.0/26", "10.65.0.64/26", "10.65.0.9/32", "fd65::/122")
]
POOLS = [parse_cidr(text) for text in ("10.65.0.0/16", "10.65.0.0/25", "fd65::/64")]
HOSTS = [parse_interface(t) for t in ("10.1.0.1/24", "10.1.0.2/24", "10.2.0.1/24", "fd01::1/64")]
MACS = [bytes.fromhex("66000000000" + digit) for digit in "12"]
vteps = st.builds(
    Vtep,
    st.sampled_from([parse_address(t) for t in ("10.65.0.1", "10.65.0.2", "fd65::1")]),
    st.sampled_from(MACS),
)
networks = st.builds(
    NodeNetwork,
    st.lists(st.sampled_from(HOSTS), max_size=2, unique_by=lambda a: a.version).map(tuple),
    st.lists(vteps, max_size=2, unique_by=lambda v: v.address.version).map(tuple),
)
pools = st.builds(
    Pool, st.sampled_from(POOLS), st.just(False), st.just("Never"), st.sampled_from(MODES)
)


def maps(names, values):
    return st.dictionaries(st.sampled_from(names), values | st.none(), max_size=3)


changes = st.builds(
    Changed,
    maps(["a", "b"], pools),
    maps(NODES, networks),
    maps(DESTINATIONS, st.sampled_from(NODES[1:])),
)


def merged(history):
    """Return one change that leads to the same state."""
    state = Changed({}, {}, {})
    for changed in history:
        for now, new in zip(
            (state.pools, state.nodes, state.remotes),
            (changed.pools, changed.nodes, changed.remotes),
            strict=True,
        ):
            now.update(new)
    return state


@given(st.lists(changes, max_size=6))
def test_only_the_last_state_counts(history):
    overlay, fresh, targets = Overlay("here"), Overlay("here"), {}
    for changed in history:
        targets |= overlay.change(changed)
    wanted = fresh.change(merged(history))
    assert {d: t for d, t in targets.items() if t} == {d: t for d, t in wanted.items() if t}
    for version in (4, 6):
        assert overlay.is_wanted(version) == fresh.is_wanted(version)
        assert overlay.peers(version) == fresh.peers(version)


@given(st.lists(changes, max_size=6))
def test_whatever_leads_through_a_tunnel_leads_to_a_peer_or_to_our_own_subnet(history):
    overlay = Overlay("here")
    state = merged(history)
    for destination, target in overlay.change(state).items():
        if target is None:
            continue
        assert state.remotes[destination] is not None
        version, own = destination.version, overlay.own.address(destination.version)
        if target.interface == NODE_LINKS[version]:
            assert own.masked().contains(target.gateway)
        else:
            assert target.interface == VXLAN_DEVICES[version]
            assert target.onlink


def node(address, tunnel="10.65.0.1", mac=MACS[0]):
    return NodeNetwork((parse_interface(address),), (Vtep(parse_address(tunnel), mac),))


def target_of(mode, remote):
    overlay = Overlay("here")
    nodes = {"here": node("10.1.0.1/24", "10.65.0.2", MACS[1]), "there": remote}
    pool = Pool(POOLS[0], nat_outgoing=False, vxlan=mode)
    return overlay.change(Changed({"p": pool}, nodes, {DESTINATIONS[1]: "there"}))[DESTINATIONS[1]]


def test_the_mode_decides():
    near, far = node("10.1.0.2/24"), node("10.2.0.1/24")
    tunnel = Target("vxlan.calico", parse_address("10.65.0.1"), onlink=True)
    assert [target_of(mode, far) for mode in MODES] == [None, tunnel, tunnel]
    direct = Target(NODE_LINKS[4], parse_address("10.1.0.2"))
    assert [target_of(mode, near) for mode in MODES] == [None, tunnel, direct]


def test_of_two_nodes_with_one_mac_the_first_is_reached():
    overlay = Overlay("here")
    nodes = {"b": node("10.2.0.2/24", "10.65.0.2"), "a": node("10.2.0.1/24", "10.65.0.1")}
    overlay.change(Changed({}, nodes, {}))
    assert overlay.peers(4) == {
        Peer(parse_address("10.65.0.1"), MACS[0], parse_address("10.2.0.1"))
    }


def test_the_smallest_of_the_hosts_own_interfaces_decides_the_mtu():
    found = [("eth0", 1500), ("eth1", 1400), ("cali1", 1000), ("lo", 65536)]
    assert mtu.of_host(found, "^eth") == 1400
    assert mtu.of_host([("lo", 65536)], "^eth") == 1460
    assert mtu.of_vxlan(4, 1500, {}) == 1450
    assert mtu.of_vxlan(6, 1500, {6: 0}) == 1430
    assert mtu.of_vxlan(6, 1500, {6: 1280}) == 1280
