"""The site of this tree builds without a warning; what is wrong is said."""

import subprocess
from pathlib import Path

import pytest

from calico_docs.site import SiteError, build, check_links, check_marks

ROOT = Path(__file__).parents[3]


def test_the_site_builds_without_a_warning(tmp_path):
    build(ROOT, tmp_path)
    for page in ("index.html", "reference/cli/calicoctl.html", "decisions/0001-nine-packages.html"):
        assert (tmp_path / page).exists(), page
    assert "http://fonts" not in (tmp_path / "index.html").read_text()


@pytest.fixture
def tree(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "docs" / "pages").mkdir(parents=True)
    (tmp_path / "docs" / "mkdocs.yml").write_text(
        "site_name: x\ndocs_dir: pages\nvalidation: {links: {not_found: warn}}\n"
    )
    (tmp_path / "docs" / "pages" / "index.md").write_text("# x\n")
    return tmp_path


def test_a_warning_is_an_error(tree, tmp_path):
    build(tree, tmp_path / "out")
    (tree / "docs" / "pages" / "index.md").write_text("[gone](gone.md)\n")
    with pytest.raises(SiteError, match=r"gone\.md"):
        build(tree, tmp_path / "out")


def test_a_link_that_leads_nowhere_is_named(tree):
    (tree / "README.md").write_text("\n[x](docs)\n[y](gone)\n")
    with pytest.raises(SiteError, match=r"README\.md:3: gone"):
        check_links(tree)


def test_a_block_without_a_mark_is_named(tree):
    assert check_marks(tree) == 0
    (tree / "docs" / "pages" / "index.md").write_text("```bash\nls\n```\n")
    with pytest.raises(SiteError, match=r"index\.md:1"):
        check_marks(tree)
