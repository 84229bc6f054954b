"""The text of every rule form, and of a whole table."""

import pytest

from calico_node.felix.nft.keys import KeyType, Range, pack
from calico_node.felix.nft.model import (
    DROP,
    BaseHook,
    Chain,
    Field,
    Match,
    Named,
    Rule,
    Set,
    VerdictLookup,
    VerdictMap,
    goto,
    jump,
    table,
)
from calico_node.felix.nft.testing.forms import RULE_FORMS, address, everything, prefix
from calico_node.felix.nft.text import render, render_element, render_rule

GOLDEN = """\
table inet t {
    set hosts {
        type ipv4_addr
        size 4
        elements = { 10.0.0.1,
                     10.0.0.2 }
    }

    set nets {
        type ipv4_addr
        flags interval
        elements = { 10.0.0.0/8,
                     11.0.0.5-11.0.0.9 }
    }

    map dispatch {
        type ifname : verdict
        size 8
        elements = { "cali1" : jump a,
                     "cali2" : goto b }
    }

    chain a {
        ip saddr @hosts drop
    }

    chain b {
    }

    chain forward {
        type filter hook forward priority -10; policy drop;
        iifname vmap @dispatch
    }
}
"""


@pytest.mark.parametrize("form", RULE_FORMS, ids=lambda form: form.text)
def test_every_rule_form(form):
    assert render_rule(form.rule) == form.text


def test_a_whole_table_in_order_of_names():
    cali1, cali2 = KeyType.IFNAME.pack("cali1"), KeyType.IFNAME.pack("cali2")
    nets = {
        prefix("10.0.0.0/8").address + address("10.255.255.255"),
        address("11.0.0.5") + address("11.0.0.9"),
    }
    whole = table(
        "t",
        [
            Chain(
                "forward",
                (Rule((VerdictLookup(Field.IIFNAME, "dispatch"),)),),
                BaseHook("filter", "forward", -10, "drop"),
            ),
            Chain("b"),
            Chain("a", (Rule((Match(Field.IP_SADDR, Named("hosts")), DROP)),)),
        ],
        [
            Set("nets", (KeyType.IPV4_ADDR,), frozenset(nets), interval=True),
            Set(
                "hosts",
                (KeyType.IPV4_ADDR,),
                frozenset({address("10.0.0.2"), address("10.0.0.1")}),
                size=4,
            ),
        ],
        [VerdictMap("dispatch", (KeyType.IFNAME,), {cali2: goto("b"), cali1: jump("a")}, size=8)],
    )
    assert render(whole) == GOLDEN


def test_the_table_of_all_forms_renders():
    assert render(everything("t")).count("\n") > len(RULE_FORMS)


@pytest.mark.parametrize(
    ("types", "values", "text"),
    [
        ((KeyType.IPV6_ADDR,), (address("fd00::1"),), "fd00::1"),
        ((KeyType.INET_SERVICE,), (443,), "443"),
        ((KeyType.MARK,), (0x10000,), "0x00010000"),
        (
            (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
            (address("10.0.0.1"), 6, 80),
            "10.0.0.1 . tcp . 80",
        ),
        (
            (KeyType.IFNAME, KeyType.IPV6_ADDR),
            ("cali1", address("fd00::1")),
            '"cali1" . fd00::1',
        ),
    ],
)
def test_elements_are_unpacked(types, values, text):
    assert render_element(types, pack(types, values)) == text


def test_an_interval_of_ports():
    low, high = (KeyType.INET_SERVICE.pack(port) for port in (1000, 2000))
    assert render_element((KeyType.INET_SERVICE,), low + high, interval=True) == "1000-2000"


def test_ranges_are_values_too():
    rule = Rule((Match(Field.DPORT, Range(1, 2)), DROP))
    assert render_rule(rule) == "th dport 1-2 drop"
