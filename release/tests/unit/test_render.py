"""Texts that a release changes, and how a plan looks."""

import json
import tomllib

import pytest
from packaging.version import Version

from calico_release.packages import MetadataError, Package
from calico_release.plan import Plan, Release
from calico_release.render import MARKER, as_json, changelog, next_number, pinned, pyproject, table

TEXT = """# kept
[project]
name = "calicoctl"
version = "0.1.0.dev0"
dependencies = ["libcalico>=0.1.0.dev0,<0.2", "click>=8.1"]

[tool.other]
version = "7"
"""
CHANGE = {"libcalico>=0.1.0.dev0,<0.2": "libcalico>=0.1.0,<0.2"}
RELEASE = Release(
    Package("calicoctl", "calicoctl", "0.1.0.dev0", frozenset()),
    None,
    Version("0.1.0"),
    Version("0.1.1.dev0"),
    CHANGE,
    "1 feature",
)
PLAN = Plan(2, (RELEASE,), ("something",), {"calicoctl": "0.1.0"})


def test_only_version_and_range_change():
    changed = pyproject(TEXT, "0.1.0", CHANGE)
    expected = TEXT.replace('"0.1.0.dev0"', '"0.1.0"').replace(">=0.1.0.dev0,", ">=0.1.0,")
    assert changed == expected


def test_what_cannot_be_found_is_refused():
    with pytest.raises(MetadataError, match="a line of its own"):
        pyproject(TEXT.replace('version = "0', 'version="0'), "0.1.0", {})
    with pytest.raises(MetadataError, match="double quotes"):
        pyproject(TEXT, "0.1.0", {"click<9": "click<10"})


def test_a_changelog_gets_its_place_once():
    text = "# Changelog of x\n\nNothing is released yet. Changes since then are in `changes/`.\n"
    once = changelog(text)
    assert once == f"# Changelog of x\n\n{MARKER}"
    assert changelog(once) == once
    assert changelog("# Title\n\n## 0.1.0\n") == f"# Title\n\n{MARKER}## 0.1.0\n"


def test_sets_of_versions_are_numbered():
    assert next_number("") == 1
    first = pinned("# Sets\n", Plan(1, (), (), {"libcalico": "0.1.0"}), "2026-01-31")
    second = pinned(first, PLAN, "2026-02-01")
    assert next_number(second) == 3
    rows = tomllib.loads(second)["release"]
    assert [row["packages"] for row in rows] == [{"libcalico": "0.1.0"}, {"calicoctl": "0.1.0"}]
    with pytest.raises(MetadataError, match=r"versions\.toml"):
        next_number("[[release]]\n")


def test_a_plan_for_people():
    assert table(PLAN).splitlines() == [
        "release 2, branch release-2",
        "",
        "PACKAGE    LAST  RELEASE  NEXT        TAG               WHY",
        "calicoctl  -     0.1.0    0.1.1.dev0  calicoctl-v0.1.0  1 feature",
        "",
        "problem: something",
    ]


def test_a_plan_for_programs():
    read = json.loads(as_json(PLAN))
    assert read["releases"][0]["requirements"] == CHANGE
    assert (read["branch"], read["pins"]) == ("release-2", {"calicoctl": "0.1.0"})
