"""Which way out the NAT of pools looks at."""

import pytest

from calico_node.felix.nft.model import Field, Match, NamePrefix
from calico_node.felix.program import nat
from calico_node.felix.program.settings import RuleSettings


@pytest.mark.parametrize(
    ("filtered", "matched"),
    [
        ("", []),
        ("eth0", ["eth0"]),
        ("eth+", [NamePrefix("eth")]),
        ("e+h", ["e+h"]),
        ("+", []),
    ],
)
def test_the_interface_filter_is_a_name_or_its_beginning(filtered, matched):
    rules = nat.outgoing(RuleSettings(nat_outgoing_interface=filtered))
    assert rules
    for rule in rules:
        wanted = [Match(Field.OIFNAME, value) for value in matched]
        assert [s for s in rule.statements if getattr(s, "field", "") == Field.OIFNAME] == wanted
