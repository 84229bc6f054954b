"""What Log rules write, and how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import PolicyId
from calico_node.felix.nft.model import Limit, Log
from calico_node.felix.program import logs
from calico_node.felix.program.settings import RuleSettings

WEB = PolicyId("NetworkPolicy", "shop", "web")
AUDIT = PolicyId("GlobalNetworkPolicy", "", "audit")


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (WEB, "security np web shop/web: "),
        (AUDIT, "security gnp audit audit: "),
        ("kns.shop", "profile pro kns.shop kns.shop: "),
    ],
)
def test_the_prefix_tells_of_tier_kind_and_name(subject, told):
    assert logs.prefix(subject, "security", "%t %k %n %p") == told


def test_other_percent_signs_stay():
    assert logs.prefix(AUDIT, "t", "100%: %x %") == "100%: %x %: "


@given(st.text(), st.text(), st.sampled_from(["calico-packet", "%t%n%p", "%n" * 40]))
def test_every_prefix_can_be_said_to_the_kernel_and_to_nft(tier, name, template):
    told = logs.prefix(PolicyId("NetworkPolicy", "", name), tier, template)
    assert len(told.encode()) <= 127
    assert told.endswith(": ")
    assert told.isprintable()
    assert '"' not in told


def test_a_rate_limit_comes_before_what_it_limits():
    limited = RuleSettings(log_prefix="x", log_limit=Limit(10, "minute", 7))
    assert logs.statements(AUDIT, "t", limited) == (Limit(10, "minute", 7), Log("x: "))
    assert logs.statements(AUDIT, "t", RuleSettings(log_prefix="x")) == (Log("x: "),)


@pytest.mark.parametrize(
    ("rate", "burst", "expected"),
    [
        ("", 5, None),
        ("10/second", 7, Limit(10, "second", 7)),
        ("9999/day", 0, Limit(9999, "day", 5)),
    ],
)
def test_limits_from_the_configuration(rate, burst, expected):
    assert logs.limit(rate, burst) == expected
