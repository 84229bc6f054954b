"""Code points by number and name."""

import pytest

from libcalico.errors import ValidationError
from libcalico.net.dscp import parse_dscp


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (63, 63),
        ("20", 20),
        ("EF", 46),
        ("ef", 46),
        ("CS7", 56),
        ("AF11", 10),
        ("AF43", 38),
        ("DF", 0),
    ],
)
def test_numbers_and_names(value, expected):
    assert parse_dscp(value) == expected


@pytest.mark.parametrize("value", [-1, 64, "64", "AF14", "AF01", "CS8", "", "six", "-1", "²"])
def test_what_is_none_is_named(value):
    with pytest.raises(ValidationError, match="is no DSCP"):
        parse_dscp(value)
