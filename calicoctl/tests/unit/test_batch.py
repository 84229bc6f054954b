"""The closing words of a batch."""

from calicoctl.batch import Outcome


def test_all_of_one_kind():
    assert (
        Outcome("apply", ["IPPool"], 1, []).text() == "Successfully applied 1 'IPPool' resource(s)"
    )


def test_all_of_several_kinds():
    assert (
        Outcome("create", ["IPPool", "Tier"], 2, []).text() == "Successfully created 2 resource(s)"
    )


def test_some():
    text = Outcome("delete", ["IPPool", "IPPool"], 1, ["gone"]).text()
    assert text == "Partial success: deleted 1 out of 2 'IPPool' resources:\nhit error(s): [gone]"


def test_none_of_one():
    assert Outcome("apply", ["Tier"], 0, ["no"]).text() == "failed to apply 'Tier' resource: [no]"


def test_none_of_several():
    assert (
        Outcome("apply", ["Tier", "IPPool"], 0, ["no"]).text()
        == "failed to apply any resources: [no]"
    )


def test_deletions_begin_with_a_capital_as_in_go():
    assert Outcome("delete", ["Tier"], 0, ["no"]).text().startswith("Failed to delete 'Tier'")
