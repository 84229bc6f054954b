"""Changes to an endpoint's profiles, and what is said of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import endpointprofiles
from libcalico.errors import ValidationError

NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(NAMES, NAMES)
def test_the_order_of_what_stays_is_kept(present, names):
    appended = endpointprofiles.CHANGES["append"](present, names)
    assert appended[: len(present)] == present
    assert sorted(appended) == sorted({*present, *names})
    removed = endpointprofiles.CHANGES["remove"](present, names)
    assert removed == [name for name in present if name in {*present} - {*names}]
    assert endpointprofiles.CHANGES["set"](present, names) == names
    assert endpointprofiles.CHANGES["remove"](appended, appended) == []


@pytest.mark.parametrize(
    ("action", "names", "said"),
    [
        ("append", ["b"], "Profile(s) b appended to web"),
        ("append", ["a"], "web already has profile(s) a"),
        ("append", ["c", "a"], "Profile(s) c appended to web\nweb already has profile(s) a"),
        ("append", [], "No profile was named; nothing was changed"),
        ("remove", ["a"], "Profile(s) a removed from web"),
        ("remove", ["c", "d"], "web does not have profile(s) c, d"),
        ("remove", [], "No profile was named; nothing was changed"),
        ("set", ["x", "y"], "web has profile(s) x, y"),
        ("set", [], "web has no profile"),
    ],
)
def test_what_is_said(action, names, said):
    assert endpointprofiles.told(action, ["a"], names, "web") == said


def test_a_profile_is_named_once():
    endpointprofiles.check(["a", "b"])
    with pytest.raises(ValidationError, match="named twice: a; nothing"):
        endpointprofiles.check(["a", "b", "a"])
