"""Theorem: after any sequence of calls, the index selects what walking the expressions selects."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libcalico.selector import parse
from libcalico.selector.index import LabelIndex

KEYS = ("a", "b", "pcns.a")
VALUES = ("", "x", "xy", "y")
ITEMS = st.integers(0, 5)
LABELS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
PARENTS = st.lists(st.sampled_from(["p", "q", "r"]), max_size=3)
ATOMS = st.one_of(
    st.sampled_from(["all()", "global()"]),
    st.sampled_from(KEYS).map(lambda k: f"has({k})"),
    st.builds(
        lambda key, operator, value: f"{key} {operator} '{value}'",
        st.sampled_from(KEYS),
        st.sampled_from(["==", "!=", "contains", "starts with", "ends with"]),
        st.sampled_from(VALUES),
    ),
    st.builds(
        lambda key, operator, values: f"{key} {operator} {{{','.join(map(repr, values))}}}",
        st.sampled_from(KEYS),
        st.sampled_from(["in", "not in"]),
        st.lists(st.sampled_from(VALUES), max_size=3),
    ),
)
SELECTORS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda x: f"!({x})"),
        st.builds(
            lambda joint, parts: f"({joint.join(parts)})",
            st.sampled_from(["&&", "||"]),
            st.lists(inner, min_size=2, max_size=4),
        ),
    ),
    max_leaves=9,
).map(parse)
#: Always watched, so that a label that is filed wrongly shows at once.
FIXED = [parse(f"has({key})") for key in KEYS] + [
    parse(f"{key} == '{value}'") for key in KEYS for value in VALUES
]
#: Their normal forms have 4 ** 4 and 33 terms: they are walked.
LARGE = parse(" && ".join(["(a == 'x' || b == 'y' || has(pcns.a) || a contains 'y')"] * 4))

WIDE = parse(" || ".join(f"(a == 'x{number}' && b != 'y')" for number in range(33)))


class IndexMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.index = LabelIndex()
        self.items, self.parents, self.selectors, self.told = {}, {}, {}, {}

    @initialize()
    def fixed_selectors_are_set(self):
        for node in FIXED:
            self.selector_is_set(str(node), node)

    @initialize(labels=LABELS)
    def parents_have_children(self, labels):
        self.parent_lends("p", {"a": "x"})
        self.parent_lends("q", {"a": "y", "b": ""})
        for item, parents in enumerate((["p"], ["q", "p"], ["p", "q"])):
            self.item_is_put(item, labels, parents)

    @rule(item=ITEMS, labels=LABELS, parents=PARENTS)
    def item_is_put(self, item, labels, parents):
        self.index.on_item(item, labels, parents)
        self.items[item] = (labels, parents)

    @rule(first=st.integers(100, 300), number=st.sampled_from([1, 90]), labels=LABELS)
    def many_items_are_put(self, first, number, labels):
        for item in range(first, first + number):
            self.item_is_put(item, labels, ["p"] if item % 3 else ["r", "p"])

    @rule(items=st.sets(ITEMS) | st.just(range(100, 400)))
    def items_are_removed(self, items):
        for item in items:
            self.index.on_item_removed(item)
            self.items.pop(item, None)

    @rule(parent=st.sampled_from(["p", "q", "r"]), labels=st.none() | LABELS)
    def parent_lends(self, parent, labels):
        self.index.on_parent(parent, labels)
        self.parents[parent] = labels or {}

    @rule(selector=st.sampled_from("ABC"), node=SELECTORS | st.sampled_from([LARGE, WIDE]))
    def selector_is_set(self, selector, node):
        self.index.on_selector(selector, node)
        self.selectors[selector] = node
        self.told.setdefault(selector, set())

    @rule(selector=st.sampled_from("ABC"))
    def selector_is_removed(self, selector):
        self.index.on_selector_removed(selector)
        self.selectors.pop(selector, None)
        self.told.pop(selector, None)

    @rule()
    def moves_are_drained(self):
        for selector, moves in self.index.drain().items():
            members = self.told[selector]
            assert moves.added or moves.removed
            assert not members & set(moves.added)
            assert members >= set(moves.removed)
            members.update(moves.added)
            members.difference_update(moves.removed)
        assert self.told == {selector: self.selected(selector) for selector in self.selectors}
        assert not self.index.drain()

    @invariant()
    def members_are_those_that_the_walk_finds(self):
        for selector in self.selectors:
            members = self.index.members(selector)
            assert len(members) == len(set(members))
            assert set(members) == self.selected(selector)

    @invariant()
    def selectors_of_an_item_are_those_that_the_walk_finds(self):
        for item in range(6):
            found = {s for s in self.selectors if item in self.selected(s)}
            assert set(self.index.selectors_of(item)) == found
            assert {s for s in self.selectors if self.index.selects(s, item)} == found

    def selected(self, selector):
        node = self.selectors[selector]
        return {item for item in self.items if node.evaluate(self.effective(item))}

    def effective(self, item):
        labels, parents = self.items[item]
        inherited = {}
        for parent in parents:
            for key, value in self.parents.get(parent, {}).items():
                inherited.setdefault(key, value)
        return {**inherited, **labels}


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_an_emptied_index_keeps_nothing():
    index = LabelIndex()
    index.on_parent("p", {"a": "x"})
    index.on_selector("s", parse("a == 'x' || b contains 'y'"))
    for item in range(100):
        index.on_item(item, {"b": f"y{item}"}, ["p"])
    for item in range(100):
        index.on_item_removed(item)
    assert not index.drain()
    index.on_selector_removed("s")
    index.on_parent("p", None)
    population, terms = index._population, index._terms
    assert not population._keys
    assert not population._parents
    assert list(population._families) == [()]
    assert not population._families_by_parent
    assert not terms._keys
    assert not terms._mask_by_selector


def test_labels_of_very_many_shapes_are_matched():
    index = LabelIndex()
    index.on_selector("s", parse("has(wanted)"))
    for item in range(20):
        index.on_selector(item, parse(f"has(k{item})"))
    for item in range(1500):
        keys = [f"k{bit}" for bit in range(11) if item >> bit & 1]
        index.on_item(item, dict.fromkeys([*keys, *["wanted"] * (item % 2)], ""))
    assert index.members("s") == list(range(1, 1500, 2))
    assert index.drain()["s"].added == list(range(1, 1500, 2))
