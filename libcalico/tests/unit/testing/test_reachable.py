"""What is counted, and what everybody has is not."""

from collections import Counter

from libcalico.testing.reachable import reachable


class Keeper:
    """Holds things by name."""

    def __init__(self):
        self.kept = {}


def test_whatever_is_held_is_counted_once_with_its_name():
    keeper = Keeper()
    before = reachable(keeper)
    both = ["one", "two"]
    keeper.kept["a name"] = both
    keeper.kept["another"] = both
    assert reachable(keeper) - before == Counter({"str": 4, "list": 1})
    keeper.kept.clear()
    assert reachable(keeper) == before
