"""Whom a rule means: network sets as they change, namespaces, service accounts; with real packets."""

import pytest

from libcalico.resources.policy import ServiceAccountMatch
from libcalico.testing import builders as a

WEB, WEB6 = "10.65.0.1", "fd65::1"
#: In 172.16.0.0/12 and fd99::/16, the second ones also in 172.16.7.0/24 and fd99:7::/32.
FAR, FAR6 = ("172.16.0.1", "172.16.7.9"), ("fd99::1", "fd99:7::9")
ELSEWHERE, ELSEWHERE6 = "198.51.100.5", "2001:db8::5"
STRANGERS = (*FAR, ELSEWHERE, *FAR6, ELSEWHERE6)
CLIENTS = {"role": "client"}


def nets(name, *members, labels=None, **fields):
    labels = CLIENTS if labels is None else labels
    return a.a_global_network_set(name=name, nets=list(members), labels=labels, **fields)


def lets_in(policy=a.a_global_policy, **source):
    rule = a.a_rule("Allow", source=source or {"selector": "role == 'client'"})
    return policy(name="into-web", selector="name == 'cali1'", ingress=[rule], types=["Ingress"])


@pytest.fixture
def let_in(ruled, packet, basics, endpoint):
    """What puts objects and returns which strangers, and endpoints by interface, get into cali1."""

    def ask(*resources):
        mine = {r.spec.interface_name for r in resources if hasattr(r.spec, "interface_name")}
        others = [endpoint(f"cali{n}") for n in range(1, 6) if f"cali{n}" not in mine]
        ruled.put(*basics, *others, *resources)
        local = {f"cali{n}": (f"10.65.0.{n}", f"fd65::{n}") for n in range(2, 6)}
        tried = {(one, one): one for one in STRANGERS}
        tried |= {(name, address): address for name, both in local.items() for address in both}
        packets = [packet(address, WEB6 if ":" in address else WEB) for address in tried.values()]
        passed = ruled.passes(*packets)
        return {name for (name, _), is_in in zip(tried, passed, strict=True) if is_in}

    return ask


def test_sets_that_overlap_hold_what_any_of_them_holds(let_in):
    wide, narrow = nets("wide", "172.16.0.0/12", "fd99::/16"), nets("narrow", "172.16.7.0/24")
    narrow6 = nets("narrow6", "fd99:7::/32")
    policy = lets_in()
    assert let_in(policy, wide, narrow, narrow6) == {*FAR, *FAR6}
    assert let_in(policy, narrow, narrow6) == {FAR[1], FAR6[1]}
    assert let_in(policy, wide, narrow, narrow6) == {*FAR, *FAR6}
    assert let_in(policy, wide) == {*FAR, *FAR6}
    assert let_in(policy) == set()


def test_a_member_that_two_sets_have_stays_until_both_have_lost_it(let_in):
    policy = lets_in()
    one, other = nets("one", "172.16.7.0/24", ELSEWHERE), nets("other", "172.16.7.0/24")
    assert let_in(policy, one, other) == {FAR[1], ELSEWHERE}
    assert let_in(policy, other) == {FAR[1]}
    assert let_in(policy, nets("other", ELSEWHERE)) == {ELSEWHERE}
    twice = nets("one", "172.16.7.0/24", "172.16.7.9/24", "172.16.7.0/24", ELSEWHERE, ELSEWHERE)
    assert let_in(policy, twice) == {FAR[1], ELSEWHERE}
    assert let_in(policy, nets("one", ELSEWHERE)) == {ELSEWHERE}


def test_a_set_of_everything_holds_everything_of_its_family(let_in):
    policy = lets_in()
    all4 = {*FAR, ELSEWHERE, *(f"cali{n}" for n in range(2, 6))}
    assert let_in(policy, nets("all", "0.0.0.0/0")) == all4
    assert let_in(policy, nets("all", "0.0.0.0/0"), nets("more", "172.16.7.0/24", FAR6[1])) == {
        *all4,
        FAR6[1],
    }
    assert let_in(policy, nets("all", "::/0")) >= {*FAR6, ELSEWHERE6}
    everything = let_in(policy, nets("all", "::/0", "0.0.0.0/0", "128.0.0.0/1"))
    assert everything == {*all4, *FAR6, ELSEWHERE6}
    assert let_in(policy, nets("all", "128.0.0.0/1")) == {*FAR, ELSEWHERE}
    refused = lets_in(not_selector="role == 'client'")
    assert let_in(refused, nets("all", "0.0.0.0/0")) >= {*FAR6, ELSEWHERE6}
    assert FAR[0] not in let_in(refused, nets("all", "0.0.0.0/0"))


def test_labels_of_sets_and_endpoints_decide_together(let_in, endpoint):
    policy = lets_in(selector="role == 'client' && zone != 'b'")
    api = endpoint("cali2", labels={"role": "client"})
    far = nets("far", FAR[0])
    assert let_in(policy, api, far) == {"cali2", FAR[0]}
    assert let_in(policy, api, nets("far", FAR[0], labels={**CLIENTS, "zone": "b"})) == {"cali2"}
    moved = endpoint("cali2", labels={"role": "client", "zone": "b"})
    assert let_in(policy, moved, nets("far", FAR[0], labels={})) == set()
    # An address is meant if any of its owners is.
    assert let_in(policy, moved, nets("api", "10.65.0.2/31")) == {"cali2", "cali3"}
    lends = a.a_profile(name="lends", labels_to_apply=CLIENTS, ingress=[], egress=[a.a_rule()])
    inherits = endpoint("cali2", labels={}, profiles=["lends"])
    assert let_in(policy, inherits, lends) == {"cali2"}
    assert let_in(policy, inherits, lends.with_(spec=lends.spec.with_(labels_to_apply={}))) == set()


def namespaces():
    blue = {"pcns.team": "blue", "pcns.projectcalico.org/name": "blue"}
    return [
        a.a_profile(name="kns.blue", labels_to_apply=blue),
        a.a_profile(name="kns.default", labels_to_apply={"pcns.team": "red"}),
    ]


def test_namespaces_of_endpoints_and_sets(let_in, endpoint):
    here = endpoint("cali2", profiles=["kns.default"], labels=CLIENTS)
    blue = endpoint("cali3", namespace="blue", profiles=["kns.blue"], labels=CLIENTS)
    in_blue = a.a_network_set(name="s", namespace="blue", nets=[FAR[0]], labels=CLIENTS)
    in_default = a.a_network_set(name="s", namespace="default", nets=[FAR[1]], labels=CLIENTS)
    world = [here, blue, in_blue, in_default, nets("everywhere", ELSEWHERE), *namespaces()]

    def found(policy=a.a_policy, **source):
        return let_in(lets_in(policy, **source), *world)

    client = {"selector": "role == 'client'"}
    everywhere = {"cali2", "cali3", FAR[0], FAR[1], ELSEWHERE}
    assert found(**client) == {"cali2", FAR[1]}, "a policy in a namespace means its own"
    assert found(a.a_global_policy, **client) == everywhere
    for policy in (a.a_policy, a.a_global_policy):
        assert found(policy, namespace_selector="team == 'blue'", **client) == {"cali3", FAR[0]}
        in_any = found(policy, namespace_selector="all()", **client)
        assert in_any == {"cali2", "cali3", FAR[0], FAR[1]}
        assert found(policy, namespace_selector="global()", **client) == {ELSEWHERE}
        alone = found(policy, namespace_selector="team == 'blue'")
        assert alone == {"cali3", FAR[0]}


def test_service_accounts_of_endpoints(let_in, endpoint):
    accounts = [
        a.a_profile(name="ksa.default.cook", labels_to_apply={"pcsa.floor": "kitchen"}),
        a.a_profile(name="ksa.blue.cook", labels_to_apply={"pcsa.floor": "kitchen"}),
    ]

    def served_by(interface, account, namespace="default", *profiles):
        labels = {"projectcalico.org/serviceaccount": account}
        return endpoint(interface, namespace, labels=labels, profiles=["open", *profiles])

    world = [
        served_by("cali2", "cook", "default", "ksa.default.cook"),
        served_by("cali3", "waiter"),
        served_by("cali4", "cook", "blue", "ksa.blue.cook"),
        *accounts,
    ]

    def found(policy=a.a_policy, **source):
        return let_in(lets_in(policy, **source), *world)

    cook = ServiceAccountMatch(names=["cook"])
    both = ServiceAccountMatch(names=["cook", "waiter"])
    kitchen = ServiceAccountMatch(selector="floor == 'kitchen'")
    assert found(service_accounts=cook) == {"cali2"}
    assert found(service_accounts=both) == {"cali2", "cali3"}
    assert found(a.a_global_policy, service_accounts=cook) == {"cali2", "cali4"}
    assert found(a.a_global_policy, service_accounts=kitchen) == {"cali2", "cali4"}
    of_blue = "projectcalico.org/name == 'blue'"
    named = a.a_profile(
        name="kns.blue", labels_to_apply={"pcns.projectcalico.org/name": "blue"}, ingress=[]
    )
    world[2] = served_by("cali4", "cook", "blue", "ksa.blue.cook", "kns.blue")
    world.append(named)
    assert found(service_accounts=kitchen, namespace_selector=of_blue) == {"cali4"}
    narrowed = ServiceAccountMatch(names=["cook"], selector="floor == 'cellar'")
    assert found(a.a_global_policy, service_accounts=narrowed) == set()


def test_the_policy_itself_selects_by_namespace_and_service_account(let_in, endpoint):
    labels = {"name": "cali1", "projectcalico.org/serviceaccount": "cook"}
    web = endpoint("cali1", labels=labels, profiles=["kns.default", "ksa.default.cook"])
    profiles = [
        *namespaces(),
        a.a_profile(name="ksa.default.cook", labels_to_apply={"pcsa.floor": "kitchen"}),
    ]
    everybody = {*STRANGERS, *(f"cali{n}" for n in range(2, 6))}

    def found(**spec):
        return let_in(a.a_global_policy(name="shut", ingress=[], **spec), web, *profiles)

    assert found(selector="all()", namespace_selector="team == 'red'") == set()
    assert found(selector="all()", namespace_selector="team == 'blue'") == everybody
    assert found(selector="all()", service_account_selector="floor == 'kitchen'") == set()
    assert found(selector="all()", service_account_selector="floor == 'cellar'") == everybody


def test_ten_thousand_members_are_told_from_their_neighbours(ruled, packet, basics, endpoint):
    crowd = [f"10.{n >> 8 & 255}.{n & 255}.0/25" for n in range(70 << 8, (70 << 8) + 10_000)]
    for last, passed in (("172.16.7.9", [True, False]), ("172.16.7.8/32", [False, False])):
        ruled.put(*basics, endpoint("cali1"), lets_in(), nets("crowd", *crowd, last))
        assert ruled.passes(packet(FAR[1], WEB), packet(ELSEWHERE, WEB)) == passed
