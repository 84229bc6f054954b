"""Runs what the pages tell a reader to type, on the hosts of a lab."""

import time
from pathlib import Path

import pytest

from calico_docs.blocks import blocks, lab, missing, pages

PAGES = Path(__file__).parents[2] / "pages"
UNTIL_S = 20.0


def runnable():
    return [path for path in pages(PAGES) if lab(path, path.read_text()) is not None]


@pytest.mark.parametrize("page", runnable(), ids=lambda page: str(page.relative_to(PAGES)))
def test_a_page_does_what_it_says(page, shells):
    text = page.read_text()
    follow(blocks(page, text), shells(lab(page, text)))


def follow(steps, shells):
    """Do one step after the other, each with what the page says that is seen."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        expected = following.text if following and following.action == "output" else ""
        host = next((word for word in step.mark[1:] if word in shells), "host1")
        if step.action == "file":
            for shell in shells.values():
                (shell.folder / step.mark[1]).write_text(step.text)
        elif step.action in {"run", "until"}:
            deadline = time.monotonic() + (UNTIL_S if step.action == "until" else 0)
            run(step, shells[host], expected, deadline)


def run(step, shell, expected, deadline):
    while True:
        code, output = shell.run(step.text)
        lost = missing(output, expected)
        if code == 0 and not lost:
            return
        if time.monotonic() >= deadline:
            pytest.fail(f"{step}: exit code {code}, not seen: {lost}, but:\n{output}")
