"""Which packages a change touches."""

from hypothesis import given
from hypothesis import strategies as st

from calico_release.changed import affected
from calico_release.packages import Package

PACKAGES = {
    "libcalico": Package("libcalico", "libcalico", "1", frozenset({"msgspec"})),
    "calicoctl": Package("calicoctl", "calicoctl", "1", frozenset({"libcalico"})),
    "calico-node": Package("calico-node", "calico-node", "1", frozenset({"libcalico"})),
    "calico-release": Package("release", "calico-release", "1", frozenset()),
}


def test_a_library_touches_what_needs_it():
    assert affected(["libcalico/src/libcalico/errors.py"], PACKAGES) == {
        "libcalico",
        "calicoctl",
        "calico-node",
    }


def test_a_program_touches_itself():
    assert affected(["release/README.md"], PACKAGES) == {"calico-release"}


def test_a_root_file_touches_everything():
    assert affected(["Makefile"], PACKAGES) == set(PACKAGES)
    assert affected([".ci/run"], PACKAGES) == set(PACKAGES)


def test_no_change_touches_nothing():
    assert affected([], PACKAGES) == set()


PATHS = st.sampled_from(["libcalico/a", "calicoctl/b", "release/c", "Makefile"])


@given(st.lists(PATHS), st.lists(PATHS))
def test_two_changes_together_touch_what_each_touches(one, other):
    assert affected(one + other, PACKAGES) == affected(one, PACKAGES) | affected(other, PACKAGES)
