"""Links: of this tree, and of made-up texts."""

from pathlib import Path

import pytest

from calico_docs.links import broken, links
from calico_docs.site import check_links

ROOT = Path(__file__).parents[3]


def test_no_link_of_this_tree_leads_nowhere():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert check_links(ROOT) > 0


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("[a](b.md)", ["b.md"]),
        ("[a](b.md) and [c](d/#e)", ["b.md", "d/#e"]),
        ("`[a](b.md)`", []),
        ("```\n[a](b.md)\n```\n[c](d)", ["d"]),
        ("![a](b.png)", []),
    ],
)
def test_links_are_found_outside_of_code(text, targets):
    assert [link.target for link in links(Path("x.md"), text)] == targets


def test_a_link_knows_its_line():
    assert [link.line for link in links(Path("x.md"), "\n\n[a](b)\n`x\n`\n[c](d)")] == [3, 6]


def test_links_that_lead_nowhere_or_out_of_the_tree_are_broken(tmp_path):
    (tmp_path / "there.md").write_text("")
    file = tmp_path / "x.md"
    file.write_text(
        "[a](there.md#x) [b](#here) [c](gone.md) [d](https://example.org/) [e](../../etc)"
    )
    assert [link.target for link in broken(tmp_path, iter([file]))] == ["gone.md", "../../etc"]
