"""Which node an address is at, read from IPAM's blocks as they are stored."""

import json

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.calc.remotes import Remotes, destinations
from libcalico.net.addresses import parse_cidr

BLOCKS = ["10.65.0.0/30", "10.65.0.4/30", "fd65::/126", "10.65.0.8/32"]
HOSTS = ["here", "east", "west"]
owners = st.sampled_from([None, "virtual:load-balancer", *(f"host:{host}" for host in HOSTS)])
nodes = st.sampled_from([None, *HOSTS])


@st.composite
def blocks(draw, cidr):
    """A block as IPAM writes it."""
    size = parse_cidr(cidr).size
    attributes = draw(st.lists(nodes, max_size=3))
    indices = st.sampled_from([None, *range(len(attributes))])
    return {
        "cidr": cidr,
        "affinity": draw(owners),
        "allocations": draw(st.lists(indices, min_size=size, max_size=size)),
        "attributes": [{"handle_id": "h", "secondary": n and {"node": n}} for n in attributes],
        "deleted": draw(st.integers(0, 9)) == 0,
    }


def expected(block):
    """Say it address by address."""
    cidr = parse_cidr(block["cidr"])
    if block["deleted"]:
        return {}
    owner = (block["affinity"] or "").removeprefix("host:")
    owner = owner if owner in HOSTS else ""
    found = {}
    for ordinal, index in enumerate(block["allocations"]):
        node = (
            (block["attributes"][index]["secondary"] or {}).get("node")
            if index is not None
            else None
        )
        if node not in (None, owner, "here") and not cidr.is_address:
            found[cidr.nth(ordinal)] = node
    return found | ({cidr: owner} if owner not in ("", "here") else {})


any_block = st.sampled_from(BLOCKS).flatmap(blocks)


@given(any_block)
def test_blocks_lead_to_their_owners_and_borrowed_addresses_to_who_has_them(block):
    found = destinations(block["cidr"], json.dumps(block).encode(), "here")
    assert found.value == expected(block)
    assert found.problem == ""


@given(st.lists(any_block | st.sampled_from(BLOCKS), max_size=8), st.integers(0, 8))
def test_only_the_last_blocks_count_and_only_differences_are_told(history, cut):
    remotes, told, last = Remotes("here"), {}, {}
    for number, change in enumerate(history):
        text = change if isinstance(change, str) else change["cidr"]
        remotes.put(text, None if isinstance(change, str) else json.dumps(change).encode())
        last[text] = {} if isinstance(change, str) else expected(change)
        if number == cut:
            told |= remotes.take()
    told |= remotes.take()
    wanted = {d: node for found in last.values() for d, node in found.items()}
    assert {d: node for d, node in told.items() if node is not None} == wanted
    assert remotes.take() == {}


ADDRESSES = [parse_cidr(text) for text in ("10.65.0.1", "10.65.0.2", "fd65::1")]
some_addresses = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True).map(tuple)
sayings = st.tuples(st.sampled_from("abc"), st.sampled_from(["", *HOSTS]), some_addresses)
sources = st.sampled_from(["CalicoIPAM", "WorkloadIPs"])


@given(st.lists(any_block | sayings | sources, max_size=12), st.integers(0, 12))
def test_only_what_was_said_last_counts_whichever_is_followed(history, cut):
    remotes, told, source = Remotes("here"), {}, "CalicoIPAM"
    by_block, said = {}, {}
    for number, one in enumerate(history):
        match one:
            case str():
                source = one
                remotes.follow(one)
            case dict():
                remotes.put(one["cidr"], json.dumps(one).encode())
                by_block[one["cidr"]] = expected(one)
            case (who, node, addresses):
                remotes.put_workload(who, node, addresses)
                said[who] = {} if node in ("", "here") else dict.fromkeys(addresses, node)
        if number == cut:
            told |= remotes.take()
    told |= remotes.take()
    claims = by_block.values() if source == "CalicoIPAM" else map(said.get, sorted(said)[::-1])
    wanted = {d: node for found in claims for d, node in found.items()}
    assert {d: node for d, node in told.items() if node is not None} == wanted
    assert remotes.take() == {}


@given(
    st.binary(max_size=40)
    | st.sampled_from([b"[]", b"{}", b'{"allocations": 1}', b'{"attributes": [null, {}]}'])
)
def test_nonsense_leads_nowhere_and_says_why(value):
    found = destinations("10.65.0.0/30", value, "here")
    assert found.value == {}
    assert found.problem or isinstance(json.loads(value), dict), "an object may have nothing in it"
