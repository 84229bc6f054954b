"""Rules of BGPFilters as statements of BIRD's, and the functions that sessions run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.bgp.filters import of_session, statement
from calico_node.bgp.plan import plan
from calico_node.bgp.testing.clusters import cluster, peers
from libcalico.errors import ValidationError
from libcalico.resources.bgpfilter import (
    AddCommunity,
    CommunityMatch,
    FilterOperation,
    FilterRule,
    PrefixLengths,
    PrependASPath,
    SetPriority,
)
from libcalico.testing import builders
from libcalico.testing.strategies import filter_rules


def inside(operator, low=None, high=None, cidr="10.0.0.0/8"):
    lengths = None if low is high is None else PrefixLengths(min=low, max=high)
    return FilterRule(action="Reject", cidr=cidr, match_operator=operator, prefix_length=lengths)


def changing(**fields):
    return FilterRule(action="Accept", operations=[FilterOperation(**fields)])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (FilterRule(action="Accept"), "accept;"),
        (FilterRule(action="Reject"), "reject;"),
        (inside("Equal"), "if net = 10.0.0.0/8 then reject;"),
        (inside("NotEqual"), "if !(net = 10.0.0.0/8) then reject;"),
        (inside("In"), "if net ~ 10.0.0.0/8 then reject;"),
        (inside("NotIn"), "if !(net ~ 10.0.0.0/8) then reject;"),
        (inside("In", 16, 24), "if net ~ [ 10.0.0.0/8{16,24} ] then reject;"),
        (inside("In", 4), "if net ~ [ 10.0.0.0/8{8,32} ] then reject;"),
        (inside("In", None, 24), "if net ~ [ 10.0.0.0/8{8,24} ] then reject;"),
        (inside("In", 24, 16), "if false then reject;"),
        (inside("NotIn", 16, 24), "if !(net ~ [ 10.0.0.0/8{16,24} ]) then reject;"),
        (inside("Equal", 8, 8), "if net = 10.0.0.0/8 then reject;"),
        (inside("Equal", 9), "if false then reject;"),
        (inside("NotEqual", None, 7), "if !(false) then reject;"),
        (inside("In", cidr="fd00::/8", low=64), "if net ~ [ fd00::/8{64,128} ] then reject;"),
        (FilterRule(action="Reject", source="RemotePeers"), "if source = RTS_BGP then reject;"),
        (
            FilterRule(action="Reject", interface="eth*"),
            'if (defined(ifname) && ifname ~ "eth*") then reject;',
        ),
        (FilterRule(action="Accept", peer_type="iBGP"), "if internal_peer then accept;"),
        (FilterRule(action="Accept", peer_type="eBGP"), "if !internal_peer then accept;"),
        (
            FilterRule(action="Accept", communities=CommunityMatch(values=["1:2"])),
            "if (1, 2) ~ bgp_community then accept;",
        ),
        (
            FilterRule(action="Accept", communities=CommunityMatch(values=["1:2:3"])),
            "if (1, 2, 3) ~ bgp_large_community then accept;",
        ),
        (
            FilterRule(action="Accept", as_path_prefix=[65000, "1.1"]),
            "if bgp_path ~ [= 65000 65537 * =] then accept;",
        ),
        (
            FilterRule(action="Accept", priority=512),
            "if (defined(bgp_local_pref) && bgp_local_pref = 2147483135) then accept;",
        ),
        (
            FilterRule(action="Accept", peer_type="eBGP", source="RemotePeers"),
            "if source = RTS_BGP && !internal_peer then accept;",
        ),
        (changing(add_community=AddCommunity(value="1:2")), "bgp_community.add((1, 2)); accept;"),
        (
            changing(add_community=AddCommunity(value="1:2:3")),
            "bgp_large_community.add((1, 2, 3)); accept;",
        ),
        (
            changing(prepend_as_path=PrependASPath(prefix=[1, 2])),
            "bgp_path.prepend(2); bgp_path.prepend(1); accept;",
        ),
        (changing(set_priority=SetPriority(value=1)), "bgp_local_pref = 2147483646; accept;"),
    ],
)
def test_a_rule_is_one_statement(rule, text):
    assert statement(rule) == text


@given(rule=st.one_of(filter_rules(4), filter_rules(6)))
def test_every_statement_is_one_line_that_ends_with_its_verdict(rule):
    text = statement(rule)
    assert "\n" not in text
    assert text.rstrip(" }").endswith(f"{rule.action.lower()};")
    assert text.count("{ ") == text.count(" }")


def test_a_session_runs_the_filters_of_its_peer_in_order_and_only_those_with_rules():
    accepted = [FilterRule(action="Accept")]
    known = {
        "b": builders.a_bgp_filter(name="b", export_v4=accepted),
        "a": builders.a_bgp_filter(name="a", export_v4=accepted, import_v6=accepted),
    }
    peer = builders.a_bgp_peer(peer_ip="172.16.0.254", filters=["b", "a"])
    planned = plan(cluster(peers=peers(peer), filters=known))
    (session,) = [s for s in planned.config.sessions if s.name == "Global_172_16_0_254"]
    assert [one.name for one in session.export_filters] == [
        "bgp_b_exportFilterV4",
        "bgp_a_exportFilterV4",
    ]
    assert session.import_filters == ()
    assert [one.name for one in planned.config.families[0].filters] == [
        "bgp_a_exportFilterV4",
        "bgp_b_exportFilterV4",
    ]


def test_long_names_fit_and_stay_apart():
    names = [f"{'x' * 60}{number}" for number in range(3)]
    known = {
        name: builders.a_bgp_filter(name=name, export_v4=[FilterRule(action="Accept")])
        for name in names
    }
    symbols = {one.name for one in of_session(names, known, "export", 4)}
    assert len(symbols) == 3
    assert {len(symbol) for symbol in symbols} == {64}


def test_a_session_whose_filter_is_missing_stays_down():
    with pytest.raises(
        ValidationError, match=r"BGPFilter\(f\) does not exist, so the session stays"
    ):
        of_session(["f"], {}, "import", 4)
    peer = builders.a_bgp_peer(name="tor", peer_ip="172.16.0.254", filters=["f"])
    planned = plan(cluster(peers=peers(peer)))
    assert "Global_172_16_0_254" not in [session.name for session in planned.config.sessions]
    assert "BGPPeer(tor): spec.filters: BGPFilter(f)" in str(planned.problems[0])
