"""Routes: the plan leads from any state to the desired one, and then there is nothing left to do."""

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import EndpointId, EndpointPolicies, FloatingAddress, LocalEndpoint
from calico_node.felix.routes.plan import Installed, Link, Target, Wanted, plan
from libcalico.net.addresses import parse_cidr

ADDRESSES = [
    parse_cidr(text) for text in ("10.65.0.1", "10.65.0.2", "fd65::1", "10.65.0.0/26", "fd65::/122")
]
NAMES = ["cali1", "cali2"]
VIA = [Target(name, ADDRESSES[0], onlink=True) for name in NAMES]
targets = st.dictionaries(
    st.sampled_from(ADDRESSES), st.sampled_from([Target(), *map(Target, NAMES), *VIA]), max_size=5
)
links = st.dictionaries(st.sampled_from(NAMES), st.builds(Link, st.integers(1, 3), st.booleans()))
installed = st.dictionaries(
    st.sampled_from(ADDRESSES),
    st.builds(Installed, st.integers(0, 3), st.sampled_from([None, *ADDRESSES[:2]])),
)


@given(targets, links, installed)
def test_after_the_plan_there_is_nothing_left_to_do(wanted, present, kernel):
    after = dict(kernel)
    for operation in plan(wanted, present, kernel):
        if operation.way is None:
            del after[operation.destination]
        else:
            after[operation.destination] = operation.way
    assert plan(wanted, present, after) == []
    for destination, route in after.items():
        target = wanted[destination]
        assert route.index == (present[target.interface].index if target.interface else 0)
        assert route.gateway == target.gateway


@given(targets, links, installed, st.sets(st.sampled_from(ADDRESSES)))
def test_only_the_destinations_asked_for_are_looked_at(wanted, present, kernel, among):
    operations = plan(wanted, present, kernel, among)
    assert operations == [o for o in plan(wanted, present, kernel) if o.destination in among]


def endpoint(interface: str, *addresses: str) -> LocalEndpoint:
    return LocalEndpoint(interface, tuple(map(parse_cidr, addresses)), "", EndpointPolicies((), ()))


def targets_of(endpoints, blocks, remotes, up, *, has_floating):
    """What the targets must be, without any history."""
    expected = {block: Target() for block in blocks if not block.is_address} | remotes

    def precedence(endpoint_id):
        return endpoints[endpoint_id].interface not in up, endpoint_id

    for endpoint_id in sorted(endpoints, key=precedence, reverse=True):
        one = endpoints[endpoint_id]
        expected |= {address: Target(one.interface) for address in one.addresses}
        if has_floating:
            expected |= {f.external: Target(one.interface) for f in one.floating}
    return expected


endpoint_ids = st.builds(EndpointId, st.just("ns"), st.sampled_from("abc"))
endpoints_ = st.builds(
    LocalEndpoint,
    interface=st.sampled_from(NAMES),
    addresses=st.lists(st.sampled_from(ADDRESSES[:3]), max_size=2, unique=True).map(tuple),
    mac=st.just(""),
    policies=st.just(EndpointPolicies((), ())),
    floating=st.lists(
        st.builds(FloatingAddress, st.sampled_from(ADDRESSES[:2]), st.just(ADDRESSES[0])),
        max_size=2,
    ).map(tuple),
)
histories = st.lists(
    st.tuples(
        st.dictionaries(endpoint_ids, endpoints_ | st.none(), max_size=2),
        st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from([True, None]), max_size=2),
        st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from([*VIA, None]), max_size=2),
        st.booleans(),
        st.frozensets(st.sampled_from(NAMES)),
    ),
    max_size=6,
)


@given(histories)
def test_targets_depend_on_the_last_state_only(history):
    wanted, endpoints, blocks, remotes = Wanted(), {}, {}, {}
    for changed, changed_blocks, changed_remotes, has_floating, up in history:
        wanted.enable_floating(is_enabled=has_floating)
        before = dict(wanted.targets)
        touched = wanted.see({n: n in up for n in NAMES}) | wanted.change(
            changed, changed_blocks, changed_remotes
        )
        endpoints = {k: v for k, v in (endpoints | changed).items() if v is not None}
        blocks = {k: v for k, v in (blocks | changed_blocks).items() if v}
        remotes = {k: v for k, v in (remotes | changed_remotes).items() if v}
        assert wanted.targets == targets_of(
            endpoints, blocks, remotes, up, has_floating=has_floating
        )
        local = {d for d, target in before.items() if target.interface and not target.gateway}
        assert wanted.take_left() >= {d for d in local if wanted.targets.get(d) != before[d]}
        assert wanted.take_left() == set()
        differing = before.items() ^ wanted.targets.items()
        assert {destination for destination, _ in differing} <= touched


def test_the_lowest_endpoint_has_an_address_that_two_claim():
    first, second = EndpointId("ns", "a"), EndpointId("ns", "b")
    endpoints = {second: endpoint("cali2", "10.65.0.1"), first: endpoint("cali1", "10.65.0.1")}
    wanted = Wanted()
    wanted.change(endpoints, {}, {})
    assert wanted.targets == {ADDRESSES[0]: Target("cali1")}
    assert wanted.through("cali1") == {ADDRESSES[0]}
    assert wanted.see({"cali1": False, "cali2": True}) == {ADDRESSES[0]}
    assert wanted.targets == {ADDRESSES[0]: Target("cali2")}
    assert wanted.take_left() == {ADDRESSES[0]}


def test_a_block_leads_nowhere_unless_it_is_one_address():
    wanted = Wanted()
    wanted.change({}, {ADDRESSES[3]: True, ADDRESSES[0]: True}, {})
    assert wanted.targets == {ADDRESSES[3]: Target()}
