"""Addresses of tunnels: assigned once, kept, moved and given back as the pools say; IPAM stays consistent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_node.tunnels.apply import assign
from calico_node.tunnels.plan import TUNNELS, address_of, candidates
from libcalico.client.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import NotFoundError
from libcalico.ipam.apply import IpamClient
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.testing import builders as a

IPIP, VXLAN4, VXLAN6 = TUNNELS
FOUR, SIX = a.a_pool(name="v4", cidr="10.65.0.0/24"), a.a_pool(name="v6", cidr="fd65::/116")


@pytest.fixture
def client():
    with MemoryBackend() as backend:
        made = Client(backend)
        made.nodes.create(a.a_node(name="one", labels={"rack": "a"}))
        yield made


def put(client, pool, **fields):
    """Create or update a pool with these fields."""
    wanted = pool.with_(spec=pool.spec.with_(**fields))
    try:
        stored = client.ippools.get(pool.name)
    except NotFoundError:
        client.ippools.create(wanted)
    else:
        client.ippools.update(wanted.with_(metadata=stored.metadata))


def addresses(client):
    assign(client, "one")
    node = client.nodes.get("one")
    return [address_of(tunnel, node) for tunnel in TUNNELS]


def test_every_encapsulation_gets_an_address_from_its_pools_and_keeps_it(client):
    put(client, FOUR, vxlan_mode="Always")
    put(client, SIX, vxlan_mode="CrossSubnet")
    ipip, four, six = first = addresses(client)
    assert ipip == ""
    assert parse_cidr("10.65.0.0/24").contains(parse_address(four))
    assert parse_cidr("fd65::/116").contains(parse_address(six))
    before = client.backend.read("/calico/")
    assert addresses(client) == first
    assert client.backend.read("/calico/") == before
    owner = IpamClient(client.backend).attributes_of(four)
    assert owner.handle_id == "vxlan-tunnel-addr-one"
    assert owner.secondary == {"node": "one", "type": "vxlanTunnelAddress"}


def test_what_no_pool_asks_for_is_given_back(client):
    put(client, FOUR, ipip_mode="Always")
    held = addresses(client)[0]
    assert held
    put(client, FOUR, ipip_mode="Never")
    assert addresses(client) == ["", "", ""]
    with pytest.raises(NotFoundError):
        IpamClient(client.backend).attributes_of(held)
    assert client.nodes.get("one").spec.bgp.ipv4_address


def test_an_address_that_the_node_lost_in_a_crash_is_found_again(client):
    put(client, FOUR, vxlan_mode="Always")
    held = addresses(client)[1]
    node = client.nodes.get("one")
    client.nodes.update(node.with_(spec=node.spec.with_(ipv4_vxlan_tunnel_addr="")))
    assert addresses(client)[1] == held
    node = client.nodes.get("one")
    client.nodes.update(node.with_(spec=node.spec.with_(ipv4_vxlan_tunnel_addr="10.65.0.77")))
    assert addresses(client)[1] == held


def test_pools_without_room_leave_the_others_their_addresses(client):
    put(client, a.a_pool(name="tiny", cidr="10.66.0.0/32", block_size=32, vxlan_mode="Always"))
    ipam = IpamClient(client.backend)
    client.nodes.create(a.a_node(name="two"))
    assign(client, "two")
    put(client, SIX, vxlan_mode="Always")
    assert addresses(client)[:2] == ["", ""]
    assert addresses(client)[2]
    assert ipam.problems() == []


modes = st.sampled_from(["Never", "Always", "CrossSubnet"])
specs = st.fixed_dictionaries(
    {
        "vxlan_mode": modes,
        "disabled": st.booleans(),
        "allowed_uses": st.sampled_from([[], ["Workload"], ["Tunnel"], ["Workload", "Tunnel"]]),
        "node_selector": st.sampled_from(["", "all()", "rack == 'a'", "rack == 'b'", "!!("]),
    }
)


@given(specs)
def test_a_pool_is_a_candidate_only_if_all_of_it_allows(spec):
    pool = FOUR.with_(spec=FOUR.spec.with_(**spec))
    node = a.a_node(name="one", labels={"rack": "a"})
    may = (
        spec["vxlan_mode"] != "Never"
        and not spec["disabled"]
        and spec["allowed_uses"] != ["Workload"]
        and spec["node_selector"] in ("", "all()", "rack == 'a'")
    )
    assert candidates(VXLAN4, [pool, SIX], node) == (("10.65.0.0/24",) if may else ())
    assert candidates(IPIP, [pool], node) == ()


@settings(max_examples=30)
@given(st.lists(st.tuples(modes, modes), min_size=1, max_size=5))
def test_only_the_last_pools_count_and_ipam_stays_consistent(history):
    with MemoryBackend() as backend:
        client = Client(backend)
        client.nodes.create(a.a_node(name="one"))
        for four, six in history:
            put(client, FOUR, vxlan_mode=four)
            put(client, SIX, vxlan_mode=six)
            found = addresses(client)
            assert [bool(address) for address in found] == [False, four != "Never", six != "Never"]
            ipam = IpamClient(backend)
            assert ipam.problems() == []
            assert len(ipam.owners()) == sum(map(bool, found))
