"""What an index has, from its page."""

from hypothesis import given
from hypothesis import strategies as st

from calico_release.publish import parse

DIGEST = "0" * 64


def test_names_and_digests_are_read():
    page = f"""<a href="/packages/x-1.0.tar.gz#sha256={DIGEST}">x</a>
    <a href='x-1.0%2Blocal-py3-none-any.whl'>y</a>"""
    assert parse(page) == {"x-1.0.tar.gz": DIGEST, "x-1.0+local-py3-none-any.whl": None}


@given(st.text())
def test_any_page_is_read(page):
    parse(page)
