"""Every form of a compiled rule, as the nft rules that it becomes.

Set ``CALICO_REWRITE_GOLDEN=1`` to write the file anew; commit the difference only if you can say why.
"""

import os
from pathlib import Path

from calico_node.felix.nft.text import render_rule
from calico_node.felix.program.testing.rule_forms import cases

GOLDEN = Path(__file__).parent / "golden" / "rules.nft"


def test_every_form_reads_as_agreed():
    actual = "\n".join(
        "".join(f"{line}\n" for line in (f"# {title}", *map(render_rule, rendered)))
        for title, rendered in cases().items()
    )
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        GOLDEN.write_text(actual)
    assert actual == GOLDEN.read_text()
