"""Metadata of the packages: of this tree, and of broken ones."""

from pathlib import Path

import pytest

from calico_release.packages import MetadataError, Package, in_order, parse, read

ROOT = Path(__file__).parents[3]
FOLDERS = {
    "libcalico",
    "calicoctl",
    "calico-node",
    "calico-cni",
    "calico-mesos",
    "libnetwork-plugin",
    "calico-test",
    "release",
    "docs",
}


def test_this_tree_has_its_nine_packages():
    assert {package.folder for package in read(ROOT).values()} == FOLDERS


def test_programs_of_this_tree_come_after_the_library():
    names = [package.name for package in in_order(read(ROOT))]
    assert names.index("libcalico") < min(
        names.index(n) for n in ("calicoctl", "calico-node", "calico-cni")
    )


def test_every_package_has_the_same_furniture():
    for package in read(ROOT).values():
        for part in ("README.md", "CHANGELOG.md", "src", "tests/unit", "changes"):
            assert (ROOT / package.folder / part).exists(), f"{package.folder}/{part}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [project] table"),
        ('[project]\nversion = "1"', "project.name"),
        ('[project]\nname = "x"\nversion = 1', "project.version"),
        ('[project]\nname = "x"\nversion = "1"\ndependencies = "y"', "no list"),
        ('[project]\nname = "x"\nversion = "1"\ndependencies = ["<2"]', "names no distribution"),
    ],
)
def test_wrong_metadata_is_refused_and_the_field_named(text, said):
    with pytest.raises(MetadataError) as refused:
        parse("x", text)
    assert said in str(refused.value)


def test_a_folder_without_packages_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]")
    with pytest.raises(MetadataError, match="no packages are here; run it at the top of a clone"):
        read(tmp_path)


def test_two_packages_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"')
    with pytest.raises(MetadataError, match="x is also a"):
        read(tmp_path)


def test_a_circle_is_refused():
    circle = {
        "a": Package("a", "a", "1", frozenset({"b"})),
        "b": Package("b", "b", "1", frozenset({"a"})),
    }
    with pytest.raises(MetadataError, match="circle"):
        in_order(circle)
