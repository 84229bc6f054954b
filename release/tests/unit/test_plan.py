"""Plans: which packages are due, in which order, with which versions."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from calico_release.fragments import KINDS, Fragment
from calico_release.packages import Package
from calico_release.plan import State, plan
from calico_release.versions import allows

LIBRARY = Package(
    "libcalico", "libcalico", "0.1.0.dev0", frozenset({"msgspec"}), ("msgspec>=0.19",)
)
NEED = "libcalico>=0.1.0.dev0,<0.2"
CTL = Package("calicoctl", "calicoctl", "0.1.0.dev0", frozenset({"libcalico"}), (NEED,))
NODE = Package("calico-node", "calico-node", "0.1.0.dev0", frozenset({"libcalico"}), (NEED,))


def state(fragments, tags=(), changed=(), packages=(LIBRARY, CTL, NODE), number=1):
    """A tree with these kinds of fragments per package."""
    made = {
        name: [Fragment(f"+x{i}.{kind}.md", kind, "x") for i, kind in enumerate(kinds)]
        for name, kinds in fragments.items()
    }
    return State({p.name: p for p in packages}, made, tags, changed, number)


def after(package, version, **fields):
    return dataclasses.replace(package, version=version, **fields)


def versions(made):
    return {release.package.name: str(release.version) for release in made.releases}


def test_the_first_release_drops_dev_and_claims_what_is_published():
    made = plan(
        state({"libcalico": ["feature"], "calicoctl": ["feature"]}, changed=["calico-node"])
    )
    assert versions(made) == {"libcalico": "0.1.0", "calicoctl": "0.1.0"}
    assert made.releases[1].requirements == {NEED: "libcalico>=0.1.0,<0.2"}
    assert [str(release.following) for release in made.releases] == ["0.1.1.dev0"] * 2
    assert made.pins == {"libcalico": "0.1.0", "calicoctl": "0.1.0"}
    assert len(made.problems) == 1
    assert made.problems[0].startswith("calico-node was never released, and no fragment says")


def test_a_library_that_may_break_takes_its_dependents_along():
    claimed = {"requirements": ("libcalico>=0.1.0,<0.2",)}
    tree = (
        after(LIBRARY, "0.1.1.dev0"),
        after(CTL, "0.1.1.dev0", **claimed),
        after(NODE, "0.1.1.dev0", **claimed),
    )
    tags = ["libcalico-v0.1.0", "calicoctl-v0.1.0", "calico-node-v0.1.0"]
    made = plan(state({"libcalico": ["removal"]}, tags, packages=tree), ["libcalico"])
    assert versions(made) == {"libcalico": "0.2.0", "calico-node": "0.1.1", "calicoctl": "0.1.1"}
    forced = made.releases[1]
    assert forced.requirements == {"libcalico>=0.1.0,<0.2": "libcalico>=0.2.0,<0.3"}
    assert (forced.note, forced.why) == ("Needs libcalico 0.2.0.", "needs libcalico 0.2.0")
    quiet = plan(state({"libcalico": ["fix"]}, tags, packages=tree))
    assert versions(quiet) == {"libcalico": "0.1.1"}
    assert quiet.pins["calicoctl"] == "0.1.0"


def test_a_program_needs_a_published_library():
    made = plan(state({"calicoctl": ["fix"]}), ["calicoctl"])
    assert made.releases == ()
    assert made.problems == (
        "calicoctl: it needs libcalico, which is not released: release it along",
    )
    old = plan(state({"calicoctl": ["fix"]}, ["libcalico-v0.0.9"]), ["calicoctl"])
    assert "0.0.9 is the last: release libcalico along" in old.problems[0]


def test_a_version_that_is_not_between_releases_is_a_problem():
    made = plan(state({"libcalico": ["fix"]}, packages=[after(LIBRARY, "0.1.0")]))
    assert made.problems == ("libcalico: version '0.1.0' is not of the form X.Y.Z.dev0",)


def test_nothing_to_do_and_unknown_names_are_problems():
    assert plan(state({})).problems == ("nothing to release: no package has fragments",)
    assert plan(state({}), ["calico"]).problems == ("there is no package calico",)


KIND_LISTS = st.lists(st.sampled_from(sorted(KINDS)), max_size=3)


@given(
    st.dictionaries(st.sampled_from(["libcalico", "calicoctl", "calico-node"]), KIND_LISTS),
    st.sets(st.sampled_from(["libcalico-v0.1.0", "calicoctl-v0.1.3", "calico-node-v1.0.0"])),
)
def test_whatever_is_planned_can_be_installed_together(fragments, tags):
    before = state(fragments, tags)
    made = plan(before)
    names = [release.package.name for release in made.releases]
    assert "libcalico" not in names[1:]
    for release in made.releases:
        assert release.tag not in tags
        assert release.last is None or release.version > release.last
        library = made.pins.get("libcalico")
        for text in release.package.requirements:
            if text.startswith("libcalico"):
                assert allows(release.requirements.get(text, text), library)
