"""The whole table for small, complete cases, as an operator would see it.

Set ``CALICO_REWRITE_GOLDEN=1`` to write the files anew; commit the difference only if you can say why.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calico_node.felix.nft import text
from calico_node.felix.program.testing.examples import policy_table, traffic_table

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("name", "make"), [("table", policy_table), ("traffic", traffic_table)])
def test_the_table_reads_as_agreed(name, make):
    actual, golden = text.render(make()), GOLDEN / f"{name}.nft"
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        golden.write_text(actual)
    assert actual == golden.read_text()
