"""The closing words of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from calicoctl.batch import Outcome, groups
from libcalico.resources.model import ObjectMeta, id_of
from libcalico.resources.registry import KINDS

blanks = st.builds(
    lambda kind, number: KINDS[kind](metadata=ObjectMeta(name=f"x{number}")),
    st.sampled_from(["NetworkPolicy", "NetworkSet", "Profile", "Tier", "Node", "IPPool"]),
    st.integers(0, 3),
)


@given(st.lists(blanks, max_size=30))
def test_groups_keep_the_order_and_hold_nothing_that_depends_on_another(resources):
    found = list(groups(resources))
    assert [resource for group in found for resource in group] == resources
    for group in found:
        assert len({*map(id_of, group)}) == len(group)
        assert len(group) == 1 or not {"Tier", "Node", "IPPool"} & {r.kind for r in group}


def test_what_may_be_written_together_is():
    kinds = ["NetworkPolicy", "NetworkSet", "Tier", "Profile"]
    found = groups([KINDS[kind](metadata=ObjectMeta(name="x")) for kind in kinds])
    assert [len(group) for group in found] == [2, 1, 1]


def test_all_of_one_kind():
    outcome = Outcome("apply", ["IPPool"], 1, [])
    assert (outcome.news(), outcome.complaint()) == (
        "Successfully applied 1 'IPPool' resource(s)",
        "",
    )


def test_all_of_several_kinds():
    outcome = Outcome("create", ["IPPool", "Tier"], 2, [])
    assert outcome.news() == "Successfully created 2 resource(s)"


def test_some():
    outcome = Outcome("create", ["IPPool", "IPPool"], 1, ["there"])
    assert (outcome.news(), outcome.complaint()) == (
        "",
        "Partial success: created 1 out of 2 'IPPool' resources:\nhit error(s): [there]",
    )


def test_none_of_one():
    outcome = Outcome("apply", ["Tier"], 0, ["no"])
    assert outcome.complaint() == "failed to apply 'Tier' resource: [no]"


def test_none_of_several():
    outcome = Outcome("apply", ["Tier", "IPPool"], 0, ["no"])
    assert outcome.complaint() == "failed to apply any resources: [no]"


def test_deletions_tell_each_failure_in_a_line_of_its_own_as_in_go():
    some = Outcome("delete", ["Tier", "Tier", "Tier"], 1, ["gone", "built in"])
    assert some.news() == "Successfully deleted 1 'Tier' resource(s)"
    assert some.complaint() == (
        "Failed to delete 'Tier' resource: gone\nFailed to delete 'Tier' resource: built in"
    )
    none = Outcome("delete", ["Tier", "IPPool"], 0, ["gone"])
    assert (none.news(), none.complaint()) == ("", "Failed to delete resource: gone")
