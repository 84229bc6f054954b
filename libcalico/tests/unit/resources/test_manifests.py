import datetime as dt

import pytest

from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.registry import KINDS


def problems(kind="GlobalNetworkPolicy", metadata=None, **spec):
    document = {
        "kind": kind,
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "n"} if metadata is None else metadata,
        "spec": spec,
    }
    with pytest.raises(ValidationError) as caught:
        codec.from_manifest(document)
    return list(caught.value.problems)


def test_every_mistake_is_reported_with_its_place():
    assert problems(
        ordr=1,
        selector=True,
        types=["ingress", "Both"],
        ingress=[{"action": "Allow", "sorce": {}}, {"source": {"nets": "10.0.0.0/8"}}, 7],
        metadata={"name": "n", "labels": {"a": 1, 2: "b"}},
    ) == [
        "metadata.labels.a: expected text, got 1; quote it: \"1\"",
        "metadata.labels: the key 2 must be text; quote it",
        "spec.ordr: unknown field; did you mean 'order'?",
        "spec.selector: expected text, got true; quote it: \"true\"",
        "spec.types[0]: 'ingress' is not allowed; write 'Ingress'",
        "spec.types[1]: 'Both' is not allowed; use one of Egress, Ingress",
        "spec.ingress[0].sorce: unknown field; did you mean 'source'?",
        (
            "spec.ingress[1].source.nets: expected a list, got '10.0.0.0/8'; "
            "write one member per line after '-'"
        ),
        "spec.ingress[1].action: missing; one of Allow, Deny, Log, Pass is required",
        "spec.ingress[2]: expected an object, got 7",
    ]  # fmt: skip


def test_an_unknown_field_in_another_case_is_recognised():
    assert problems(preDnat=True) == ["spec.preDnat: unknown field; did you mean 'preDNAT'?"]


def test_an_unknown_field_without_likeness_lists_what_is_known():
    (problem,) = problems("NetworkSet", cidr_list=[])
    assert problem == "spec.cidr_list: unknown field; known fields are nets"


@pytest.mark.parametrize("order", ["1", True, float("nan"), float("inf"), [1]])
def test_orders_are_finite_numbers(order):
    (problem,) = problems(order=order)
    assert problem.startswith("spec.order: expected a number, got ")


def test_unions_name_what_they_take():
    rule = {"action": "Allow", "protocol": 1.5, "source": {"ports": [[]]}}
    assert problems(ingress=[rule]) == [
        "spec.ingress[0].protocol: expected a whole number or text, got 1.5",
        "spec.ingress[0].source.ports[0]: expected a whole number or text, got a list",
    ]


def test_null_means_not_set_and_foreign_metadata_is_left_out():
    pool = codec.from_manifest(
        {
            "kind": "IPPool",
            "apiVersion": "projectcalico.org/v3",
            "metadata": {"name": "p", "labels": None, "managedFields": [{}], "selfLink": "x"},
            "spec": {"cidr": "10.0.0.0/16", "natOutgoing": None},
        }
    )
    assert pool.metadata.labels == {}
    assert pool.metadata.unknown_fields == {}
    assert pool.spec.nat_outgoing is False


def test_yaml_times_are_taken_as_text():
    pool = codec.from_manifest(
        {
            "kind": "IPPool",
            "apiVersion": "projectcalico.org/v3",
            "metadata": {
                "name": "p",
                "creationTimestamp": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            },
        }
    )
    assert pool.metadata.creation_timestamp == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_documents_are_objects(document):
    with pytest.raises(ValidationError, match="expected an object"):
        codec.from_manifest(document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_that_is_no_object_is_refused(kind):
    document = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": 1, "spec": []}
    with pytest.raises(ValidationError) as caught:
        codec.from_manifest(document)
    assert caught.value.problems == (
        "metadata: expected an object, got 1",
        "spec: expected an object, got a list",
    )
