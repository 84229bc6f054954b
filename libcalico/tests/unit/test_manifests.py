"""Documents: their places, and every mistake named with its place before anything is used."""

import io
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico import manifests
from libcalico.manifests import ManifestError, documents

POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: a
spec:
  cidr: 10.0.0.0/16
"""
WRONG = """\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata:
  name: deny
spec:
  selector: all()
  ingress:
    - action: Permit
      sorce: {}
"""


def load(path, **options):
    return manifests.load(str(path), lambda resource: resource, **options)


def problems(path) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as refused:
        load(path)
    return refused.value.problems


def test_documents_of_a_file_are_numbered(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(POOL + "---\n# only a comment\n---\n" + POOL.replace("name: a", "name: b"))
    assert [(d.number, d.content["metadata"]["name"]) for d in documents(file)] == [
        (1, "a"),
        (2, "b"),
    ]


def test_lists_and_arrays_are_expanded(tmp_path):
    item = "{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: %s}, spec: {cidr: 10.0.0.0/16}}"
    as_list = tmp_path / "list.yaml"
    as_list.write_text(f"kind: IPPoolList\nitems: [{item % 'a'}, {item % 'b'}]")
    as_array = tmp_path / "array.yaml"
    as_array.write_text(f"[{item % 'c'}]")
    assert [r.name for r in load(as_list)] == ["a", "b"]
    assert [r.name for r in load(as_array)] == ["c"]


def test_every_mistake_is_named_with_file_line_document_and_field(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(POOL + "---\n" + WRONG)
    found = problems(file)
    assert len(found) == 2
    action, sorce = sorted(found)
    assert action.startswith(
        f"{file}:15: document 2 (GlobalNetworkPolicy deny): spec.ingress[0].action:"
    )
    assert "Allow" in action
    assert f"{file}:16: document 2" in sorce
    assert "source" in sorce


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML or JSON"),
        ("a: 1\na: 2\n", "'a' is given twice"),
        ("just text", "expected an object"),
        ("kind: Nonsense\napiVersion: projectcalico.org/v3\n", "unknown resource type (Nonsense)"),
    ],
)
def test_what_is_no_resource_is_refused(tmp_path, text, said):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert said in "\n".join(problems(file))


def test_a_missing_file_is_one_message(tmp_path):
    assert "cannot be read" in problems(tmp_path / "nothing.yaml")[0]


def test_a_folder_is_read_in_order_and_deep_only_when_asked(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.yaml", "a.json", "deep/c.yml", "notes.txt"):
        (tmp_path / name).write_text(POOL.replace("name: a", f"name: {name[-6]}"))
    assert len(load(tmp_path)) == 2
    assert len(load(tmp_path, recursive=True)) == 3


def test_standard_input_is_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(POOL.encode())))
    assert [r.name for r in load("-")] == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("&a [*a]", "refers to what it is part of"),
        (
            "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
            + "".join(
                f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in pairwise("abcdefghi")
            ),
            "aliases make the document too large",
        ),
    ],
)
def test_endless_and_enormous_documents_are_refused(tmp_path, text, said):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert said in "\n".join(problems(file))


def test_mistakes_of_every_file_are_named_in_one_go(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text(WRONG)
    (tmp_path / "c.yaml").write_bytes(b"\xff")
    found = problems(tmp_path)
    assert [p.rpartition("/")[2][0] for p in found] == ["a", "b", "b", "c"]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + POOL.encode())
    assert len(load(file)) == 1


@given(
    st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5).map(str)
)
def test_whatever_is_read_is_documents_or_a_manifest_error(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        for document in documents(file):
            assert document.place()
    except ManifestError:
        pass
