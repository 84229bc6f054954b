"""Cutting releases with real git: what is made, what is refused, and what an interruption leaves."""

import json
import stat
import subprocess
import sys
import tomllib

import pytest

DATE = ("--date", "2026-01-31")


def test_a_cut_makes_branch_tags_changelogs_and_next_versions(clone):
    said = clone.release("cut", *DATE)
    assert "alpha-lib-v0.1.0" in said
    for where in (clone.root, clone.remote):
        assert clone.git("tag", "--list", at=where).split() == [
            "alpha-lib-v0.1.0",
            "beta-tool-v0.1.0",
        ]
        assert clone.git("rev-parse", "alpha-lib-v0.1.0^{commit}", at=where) == clone.git(
            "rev-parse", "release-1", at=where
        )
        assert clone.git("rev-parse", "main^", at=where) == clone.git(
            "rev-parse", "release-1", at=where
        )
    project = tomllib.loads(clone.show("release-1", "beta-tool/pyproject.toml"))["project"]
    assert (project["version"], project["dependencies"]) == ("0.1.0", ["alpha-lib>=0.1.0,<0.2"])
    log = clone.show("release-1", "beta-tool/CHANGELOG.md")
    assert "Nothing is released" not in log
    assert "## 0.1.0 (2026-01-31)\n\n### Features\n\n- It says its version." in log
    row = tomllib.loads(clone.show("release-1", "release/versions.toml"))["release"][0]
    assert row["packages"] == {"alpha-lib": "0.1.0", "beta-tool": "0.1.0"}
    assert 'version = "0.1.1.dev0"' in (clone.root / "alpha-lib/pyproject.toml").read_text()
    assert not list((clone.root / "alpha-lib/changes").glob("*.md"))
    assert clone.git("status", "--porcelain") == ""


def test_a_library_that_breaks_takes_its_dependent_along_and_the_changelog_says_so(clone):
    clone.release("cut", *DATE)
    clone.add_fragment("alpha-lib", "+gone.removal.md", "A function is gone.")
    clone.commit("alpha: remove")
    clone.release("cut", "--only", "alpha-lib", *DATE)
    assert clone.git("tag", "--points-at", "release-2").split() == [
        "alpha-lib-v0.2.0",
        "beta-tool-v0.1.1",
    ]
    log = clone.show("release-2", "beta-tool/CHANGELOG.md")
    assert log.index("## 0.1.1") < log.index("Needs alpha-lib 0.2.0.") < log.index("## 0.1.0")
    assert "alpha-lib>=0.2.0,<0.3" in clone.show("release-2", "beta-tool/pyproject.toml")


def test_a_plan_is_for_people_and_for_programs(clone):
    assert "1 feature" in clone.release("plan")
    made = json.loads(clone.release("plan", "--json"))
    assert [release["tag"] for release in made["releases"]] == [
        "alpha-lib-v0.1.0",
        "beta-tool-v0.1.0",
    ]


def make_dirty(clone):
    (clone.root / "left.txt").write_text("x")


def take_tag(clone):
    clone.git("tag", "alpha-lib-v0.1.0", "main", at=clone.remote)


def take_branch(clone):
    clone.git("branch", "release-1")


def drop_fragments(clone):
    (clone.root / "beta-tool/changes/+first.feature.md").unlink()
    clone.commit("forget")


def break_fragment(clone):
    clone.add_fragment("beta-tool", "+x.feat.md", "x")
    clone.commit("misname")


def stay_behind(clone):
    clone.git("commit", "-q", "--allow-empty", "-m", "not pushed")


def leave_main(clone):
    clone.git("switch", "-q", "-c", "other")


def lose_remote(clone):
    clone.remote.rename(clone.remote.with_name("gone"))
    clone.remote.mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (make_dirty, "the working tree has changes"),
        (take_tag, "exists already: refs/tags/alpha-lib-v0.1.0"),
        (take_branch, "exists already: refs/heads/release-1"),
        (drop_fragments, "beta-tool was never released, and no fragment"),
        (break_fragment, "the kind 'feat' is none of"),
        (stay_behind, "pull and push, then cut again"),
        (leave_main, "check out main first"),
    ],
)
def test_what_must_not_be_cut_is_refused_and_changes_nothing(clone, spoil, said):
    spoil(clone)
    before = clone.references()
    assert said in clone.release("cut", code=1)
    assert clone.references() == before
    assert not (clone.root / ".git/calico-release.json").exists()
    assert not (clone.root / ".git/calico-release-tree").exists()


def test_a_remote_that_is_gone_is_named(clone):
    lose_remote(clone)
    assert "git ls-remote origin" in clone.release("cut", code=1)
    assert clone.git("tag", "--list") == ""


def test_a_dry_run_shows_the_change_and_makes_none(clone):
    before = clone.references()
    said = clone.release("cut", "--dry-run", *DATE)
    assert "beta-tool/CHANGELOG.md" in said
    assert said.endswith("dry run: nothing was changed\n")
    assert clone.references() == before


def hook(clone, name, text):
    path = clone.remote / "hooks" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_a_refused_push_leaves_nothing(clone):
    hook(clone, "pre-receive", "echo not today >&2; exit 1")
    before = clone.references()
    assert "not today" in clone.release("cut", *DATE, code=1)
    assert clone.references() == before
    assert not (clone.root / ".git/calico-release.json").exists()


# The remote's hooks run while the releaser pushes. One runs before the remote takes anything, which it then
# refuses to do; the other after.
KILLER = "kill -9 $(cat {pid}); exit 1"


@pytest.mark.parametrize("moment", ["pre-receive", "post-receive"])
def test_a_cut_that_is_killed_is_completed_by_the_next(clone, tmp_path, moment):
    pid = tmp_path / "pid"
    killer = hook(clone, moment, KILLER.format(pid=pid))
    start = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid()))"
    code = f"{start}; from calico_release.cli import main; main()"
    killed = subprocess.Popen([sys.executable, "-c", code, "cut", *DATE], cwd=clone.root)
    assert killed.wait(60) == -9
    assert (clone.root / ".git/calico-release.json").exists()
    killer.unlink()
    said = clone.release("cut", *DATE)
    assert "completing the cut that was interrupted" in said
    for where in (clone.root, clone.remote):
        assert clone.git("tag", "--list", at=where).split() == [
            "alpha-lib-v0.1.0",
            "beta-tool-v0.1.0",
        ]
        assert clone.git("rev-parse", "main^", at=where) == clone.git(
            "rev-parse", "release-1", at=where
        )
    assert clone.git("status", "--porcelain") == ""
    assert "nothing to release" in clone.release("cut", code=1)


def test_what_a_kill_left_of_the_prepared_tree_is_removed(clone):
    clone.git("worktree", "add", "-q", "--detach", ".git/calico-release-tree", "HEAD")
    clone.release("cut", *DATE)
    assert clone.git("worktree", "list").count("\n") == 0


def test_an_intent_that_cannot_be_read_is_named(clone):
    (clone.root / ".git/calico-release.json").write_text("{")
    before = clone.references()
    assert "calico-release.json" in clone.release("cut", code=1)
    assert clone.references() == before


def test_the_documentation_is_validated_by_its_own_command(clone):
    assert "would run -m calico_docs check" in clone.release("validate-docs", "--dry-run")
    (clone.root / "docs").mkdir()
    (clone.root / "README.md").write_text("[gone](gone.md)\n")
    assert "README.md:1: gone.md" in clone.release("validate-docs", code=1)
