"""Fragments: names, kinds, texts."""

import tomllib
from importlib.resources import files

import pytest

from calico_release.fragments import KINDS, Fragment, FragmentError, parse, read
from calico_release.versions import Level


def test_a_fragment_says_what_it_raises():
    fragment = parse("+pools.removal.md", "`get` is gone.\n")
    assert fragment == Fragment("+pools.removal.md", "removal", "`get` is gone.")
    assert fragment.level is Level.MAJOR
    assert parse("12.fix.2.md", "x").level is Level.PATCH


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("notes.md", "x", r"name it \+slug"),
        ("+a.feature.txt", "x", r"name it \+slug"),
        ("+a.feat.md", "x", "the kind 'feat' is none of security"),
        ("+a.fix.md", " \n", "it is empty"),
    ],
)
def test_what_is_none_is_refused_and_named(file, text, said):
    with pytest.raises(FragmentError, match=said) as refused:
        parse(file, text)
    assert str(refused.value).startswith(file)


def test_a_folder_is_read_by_name_without_hidden_files(tmp_path):
    folder = tmp_path / "changes"
    folder.mkdir()
    for name in ("+b.fix.md", "+a.doc.md", ".gitkeep"):
        (folder / name).write_text("x")
    assert [fragment.file for fragment in read(tmp_path)] == ["+a.doc.md", "+b.fix.md"]
    (folder / "+c.fix.md").write_bytes(b"\xff")
    with pytest.raises(FragmentError, match=r"\+c\.fix\.md"):
        read(tmp_path)


def test_a_package_without_the_folder_has_none(tmp_path):
    assert read(tmp_path) == []


def test_towncrier_knows_the_same_kinds():
    text = files("calico_release").joinpath("towncrier.toml").read_text(encoding="utf-8")
    types = tomllib.loads(text)["tool"]["towncrier"]["type"]
    headings = {kind: heading for kind, (heading, _) in KINDS.items()}
    assert {row["directory"]: row["name"] for row in types} == headings
