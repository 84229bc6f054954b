"""YAML: what is read is what was meant, and what is written reads back as the same for everybody."""

import datetime as dt

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from libcalico import yamlform

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(codec="utf-8"))
    | st.from_regex(r"[-+0-9.:_eExXo]{1,12}", fullmatch=True)
)
DOCUMENTS = st.recursive(
    SCALARS, lambda member: st.lists(member) | st.dictionaries(st.text("abc1:."), member)
)


def read(text):
    return yaml.load(text, yamlform.Loader)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:53", "22:53"),
        ("8080:8090", "8080:8090"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("-.5e+2", -50.0),
        (".inf", float("inf")),
        ("0", 0),
        ("-12", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b11", 3),
        ("09", "09"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("yes", True),
        ("~", None),
    ],
)
def test_a_plain_scalar_is_what_go_takes_it_for(text, value):
    assert read(text) == value
    assert type(read(text)) is type(value)


@given(DOCUMENTS)
def test_what_is_written_reads_back(document):
    assert read(yamlform.dump(document)) == document


@given(DOCUMENTS)
def test_it_is_written_as_pyyaml_writes_the_tree_of_its_nodes(document):
    options = {"sort_keys": True, "default_flow_style": False, "allow_unicode": True}
    whole = yaml.dump(document, Dumper=yamlform._Dumper, width=yamlform._WIDTH, **options)
    assert yamlform.dump(document) == whole


def test_what_has_no_words_in_yaml_is_refused():
    with pytest.raises(yaml.YAMLError):
        yamlform.dump({"when": [object()]})
    with pytest.raises(yaml.YAMLError, match="set is no value of YAML"):
        yamlform.dump({"names": {"a"}})


@given(st.from_regex(r"[-+0-9.:_eETZ]{1,20}", fullmatch=True))
def test_text_stays_text_for_other_readers(text):
    other = yaml.safe_load(yamlform.dump([text]))[0]
    assert other == text
    assert not isinstance(other, dt.date)


def test_a_long_selector_stays_on_one_line():
    assert yamlform.dump({"selector": "a == 'b' && " * 50}).count("\n") == 1


def test_quotes_are_gos_and_only_where_a_reader_would_misread():
    texts = ["9", "", "true", "1e3", "2026-11-25T02:30:16Z", "y", "a: b", "10.0.0.0/8", "it's"]
    assert yamlform.dump(texts).splitlines() == [
        '- "9"',
        '- ""',
        '- "true"',
        '- "1e3"',
        '- "2026-11-25T02:30:16Z"',
        '- "y"',
        "- 'a: b'",
        "- 10.0.0.0/8",
        "- it's",
    ]
