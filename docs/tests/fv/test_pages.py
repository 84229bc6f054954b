"""Runs what the pages tell a reader to type, on the hosts of a lab."""

from pathlib import Path

import pytest

from calico_docs.blocks import blocks, lab, pages

PAGES = Path(__file__).parents[2] / "pages"


def runnable():
    described = ((path, lab(path, path.read_text())) for path in pages(PAGES))
    return [path for path, wanted in described if wanted is not None and "docker" not in wanted]


@pytest.mark.parametrize("page", runnable(), ids=lambda page: str(page.relative_to(PAGES)))
def test_a_page_does_what_it_says(page, reader):
    text = page.read_text()
    reader(blocks(page, text), lab(page, text))
