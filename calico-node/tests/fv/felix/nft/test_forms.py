"""The kernel holds the same, whether a table came as bytes or as text through nft."""

import json

import pytest

from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.testing.forms import MAPS, RULE_FORMS, SETS, everything
from calico_node.felix.nft.text import render
from calico_test.netns import NetNs

pytestmark = pytest.mark.root

TABLE = everything("t")
PLACES = {
    rule: (name, index)
    for name, chain in TABLE.chains.items()
    for index, rule in enumerate(chain.rules)
}


@pytest.fixture(scope="module")
def listings(list_blocks):
    """What nft lists of the table by bytes, and by text."""
    with NetNs() as by_bytes, NetNs() as by_text:
        with by_bytes.call(Nftables) as kernel:
            kernel.commit(replace_table(TABLE))
        by_text.run(["nft", "-f", "-"], stdin=render(TABLE))
        yield list_blocks(by_bytes), list_blocks(by_text)


@pytest.mark.parametrize("form", RULE_FORMS, ids=lambda form: form.text)
def test_every_rule_form(form, listings):
    by_bytes, by_text = (_rule(listing, form.rule) for listing in listings)
    assert by_bytes == by_text


@pytest.mark.parametrize("held", [*SETS, *MAPS], ids=lambda held: held.name)
def test_every_kind_of_set_and_map(held, listings):
    by_bytes, by_text = (
        next(lines for head, lines in listing.items() if head.split()[1] == held.name)
        for listing in listings
    )
    assert by_bytes == by_text
    assert len(by_bytes) >= 1 + len(held.elements)


def test_nothing_else_is_there(listings):
    by_bytes, by_text = listings
    assert by_bytes == by_text
    assert len(by_bytes) == len(TABLE.chains) + len(SETS) + len(MAPS)


def test_nft_lists_the_table_as_json_too(netns, kernel):
    kernel.commit(replace_table(TABLE))
    listed = json.loads(netns.run(["nft", "-j", "list", "table", "inet", "t"]).stdout)["nftables"]
    assert sum("rule" in entry for entry in listed) == len(RULE_FORMS) + 1


def _rule(listing, rule):
    name, index = PLACES[rule]
    hook = 1 if TABLE.chains[name].hook else 0
    return listing[f"chain {name} {{"][hook + index]
