import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.resources import names
from libcalico.resources.endpoints import WorkloadEndpointSpec

parts = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)


@given(parts, st.sampled_from(["k8s", "cni", "openstack", "foo-bar"]), parts, parts)
def test_names_are_taken_apart_as_they_were_made(node, orchestrator, workload, endpoint):
    spec = WorkloadEndpointSpec(
        node=node,
        orchestrator=orchestrator,
        pod=workload,
        container_id=workload,
        workload=workload,
        endpoint=endpoint,
    )
    name = names.name_of(spec)
    assert names.parse_name(name) == names.EndpointName(
        node=node, orchestrator=orchestrator, workload=workload, endpoint=endpoint
    )
    assert name.startswith(names.name_prefix(node, orchestrator, workload))
    assert name.startswith(names.name_prefix(node))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"orchestrator": "k8s", "pod": "pod-name"}, "node--1-k8s-pod--name-eth0"),
        (
            {"orchestrator": "cni", "container_id": "abcdefa0123456"},
            "node--1-cni-abcdefa0123456-eth0",
        ),
        ({"orchestrator": "libnetwork"}, "node--1-libnetwork-libnetwork-eth0"),
        ({"orchestrator": "foo", "workload": "foo-foo"}, "node--1-foo-foo--foo-eth0"),
    ],
)
def test_names_are_those_of_calico(fields, name):
    assert names.name_of(WorkloadEndpointSpec(node="node-1", endpoint="eth0", **fields)) == name


def test_every_missing_identifier_is_named():
    with pytest.raises(ValidationError) as caught:
        names.name_of(WorkloadEndpointSpec(orchestrator="k8s", node="-n"))
    assert caught.value.problems == (
        "spec.node: '-n' must not begin or end with '-'",
        "spec.pod: insufficient identifiers, missing 'pod'",
        "spec.endpoint: insufficient identifiers, missing 'endpoint'",
    )


@pytest.mark.parametrize("name", ["", "a", "a-b-c", "a-b-c-d-e", "-b-c-d"])
def test_other_names_are_refused(name):
    with pytest.raises(ValidationError, match="is no workload endpoint's name"):
        names.parse_name(name)
