"""What leads through the overlay depends on pools, nodes and blocks as they are now, on nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import IPIP_DEVICE, VXLAN_DEVICES, NodeNetwork, Pool, Vtep
from calico_node.felix.routes import mtu
from calico_node.felix.routes.overlay import (
    NODE_LINKS,
    Changed,
    Overlay,
    OverlaySettings,
    Peer,
)
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
    st.none() | st.just(parse_address("10.65.0.3")),
)
TUNNELS = [("Never", "Never"), *((m, "Never") for m in MODES), *(("Never", m) for m in MODES)]
pools = st.builds(
    lambda cidr, modes: Pool(cidr, nat_outgoing=False, ipip=modes[0], vxlan=modes[1]),
    st.sampled_from(POOLS),
    st.sampled_from(TUNNELS),
)
switches = st.none() | st.booleans()
settings = st.builds(
    OverlaySettings,
    st.just("here"),
    vxlan=switches,
    ipip=switches,
    has_unencapsulated=st.booleans(),
)
HERE = OverlaySettings("here")


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


@given(st.lists(changes | settings, max_size=6))
def test_only_the_last_state_counts(history):
    overlay, targets, last = Overlay(HERE), {}, HERE
    for changed in history:
        if isinstance(changed, OverlaySettings):
            last = changed
            targets |= overlay.reconfigure(changed)
        else:
            targets |= overlay.change(changed)
    fresh = Overlay(last)
    wanted = fresh.change(merged(one for one in history if isinstance(one, Changed)))
    assert {d: t for d, t in targets.items() if t} == {d: t for d, t in wanted.items() if t}
    assert overlay.is_ipip_wanted == fresh.is_ipip_wanted
    assert overlay.ipip_pools == fresh.ipip_pools
    for version in (4, 6):
        assert overlay.is_wanted(version) == fresh.is_wanted(version)
        assert overlay.peers(version) == fresh.peers(version)


def expected(state, settings, destination):
    """Say where one destination leads, in the plainest words."""
    pools = [p for p in state.pools.values() if p and p.cidr.contains(destination)]
    node = state.nodes.get(state.remotes[destination])
    if not pools or node is None:
        return None
    version, pool = destination.version, max(pools, key=lambda p: p.cidr.prefix)
    own = (state.nodes.get("here") or NodeNetwork()).address(version)
    host, vtep = node.address(version), node.vtep(version)
    is_near = own and host and own.masked().contains(host.host())
    direct = Target(NODE_LINKS[version], host.host()) if is_near else None
    if pool.vxlan != "Never":
        if settings.vxlan is False:
            return None
        far = vtep and host and Target(VXLAN_DEVICES[version], vtep.address, onlink=True)
        return (pool.vxlan == "CrossSubnet" and direct) or far or None
    if pool.ipip != "Never":
        if settings.ipip is False:
            return None
        far = version == 4 and host and Target(IPIP_DEVICE, host.host(), onlink=True)
        return (pool.ipip == "CrossSubnet" and direct) or far or None
    return direct if settings.has_unencapsulated else None


@given(st.lists(changes, max_size=6), settings)
def test_every_destination_leads_where_its_pool_says(history, settings):
    state = merged(history)
    targets = Overlay(settings).change(state)
    there = {destination for destination, name in state.remotes.items() if name is not None}
    assert {d for d, target in targets.items() if target} <= there
    for destination in there:
        assert targets[destination] == expected(state, settings, destination)


@given(st.lists(changes, max_size=6), settings)
def test_a_device_is_wanted_where_something_could_lead_through_it(history, settings):
    overlay = Overlay(settings)
    targets = overlay.change(merged(history))
    used = {target.interface for target in targets.values() if target}
    assert overlay.is_ipip_wanted or IPIP_DEVICE not in used
    for version, device in VXLAN_DEVICES.items():
        assert overlay.is_wanted(version) or device not in used


def node(address, tunnel="10.65.0.1", mac=MACS[0]):
    return NodeNetwork((parse_interface(address),), (Vtep(parse_address(tunnel), mac),))


def target_of(mode, remote):
    overlay = Overlay(HERE)
    nodes = {"here": node("10.1.0.1/24", "10.65.0.2", MACS[1]), "there": remote}
    pool = Pool(POOLS[0], nat_outgoing=False, vxlan=mode)
    return overlay.change(Changed({"p": pool}, nodes, {DESTINATIONS[1]: "there"}))[DESTINATIONS[1]]


def test_the_mode_decides():
    near, far = node("10.1.0.2/24"), node("10.2.0.1/24")
    tunnel = Target("vxlan.calico", parse_address("10.65.0.1"), onlink=True)
    assert [target_of(mode, far) for mode in MODES] == [None, tunnel, tunnel]
    direct = Target(NODE_LINKS[4], parse_address("10.1.0.2"))
    assert [target_of(mode, near) for mode in MODES] == [None, tunnel, direct]


def test_a_switch_decides_whether_there_is_a_tunnel_at_all():
    pool = Pool(POOLS[0], nat_outgoing=False, ipip="Always")
    ends = NodeNetwork((HOSTS[0],), (Vtep(DESTINATIONS[2], MACS[0]),), parse_address("10.65.0.3"))
    for switch, asked, unasked in ((None, True, False), (False, False, False), (True, True, True)):
        overlay = Overlay(OverlaySettings("here", ipip=switch, vxlan=switch))
        overlay.change(Changed({"p": pool}, {"here": ends}, {}))
        assert (overlay.is_ipip_wanted, overlay.is_wanted(4)) == (asked, unasked)
        overlay.change(Changed({"p": None}, {}, {}))
        assert overlay.is_ipip_wanted == unasked
    overlay.change(Changed({}, {"here": NodeNetwork((HOSTS[0],))}, {}))
    assert not overlay.is_ipip_wanted, "nobody asks, and it has no address"


def test_ipip_leads_to_the_nodes_themselves():
    far = NodeNetwork((parse_interface("10.2.0.1/24"),))
    pools = {
        "b": Pool(POOLS[0], nat_outgoing=False, ipip="Always"),
        "a": Pool(POOLS[1], nat_outgoing=False, ipip="CrossSubnet"),
        "v": Pool(POOLS[2], nat_outgoing=False, vxlan="Always"),
    }
    overlay = Overlay(HERE)
    targets = overlay.change(Changed(pools, {"far": far}, {DESTINATIONS[0]: "far"}))
    assert targets == {DESTINATIONS[0]: Target("tunl0", parse_address("10.2.0.1"), onlink=True)}
    assert overlay.ipip_pools == ["a", "b"]


def test_of_two_nodes_with_one_mac_the_first_is_reached():
    overlay = Overlay(HERE)
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
    assert mtu.of_ipip(1500, 0) == 1480
    assert mtu.of_ipip(1500, 1400) == 1400
    assert mtu.of_workloads(1500, []) == 1500
    assert mtu.of_workloads(1500, [1450, 1430]) == 1430
    assert mtu.of_workloads(1500, [9000]) == 9000
