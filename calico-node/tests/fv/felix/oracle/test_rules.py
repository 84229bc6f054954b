"""Which rule decides, and what its criteria mean, with real packets and with what the words say."""

import pytest

from calico_node.felix.dataplane.testing.frames import SCTP, TCP, UDP
from libcalico.resources.policy import ICMPFields
from libcalico.testing import builders as a

WEB, API, WEB6, API6 = "10.65.0.1", "10.65.0.2", "fd65::1", "fd65::2"
STRANGER, STRANGER6 = "172.16.0.1", "fd99::1"
ALLOW, DENY, PASS, LOG = (a.a_rule(action) for action in ("Allow", "Deny", "Pass", "Log"))


def on_web(name="p", **fields):
    return a.a_global_policy(**{"name": name, "selector": "name == 'cali1'", **fields})


@pytest.fixture
def put(ruled, basics, endpoint):
    """What puts policies in force, and whatever else, beside two endpoints."""

    def act(*resources):
        mine = {r.spec.interface_name for r in resources if hasattr(r.spec, "interface_name")}
        others = [endpoint(name) for name in ("cali1", "cali2") if name not in mine]
        ruled.put(*basics, *others, *resources)

    return act


@pytest.fixture
def ways(ruled, packet):
    """What tells whether packets pass into cali1, and out of it, of both families."""

    def ask():
        return ruled.passes(
            *(packet(*ends) for ends in ((API, WEB), (API6, WEB6), (WEB, API), (WEB6, API6)))
        )

    return ask


INGRESS, EGRESS = [False, False, True, True], [True, True, False, False]
BOTH, NEITHER = [False] * 4, [True] * 4


@pytest.mark.parametrize(
    ("fields", "closed"),
    [
        ({"ingress": [DENY]}, INGRESS),
        ({"ingress": [], "egress": [DENY]}, EGRESS),
        ({"ingress": [DENY], "egress": [DENY]}, BOTH),
        ({"ingress": [], "egress": []}, INGRESS),
        ({"ingress": [DENY], "egress": [DENY], "types": ["Ingress"]}, INGRESS),
        ({"ingress": [DENY], "egress": [DENY], "types": ["Egress"]}, EGRESS),
        ({"ingress": [], "egress": [], "types": ["Egress"]}, EGRESS),
        ({"ingress": [], "egress": [], "types": ["Ingress", "Egress"]}, BOTH),
        ({"ingress": [ALLOW], "types": ["Ingress", "Egress"]}, EGRESS),
        ({"ingress": [ALLOW]}, NEITHER),
    ],
)
def test_types_follow_from_the_rules_unless_they_are_given(put, ways, fields, closed):
    put(on_web(**fields))
    assert ways() == closed


def tier(name, order, default_action="Deny"):
    return a.a_tier(name=name, order=order, default_action=default_action)


def test_tiers_are_asked_by_order_and_pass_goes_on_with_the_next(put, ways):
    first, second = on_web("a", tier="first", ingress=[DENY]), on_web("b", tier="second")
    put(tier("first", 1.0), tier("second", 2.0), first, second)
    assert ways() == INGRESS
    put(tier("first", 3.0), tier("second", 2.0), first, second)
    assert ways() == NEITHER
    put(tier("first", None), tier("second", 2.0), first, second)
    assert ways() == NEITHER
    put(tier("first", 2.0), tier("second", 2.0), first, second)
    assert ways() == INGRESS, "of equal orders the name decides"
    passes = on_web("a", tier="first", ingress=[LOG, PASS, DENY])
    put(tier("first", 1.0), tier("second", 2.0), passes, second)
    assert ways() == NEITHER
    put(tier("first", 1.0), passes)
    assert ways() == NEITHER, "profiles are behind the last tier"
    put(tier("first", 1.0), passes, on_web("c", ingress=[]))
    assert ways() == INGRESS


def test_the_end_of_a_tier_does_what_the_tier_says(put, ways):
    unrelated = a.a_rule("Allow", source={"nets": ["192.0.2.0/24"]})
    undecided = on_web("a", tier="first", ingress=[unrelated])
    put(tier("first", 1.0), undecided)
    assert ways() == INGRESS
    put(tier("first", 1.0, "Pass"), undecided)
    assert ways() == NEITHER
    put(tier("first", 1.0), on_web("a", tier="first", types=["Egress"], ingress=[], egress=[ALLOW]))
    assert ways() == NEITHER, "a tier without policies of a direction is not asked about it"
    staged = a.a_staged_global_policy(name="a", tier="first", selector="all()", ingress=[DENY])
    put(tier("first", 1.0), staged)
    assert ways() == NEITHER
    put(staged, on_web("a", tier="gone"), on_web("b", ingress=[PASS]))
    assert ways() == NEITHER
    put(on_web("a", tier="gone", ingress=[unrelated]))
    assert ways() == INGRESS, "a tier that does not exist denies at its end"


def test_policies_of_a_tier_are_asked_by_order_and_then_by_name(put, ways):
    for (first, second), closed in (
        ((1.0, 2.0), INGRESS),
        ((2.0, 1.0), NEITHER),
        ((None, 1e9), NEITHER),
        ((1.0, 1.0), INGRESS),
        ((None, None), INGRESS),
    ):
        put(on_web("a", ingress=[DENY], order=first), on_web("b", order=second))
        assert ways() == closed, (first, second)
        put(on_web("b", ingress=[DENY], order=first), on_web("a", order=second))
        assert ways() == (NEITHER if first == second else closed), (first, second)


def test_profiles_decide_in_their_order_and_one_that_is_missing_denies(put, ways, endpoint):
    shut = a.a_profile(name="shut", ingress=[a.a_rule("Deny")], egress=[])
    silent = a.a_profile(name="silent", ingress=[], egress=[])
    for profiles, closed in (
        (["open", "shut"], NEITHER),
        (["shut", "open"], INGRESS),
        (["silent", "open"], NEITHER),
        (["open", "ghost"], NEITHER),
        (["ghost", "open"], BOTH),
        (["silent"], BOTH),
        ([], BOTH),
        (["projectcalico-default-allow"], NEITHER),
    ):
        put(endpoint("cali1", profiles=profiles), shut, silent)
        assert ways() == closed, profiles


def echo(kind, code):
    return ICMPFields(type=kind, code=code)


ICMP_KINDS = ((8, 0), (8, 7), (13, 0), (13, 7), (3, 1))
ICMPV6_KINDS = ((128, 0), (128, 7), (3, 0), (3, 7), (1, 3))


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        ({"icmp": echo(8, None)}, [True, True, False, False, False]),
        ({"icmp": echo(8, 7)}, [False, True, False, False, False]),
        ({"not_icmp": echo(8, None)}, [False, False, True, True, True]),
        ({"not_icmp": echo(8, 7)}, [True, False, True, True, True]),
        ({"icmp": echo(8, None), "not_icmp": echo(8, 7)}, [True, False, False, False, False]),
        ({}, [True] * 5),
    ],
)
def test_icmp_types_and_codes_and_their_exact_negation(put, ruled, packet, fields, passed):
    put(on_web(ingress=[a.a_rule("Allow", protocol="ICMP", **fields)]))
    assert ruled.passes(*(packet(API, WEB, icmp=kind) for kind in ICMP_KINDS)) == passed
    assert ruled.passes(*(packet(API6, WEB6, icmp=kind) for kind in ICMPV6_KINDS)) == [False] * 5
    assert ruled.passes(packet(API, WEB), packet(API, WEB, UDP)) == [False, False]
    moved = {name: ICMPFields(type=128, code=value.code) for name, value in fields.items()}
    put(on_web(ingress=[a.a_rule("Allow", protocol="ICMPv6", **moved)]))
    assert ruled.passes(*(packet(API6, WEB6, icmp=kind) for kind in ICMPV6_KINDS)) == passed
    assert ruled.passes(*(packet(API, WEB, icmp=kind) for kind in ICMP_KINDS)) == [False] * 5


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        ({}, {4, 6, TCP, UDP, SCTP, 1, 58, 99}),
        ({"ip_version": 4}, {4, TCP, UDP, SCTP, 1, 99}),
        ({"ip_version": 6}, {6, TCP, UDP, SCTP, 58, 99}),
        ({"protocol": "TCP"}, {4, 6, TCP}),
        ({"protocol": 6}, {4, 6, TCP}),
        ({"protocol": "SCTP"}, {4, 6, SCTP}),
        ({"protocol": 99}, {4, 6, 99}),
        ({"protocol": "ICMPv6"}, {6, 58}),
        ({"not_protocol": "UDP"}, {4, 6, TCP, SCTP, 1, 58, 99}),
        ({"not_protocol": 99, "ip_version": 4}, {4, TCP, UDP, SCTP, 1}),
        ({"protocol": "TCP", "not_protocol": "TCP"}, set()),
    ],
)
def test_protocols_and_families(put, ruled, packet, fields, passed):
    put(on_web(ingress=[a.a_rule("Allow", **fields)]))
    found = set()
    for version, ends in ((4, (API, WEB)), (6, (API6, WEB6))):
        icmp = {4: (1, (8, 0)), 6: (58, (128, 0))}[version]
        sent = {number: packet(*ends, number) for number in (TCP, UDP, SCTP, 99)}
        sent[icmp[0]] = packet(*ends, icmp=icmp[1])
        outcomes = zip(sent, ruled.passes(*sent.values()), strict=True)
        through = {number for number, is_through in outcomes if is_through}
        found |= through | ({version} if through else set())
    assert found == passed


@pytest.mark.parametrize(
    ("source", "passed"),
    [
        ({"nets": ["172.16.0.0/12"]}, {STRANGER}),
        ({"nets": ["10.65.0.2/32", "fd99::/16"]}, {API, STRANGER6}),
        ({"not_nets": ["172.16.0.0/12"]}, {API, API6, STRANGER6}),
        ({"not_nets": ["172.16.0.0/12", "fd65::/64"]}, {API, STRANGER6}),
        ({"nets": ["0.0.0.0/0"], "not_nets": ["172.16.0.0/12"]}, {API}),
        ({"nets": ["10.65.0.3/31"]}, {API}),
        ({"not_nets": ["0.0.0.0/0"]}, {API6, STRANGER6}),
        ({"not_nets": ["0.0.0.0/0", "::/0"]}, set()),
        ({"nets": ["0.0.0.0/0", "::/0"]}, {API, API6, STRANGER, STRANGER6}),
        ({"selector": "name == 'cali2'", "not_nets": ["fd65::/64"]}, {API}),
        ({"not_selector": "name == 'cali2'"}, {STRANGER, STRANGER6}),
        ({"selector": "all()", "not_selector": "name == 'cali2'"}, set()),
    ],
)
def test_nets_of_both_families_and_their_negation(put, ruled, packet, source, passed):
    put(on_web(ingress=[a.a_rule("Allow", source=source)]))
    sent = {
        one: packet(one, WEB6 if ":" in one else WEB) for one in (API, API6, STRANGER, STRANGER6)
    }
    outcomes = zip(sent, ruled.passes(*sent.values()), strict=True)
    assert {one for one, is_through in outcomes if is_through} == passed
