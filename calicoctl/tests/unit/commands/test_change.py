"""Patches: merged as RFC 7396 says, strict about themselves, careful with what is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl.commands import change
from libcalico.errors import ConflictError, ValidationError
from libcalico.resources import codec

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from("abc"), v, max_size=3),
    max_leaves=8,
)
STORED = {
    "metadata": {"name": "t", "uid": "u", "resourceVersion": "7", "managedFields": [{}]},
    "spec": {"order": 1, "defaultAction": "Pass", "colour": "red"},
    "later": {"x": 1},
}


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # appendix A of RFC 7396
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging(document, patch, result):
    assert change.merged(document, patch) == result


@given(VALUES, VALUES)
def test_a_patch_applied_twice_is_applied_once(document, patch):
    once = change.merged(document, patch)
    assert change.merged(once, patch) == once


def test_what_this_version_does_not_know_stays():
    tier = codec.decode(STORED, kind="Tier")
    patched = change.patched(tier, {"spec": {"order": 2}})
    assert codec.to_mapping(patched) == {
        "kind": "Tier",
        "apiVersion": "projectcalico.org/v3",
        **STORED,
        "spec": {**STORED["spec"], "order": 2},
    }
    assert "colour" not in change.patched(tier, {"spec": {"colour": None}}).spec.unknown_fields


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"spec": {"ordre": 1}}, "spec.ordre: unknown field"),
        ({"spec": {"colour": "blue"}}, "spec.colour: unknown field"),
        ({"spec": {"order": "high"}}, "spec.order"),
        ({"spec": None, "metadata": {"name": "x"}}, "cannot be changed"),
        ({"kind": "Node"}, "spec.order: unknown field"),
        ({"apiVersion": "v1"}, "unknown resource type"),
    ],
)
def test_a_wrong_patch_is_refused(patch, said):
    with pytest.raises(ValidationError, match=said):
        change.patched(codec.decode(STORED, kind="Tier"), patch)


def test_a_patch_for_another_version_is_refused():
    tier = codec.decode(STORED, kind="Tier")
    assert change.patched(tier, {"metadata": {"resourceVersion": "7"}}) == tier
    with pytest.raises(ConflictError, match=r"'6' is out of date \(latest: 7\)"):
        change.patched(tier, {"metadata": {"resourceVersion": "6"}})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000])
def test_what_is_no_patch_is_refused(text):
    with pytest.raises(ValidationError, match=r"^patch: "):
        change.parse_patch(text)
