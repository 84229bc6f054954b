"""Order of versions, and ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from calico_release.versions import (
    Level,
    VersionError,
    allows,
    bumped,
    claim,
    development,
    is_below,
    is_provisional,
    next_development,
    parse_tag,
    released,
    tag,
)

NUMBER = st.integers(0, 30)
FINAL = st.tuples(NUMBER, NUMBER, NUMBER).map(lambda parts: Version(".".join(map(str, parts))))
LEVEL = st.sampled_from(Level)


@given(FINAL, LEVEL)
def test_a_release_comes_after_the_last(last, level):
    assert bumped(last, level) > last


@given(FINAL, LEVEL, LEVEL)
def test_a_larger_change_raises_no_less(last, one, other):
    assert (bumped(last, max(one, other))) >= bumped(last, min(one, other))


@given(FINAL, FINAL | st.none(), LEVEL)
def test_a_release_is_after_the_tree_and_after_the_last(base, last, level):
    now = Version(f"{base}.dev0")
    version = released(now, last, level)
    assert version > now
    assert last is None or version > last
    assert next_development(version) > version
    assert not version.is_prerelease


@given(FINAL, LEVEL)
def test_a_range_holds_what_does_not_break_and_ends_where_it_may(last, level):
    range_ = claim("x>=0.1.0.dev0,<0.2", last)
    assert allows(range_, last)
    assert allows(range_, next_development(last))
    assert allows(range_, bumped(last, level)) == (level is not Level.MAJOR)


@given(FINAL)
def test_a_tag_is_read_back(version):
    assert parse_tag(tag("calico-node", version)) == ("calico-node", version)


@pytest.mark.parametrize("text", ["v1.0.0", "calico-node-v1.0", "calico-node-v1.0.0rc1", "x"])
def test_other_tags_are_passed_over(text):
    assert parse_tag(text) is None


@pytest.mark.parametrize(
    ("last", "level", "version"),
    [
        ("0.1.0", Level.MAJOR, "0.2.0"),
        ("0.1.0", Level.MINOR, "0.1.1"),
        ("0.1.9", Level.PATCH, "0.1.10"),
        ("1.2.3", Level.MAJOR, "2.0.0"),
        ("1.2.3", Level.MINOR, "1.3.0"),
        ("1.2.3", Level.PATCH, "1.2.4"),
    ],
)
def test_what_each_level_raises(last, level, version):
    assert bumped(Version(last), level) == Version(version)


@pytest.mark.parametrize("text", ["0.1.0", "1.0.dev0", "1.0.0.dev1", "1.0.0rc1", ""])
def test_a_tree_between_releases_is_called_dev0(text):
    with pytest.raises(VersionError, match=r"X\.Y\.Z\.dev0"):
        development(text)


def test_a_provisional_range_is_seen():
    assert is_provisional("x>=0.1.0.dev0,<0.2")
    assert not is_provisional("x>=0.1.0,<0.2")
    assert is_below(Version("0.0.9"), "x>=0.1.0.dev0,<0.2")
    assert not is_below(Version("0.3.0"), "x>=0.1.0,<0.2")


def test_extras_and_markers_survive():
    text = claim("x[a,b]>=1,<2; python_version < '3.12'", Version("2.1.0"))
    assert text == 'x[a,b]>=2.1.0,<3; python_version < "3.12"'


def test_a_requirement_that_is_none_is_named():
    with pytest.raises(VersionError, match="dependency 'x>>1'"):
        allows("x>>1", Version("1.0.0"))
