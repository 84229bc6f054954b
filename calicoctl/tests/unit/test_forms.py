"""What -o may be."""

import pytest

from calicoctl.forms import Form, parse
from libcalico.errors import ValidationError


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", Form("ps")),
        ("yml", Form("yaml")),
        ("custom-columns=name, Cidr", Form("custom-columns", "name, Cidr")),
        ("go-template={{.}}=", Form("go-template", "{{.}}=")),
    ],
)
def test_known(text, form):
    assert parse(text) == form


def test_columns():
    assert parse("custom-columns=name, Cidr").columns == ("NAME", "CIDR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xml", "unrecognized output format 'xml'"),
        ("ps=x", "unrecognized output format 'ps=x'"),
        ("custom-columns", "need to specify at least one column"),
        ("go-template=", "need to specify a template"),
        ("go-template-file", "need to specify a template file"),
    ],
)
def test_unknown(text, said):
    with pytest.raises(ValidationError, match=said):
        parse(text)
