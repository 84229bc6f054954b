"""Private network namespaces, and what nft lists in them."""

import re

import pytest

from calico_node.felix.nft.apply import Nftables
from calico_test.netns import NetNs


@pytest.fixture
def netns():
    with NetNs() as netns:
        yield netns


@pytest.fixture
def other_netns():
    with NetNs() as netns:
        yield netns


@pytest.fixture
def kernel(netns):
    with netns.call(Nftables) as kernel:
        yield kernel


@pytest.fixture(scope="session")
def list_blocks():
    """The function that lists all tables of a namespace: head of a block → its lines."""
    return _list_blocks


def _list_blocks(netns):
    text = netns.run(["nft", "-s", "list", "ruleset"]).stdout
    blocks = {}
    for block in re.split(r"^\t(?=\w)", text, flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        rules, _, elements = body.partition("elements = {")
        lines = [line.strip() for line in rules.splitlines() if line.strip(" \t}")]
        listed = re.split(r",\s+", elements.split("}")[0].strip()) if elements else []
        blocks[head] = [*lines, *sorted(listed)]
    return blocks
