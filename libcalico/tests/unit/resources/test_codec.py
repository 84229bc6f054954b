import contextlib
import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from libcalico.datastore import keys
from libcalico.errors import ValidationError
from libcalico.resources import codec, strict
from libcalico.resources.bgp import BGPPeer, BGPPeerSpec
from libcalico.resources.model import Model, ObjectMeta
from libcalico.resources.policy import EntityRule, GlobalNetworkPolicy
from libcalico.resources.registry import KINDS
from libcalico.resources.shape import fields_of
from libcalico.testing import builders
from libcalico.testing.strategies import resources

GOLDEN = (Path(__file__).parent / "testdata/stored_by_go.txt").read_text().splitlines()[1:]
STORED_BY_GO = list(zip(GOLDEN[::2], GOLDEN[1::2], strict=True))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
field_names = sorted(
    {"kind", "apiVersion", "metadata", "spec", "status"}
    | {
        field.name
        for kind in KINDS.values()
        for field in fields_of(kind(metadata=ObjectMeta()).spec.__class__)
    }
    | {field.name for model in (ObjectMeta, EntityRule) for field in fields_of(model)}
)
documents = st.recursive(
    json_values,
    lambda inner: (
        st.dictionaries(st.sampled_from(field_names), inner, max_size=5)
        | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("path", "value"), STORED_BY_GO, ids=[path for path, _ in STORED_BY_GO])
def test_what_go_stored_is_written_back_byte_for_byte(path, value):
    which = keys.parse(path)
    resource = codec.decode(value.encode(), kind=which.kind)
    assert (resource.name, resource.namespace) == (which.name, which.namespace)
    assert codec.encode(resource).decode() == value
    assert resource.unknown_fields == {}


@given(resources())
@settings(max_examples=60)
def test_encoding_then_decoding_gives_the_same_resource(resource):
    data = codec.encode(resource)
    assert codec.decode(data) == resource
    assert codec.decode(data, kind=resource.kind, keep_unknown=False) == resource
    assert codec.encode(codec.decode(data)) == data


def as_doubles(document):
    return json.loads(json.dumps(document), parse_int=float)


@given(resources(), st.data())
@settings(max_examples=60)
def test_reading_and_writing_back_keeps_unknown_fields_at_every_level(resource, data):
    document = json.loads(codec.encode(resource))

    def add_unknown(value, is_struct):
        if isinstance(value, list):
            for member in value:
                add_unknown(member, is_struct)
        elif isinstance(value, dict) and is_struct:
            value[f"x{data.draw(st.integers(0, 3))}"] = data.draw(json_values)

    def walk(model, value):
        for field in fields_of(type(model)):
            if field.model is not None and field.name in value:
                nested = getattr(model, field.attribute)
                for each, raw in zip(
                    nested if isinstance(nested, list) else [nested],
                    value[field.name] if isinstance(nested, list) else [value[field.name]],
                    strict=True,
                ):
                    walk(each, raw)
        add_unknown(value, is_struct=True)

    walk(resource, document)
    read = codec.decode(json.dumps(document).encode())
    assert json.loads(codec.encode(read), parse_int=float) == as_doubles(document)
    assert read == resource, "unknown fields do not change what is known"
    changed = read.with_(metadata=read.metadata.with_(labels={"a": "b"}))
    written = json.loads(codec.encode(changed), parse_int=float)["metadata"]
    assert written == as_doubles({**document["metadata"], "labels": {"a": "b"}})


@given(resources(), documents)
@settings(max_examples=50)
def test_the_fast_and_the_tolerant_way_of_decoding_agree(resource, foreign):
    for document in (json.loads(codec.encode(resource)), {"metadata": foreign, "spec": foreign}):
        outcomes = []
        for data in (json.dumps(document).encode(), document):
            try:
                decoded = codec.decode(data, kind=resource.kind)
            except ValidationError as error:
                outcomes.append(str(error))
            else:
                outcomes.append((decoded, codec.to_mapping(decoded)))
        assert outcomes[0] == outcomes[1]


@given(resources(), st.data())
@settings(max_examples=60)
def test_what_counts_as_well_formed_has_no_mistake_of_form(resource, data):
    fields = [field for field in fields_of(type(resource.spec)) if field.model is None]
    assume(fields)
    field = data.draw(st.sampled_from(fields))
    spec = resource.spec.with_(**{field.attribute: data.draw(json_values | st.floats())})
    resource = resource.with_(spec=spec)
    problems = []
    strict.clean(codec.to_known_mapping(resource), type(resource), problems)
    assert not (problems and codec.is_well_formed(resource))


@given(resources())
@settings(max_examples=30)
def test_what_was_decoded_is_well_formed(resource):
    assert codec.is_well_formed(codec.decode(codec.encode(resource)))


@given(st.binary(max_size=60) | documents.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=200)
def test_any_bytes_give_a_resource_or_a_validation_error(data):
    for kind in (None, "NetworkPolicy", "FelixConfiguration"):
        try:
            resource = codec.decode(data, kind=kind)
        except ValidationError:
            continue
        assert codec.decode(codec.encode(resource)) == resource


@given(st.sampled_from(sorted(KINDS)), documents, documents)
@settings(max_examples=200)
def test_any_document_gives_a_resource_or_a_validation_error(kind, metadata, spec):
    document = {
        "kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata, "spec": spec,
    }  # fmt: skip
    with contextlib.suppress(ValidationError):
        codec.from_manifest(document)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1000000.0, "1000000"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
        (0.00001, "0.00001"), (1e-7, "1e-7"), (1.5, "1.5"), (-0.5, "-0.5"), (1.5e-10, "1.5e-10"),
        (123456789012345680000.0, "123456789012345680000"), (2**70, str(2**70)), (True, "true"),
    ],
)  # fmt: skip
def test_numbers_are_printed_as_go_prints_them(value, text):
    assert codec.encode_json({"x": [value]}).decode() == f'{{"x":[{text}]}}'


def test_html_characters_are_escaped_and_read_back():
    peer = BGPPeer(metadata=ObjectMeta(name="p", annotations={"b": "<&>\u2028", "a": "é"}))
    data = codec.encode(peer)
    assert b'"annotations":{"a":"\xc3\xa9","b":"\\u003c\\u0026\\u003e\\u2028"}' in data
    assert codec.decode(data) == peer


def test_the_version_is_not_stored_but_shown():
    pool = builders.a_pool()
    pool = pool.with_(metadata=pool.metadata.with_(resource_version="17"))
    assert b"resourceVersion" not in codec.encode(pool)
    assert codec.to_mapping(pool)["metadata"]["resourceVersion"] == "17"


def test_shown_rules_have_no_empty_sides():
    shown = codec.to_mapping(builders.a_policy())
    assert shown["spec"]["ingress"] == [{"action": "Allow"}]
    assert shown["spec"]["order"] == 100
    assert "status" not in codec.to_mapping(builders.a_tier())


@pytest.mark.parametrize("kind", KINDS)
def test_nulls_mean_not_set(kind):
    data = b'{"kind":"' + kind.encode() + b'","metadata":{"name":"n","labels":null},"spec":null}'
    assert codec.decode(data).spec == KINDS[kind]().spec
    assert codec.decode(data, kind=kind, keep_unknown=False).metadata.labels == {}


def test_the_key_decides_the_kind():
    data = b'{"kind":"%s","apiVersion":"old/v1","metadata":{"name":"n"},"spec":{}}'
    for kind, keep_unknown in product((b"Node", b"Tier"), (True, False)):
        tier = codec.decode(data % kind, kind="Tier", keep_unknown=keep_unknown)
        assert codec.encode(tier).startswith(b'{"kind":"Tier","apiVersion":"projectcalico.org/v3"')


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [('"80"', 80), ('"80:80"', 80), ('"1:2"', "1:2"), ('"http"', "http"), ("443", 443)],
)
def test_ports_that_are_numbers_become_numbers(given_text, stored):
    data = f'{{"spec":{{"ingress":[{{"action":"Allow","source":{{"ports":[{given_text}]}}}}]}}}}'
    policy = codec.decode(data.encode(), kind="GlobalNetworkPolicy")
    assert policy.spec.ingress[0].source.ports == [stored]


def test_numeric_protocols_and_as_numbers_become_numbers():
    policy = codec.decode(
        b'{"spec":{"egress":[{"action":"Deny","protocol":"17","notProtocol":"tcp"}]}}',
        kind="GlobalNetworkPolicy",
    )
    assert (policy.spec.egress[0].protocol, policy.spec.egress[0].not_protocol) == (17, "tcp")
    assert BGPPeerSpec(as_number="1.10").as_number == 65546
    assert BGPPeerSpec(as_number="64512", local_as_number="1.99999").local_as_number == "1.99999"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"nothing", "not JSON"),
        (b"[]", "expected a JSON object, got a list"),
        (b'{"spec":{"order":"x"}}', "spec.order: expected float"),
        (b'{"spec":{"ingress":[{}]}}', "spec.ingress[0]: object missing required field action"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_unreadable_values_say_where(data, text):
    with pytest.raises(ValidationError) as caught:
        codec.decode(data, kind="GlobalNetworkPolicy")
    assert text in str(caught.value)


def test_every_model_class_is_laid_out():
    def walk(model):
        for field in fields_of(model):
            if field.model is not None:
                assert issubclass(field.model, Model)
                walk(field.model)

    for kind in KINDS.values():
        walk(kind)


def test_the_manifest_form_is_a_manifest():
    for build in (builders.a_policy, builders.an_endpoint, builders.a_felix_configuration):
        assert codec.from_manifest(codec.to_mapping(build())) == build()


def test_policies_without_a_kind_are_told_what_kinds_there_are():
    with pytest.raises(ValidationError, match="GlobalNetworkPolicy"):
        codec.from_manifest({"metadata": {"name": "x"}})
    with pytest.raises(
        ValidationError, match=r"unknown resource type \(Pod\) and/or version \(v1\)"
    ):
        codec.from_manifest({"kind": "Pod", "apiVersion": "v1"})
    assert isinstance(
        codec.from_manifest({"kind": "GlobalNetworkPolicy", "apiVersion": "projectcalico.org/v3"}),
        GlobalNetworkPolicy,
    )


def test_text_that_is_no_unicode_is_refused():
    with pytest.raises(ValidationError, match="cannot be stored as JSON"):
        codec.encode_json({"x": "\ud800"})
    document = codec.to_mapping(builders.a_pool(annotations={"a": "\ud800"}))
    with pytest.raises(ValidationError, match="half a surrogate pair"):
        codec.from_manifest(document)


def test_a_kind_that_is_no_text_is_refused():
    with pytest.raises(ValidationError, match="kind: expected a kind's name, got 5"):
        codec.decode(b'{"kind":5}')
