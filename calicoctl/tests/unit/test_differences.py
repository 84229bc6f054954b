"""What differs between two forms of an object."""

from hypothesis import given
from hypothesis import strategies as st

from calicoctl.differences import NOTHING, Change, differences, report, unified
from libcalico.resources.model import ResourceId

WHICH = ResourceId("Tier", "", "t")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), JSON)


@given(JSON)
def test_nothing_differs_from_itself(value):
    assert list(differences(value, value)) == []


@given(OBJECTS, OBJECTS)
def test_there_is_a_difference_exactly_if_they_differ(one, other):
    found = list(differences(one, other))
    same = not found
    assert same == (one == other and all(d.before is d.after for d in found))
    assert {d.path for d in found} == {d.path for d in differences(other, one)}
    assert len({d.path for d in found}) == len(found)


def test_paths_and_texts():
    before = {"spec": {"order": 1, "rules": [{"action": "Allow"}, {"action": "Deny"}]}}
    after = {"spec": {"rules": [{"action": "Pass"}], "tier": "x"}}
    assert [d.text() for d in differences(before, after)] == [
        "spec.order: 1 -> (none)",
        'spec.rules[0].action: "Allow" -> "Pass"',
        'spec.rules[1]: {"action": "Deny"} -> (none)',
        'spec.tier: (none) -> "x"',
    ]
    assert next(differences({}, {"a": 1})).before is NOTHING


def test_report_and_unified():
    changes = [
        Change(WHICH, {"a": 1}, {"a": 2}),
        Change(WHICH, None, {"a": 1}),
        Change(WHICH, {"a": 1}, {"a": 1}),
    ]
    assert report(changes) == (
        "changed    Tier(t)\n  a: 1 -> 2\ncreated    Tier(t)\nunchanged  Tier(t)\n"
        "Dry run: 1 created, 1 changed, 1 unchanged; nothing was written"
    )
    assert unified(changes[0]) == (
        "--- datastore: Tier(t)\n+++ manifest: Tier(t)\n@@ -1 +1 @@\n-a: 1\n+a: 2\n"
    )
    assert unified(changes[1]).endswith("@@ -0,0 +1 @@\n+a: 1\n")
    assert unified(changes[2]) == ""
