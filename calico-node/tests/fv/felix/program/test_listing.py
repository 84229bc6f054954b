"""What is programmed as bytes is what nft itself would have sent: the kernel lists both alike."""

import pytest

from calico_node.felix.nft import text
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.program.testing.examples import policy_table, traffic_table
from calico_node.felix.program.testing.rule_forms import rules_table
from calico_test.netns import NetNs

pytestmark = pytest.mark.root


@pytest.mark.parametrize("make", [policy_table, traffic_table, rules_table])
def test_bytes_and_text_are_the_same_table(make):
    table = make()
    with NetNs() as by_bytes, NetNs() as by_text, by_bytes.call(Nftables) as kernel:
        kernel.commit(replace_table(table))
        by_text.run(["nft", "-f", "-"], stdin=text.render(table))
        listed = blocks(by_bytes)
        assert listed == blocks(by_text)
    rules = sum(len(chain.rules) for chain in table.chains.values())
    assert sum(map(len, listed.values())) > rules


def blocks(netns):
    """Heads of the listing's blocks → their lines; the kernel lists them in the order of their making."""
    found, lines = {}, []
    for line in netns.run(["nft", "list", "ruleset"]).stdout.splitlines():
        if line.startswith("\t") and line.endswith("{"):
            lines = found.setdefault(line.strip(), [])
        elif line.startswith("\t\t"):
            lines.append(line.strip())
    return found
