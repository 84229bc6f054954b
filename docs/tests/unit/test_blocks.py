"""Blocks and their marks."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_docs.blocks import MarkError, blocks, lab, missing, pages

PAGE = Path("page.md")
PAGES = Path(__file__).parents[2] / "pages"


def found(text):
    return [(block.action, block.mark[1:], block.text) for block in blocks(PAGE, text)]


def test_a_mark_belongs_to_the_fence_below():
    text = (
        "<!-- test: run host2 -->\n```bash\na\nb\n```\n"
        "<!-- test: output -->\n\n```text\nc\n```\n```\nd\n```\n"
    )
    assert found(text) == [("run", ("host2",), "a\nb\n"), ("output", (), "c\n"), ("", (), "d\n")]
    assert [block.line for block in blocks(PAGE, text)] == [2, 8, 11]


def test_a_fence_in_a_list_is_read_without_its_indent():
    assert found("1. x\n\n    ```yaml\n    a:\n      b\n    ```\n") == [("", (), "a:\n  b\n")]


def test_prose_between_takes_the_mark_away():
    assert found("<!-- test: run -->\nprose\n```text\na\n```") == [("", (), "a\n")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```bash\nls\n```", "page.md:1: a bash block needs a mark"),
        ("<!-- test: try -->\n```text\n```", "page.md:1: a mark is one of"),
        ("<!-- test: file -->\n```yaml\n```", "page.md:1: 'file' needs a word"),
        ("```text\nx", "page.md:1: the fence is not closed"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(MarkError) as refused:
        blocks(PAGE, text)
    assert str(refused.value).startswith(said)


def test_a_page_describes_its_lab():
    assert lab(PAGE, "# x\n<!-- test: lab hosts=2 etcd -->\n") == {"hosts": "2", "etcd": ""}
    assert lab(PAGE, "# x\n") is None


@given(st.text(alphabet="`~ \nab<!->:test"))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(MarkError):
        blocks(PAGE, text)


def test_output_is_compared_by_lines_in_order():
    assert missing("a  b\nx\nc d e\n", "a b\nc ... e\n") == []
    assert missing("c\na\n", "a\nc\n") == ["c"]
    assert missing("", "a") == ["a"]


def test_every_block_of_this_site_says_how_it_is_tested():
    assert sum(len(blocks(path, path.read_text())) for path in pages(PAGES)) > 0
